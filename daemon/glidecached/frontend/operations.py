"""The operations of the protocol, as the dispatcher runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import cython

    from glidecached.frontend.request import Request


class Operation:
    """One of the protocol's operations.

    `run` gets the request and the body of the message, as a list. It raises `MalformedError` for a wrong body, and may
    answer at once or later. Long work is returned as steps.
    """

    reads_one_key: bool
    """True where `run_read` does the same, for a body that is a session's number, a kind and a key."""

    is_command: bool
    """True where `run_command` does the same, for a body that is a session's number and a list."""

    def run(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Begin it. Implemented by subclasses."""
        raise NotImplementedError

    def run_command(self, request: Request, session_id: cython.longlong, arguments: list[Any]) -> Any:
        """Begin it, with a body that is not a list. Implemented by subclasses that are for commands."""
        raise NotImplementedError

    def run_read(self, request: Request, session_id: cython.longlong, kind: cython.int, key: bytes) -> Any:
        """Begin it, with a body that is not a list. Implemented by subclasses that `reads_one_key`."""
        raise NotImplementedError


class CallbackOperation(Operation):
    """A function that does what `run` does."""

    def __init__(self, function: Callable[[Request, list[Any]], Iterator[float | None] | None]) -> None:
        self._function = function

    def run(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Implement `Operation`."""
        return self._function(request, body)
