"""Steps of a blocking client that an exception from outside, such as a signal handler's, must not split.

Python runs signal handlers only between two of its own instructions. This code has none: each acquire is released.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, Protocol, TypeVar, overload

Result = TypeVar("Result")

class Lock(Protocol):
    """A lock of `threading`."""

    def acquire(self, blocking: bool, timeout: float, /) -> bool: ...
    def release(self) -> None: ...

@overload
def run_blocking(function: Coroutine[Any, Any, Result]) -> Result: ...
@overload
def run_blocking(
    function: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any, **named: Any
) -> Result:
    """Return the result of a coroutine that does not suspend, or raise its exception.

    Takes the coroutine, or the function that makes it with its arguments.
    """

class LockedCall(Generic[Result]):
    """An awaitable that runs a coroutine, which must not suspend, while it holds a lock."""

    def __init__(
        self,
        lock: Lock,
        deadline_ns: int,
        late: Exception,
        function: Callable[..., Coroutine[Any, Any, Result]],
        *arguments: Any,
    ) -> None:
        """Prepare the call. Awaiting it raises `late` when the lock is not free by the deadline."""

    def __await__(self) -> Generator[Any, Any, Result]: ...

class PendingRequests:
    """The bounded set of requests that a client's threads wait for. Safe for threads and forks."""

    def __init__(self, limit: int, forks: Callable[[], int], too_many: Callable[[int], Exception]) -> None:
        """Count requests. `forks` counts the forks before this process, `too_many` makes the error for one too many."""

    @property
    def open(self) -> int:
        """Return the number of open requests."""

    def run(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Run a function as `run_blocking` does. Raise the error of `too_many` beyond the limit."""
