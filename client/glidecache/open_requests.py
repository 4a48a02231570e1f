"""How many requests of one blocking client may be open at once, in all threads (`inflight_requests_limit`)."""

from __future__ import annotations

from glidecache.errors import RequestError
from glidecache.link import forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    Result = TypeVar("Result")


def too_many(limit: int) -> RequestError:
    """Return the error for one request more than a client may have open."""
    return RequestError(f"Reached maximum inflight requests: inflight_requests_limit is {limit}")


class OpenRequests:
    """The requests that a client's threads wait for. A set's own methods are atomic, so there is no lock."""

    __slots__ = ("_forks", "_limit", "_open")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._forks = forks()
        self._open: set[Coroutine[Any, Any, Any]] = set()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of a coroutine that does not suspend. Raises `RequestError` where it is one too many."""
        requests = self._open
        try:
            requests.add(coroutine)
            # It counts before it asks, so that of several threads at the limit none slips through.
            if len(requests) > self._limit and not self._are_the_parents():
                coroutine.close()
                raise too_many(self._limit)
            coroutine.send(None)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            requests.discard(coroutine)
        coroutine.close()
        message = "a coroutine of the blocking client suspended"
        raise RuntimeError(message)

    def _are_the_parents(self) -> bool:
        """Forget the requests of a parent's threads: they do not run in a forked child."""
        if self._forks == forks():
            return False
        self._forks = forks()
        self._open = set()
        return True
