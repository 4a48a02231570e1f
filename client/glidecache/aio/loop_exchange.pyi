"""One event loop's requests to the daemon, in compiled code: sent one by one or together, each with its future."""

from typing import Any

from glidecache.aio.connection import AsyncConnection
from glidecache_shared.wire.dealer import Dealer

class OpenCall:
    """A request that has not been answered, and the future that its call awaits."""

class LoopExchange:
    """The open requests of one connection. For its event loop's thread.

    While others are open, a request waits for the end of the loop's turn, and leaves with those that came meanwhile.
    One timer watches all deadlines. A deadline measures the daemon and the servers, not the caller's own event loop
    (contract C28): a request's clock starts when the request leaves, and before a call times out, what has arrived is
    read.
    """

    open_calls: dict[int, OpenCall]

    def __init__(self, connection: AsyncConnection, loop: object, inflight_requests: int) -> None:
        """Begin without requests. `connection` owns this object, which does not keep it alive."""

    async def request(
        self,
        connection: AsyncConnection,
        dealer: Dealer,
        request_id: int,
        message: bytes,
        deadline_ns: int,
    ) -> tuple[int, Any]:
        """Send a message and return its reply's status and body; a call that is cancelled is cancelled there too.

        Raises `RequestError` for one request too many, `NotSentError`, `DaemonLostError`, `NoReplyError`.
        """

    def read_next(self, connection: AsyncConnection, dealer: Dealer) -> int:
        """Receive once, and answer the calls whose replies that was. Return the dealer's newest events."""

    def read_all(self, connection: AsyncConnection, dealer: Dealer) -> None:
        """Answer all calls whose replies have arrived."""

    def fail_queued(self, error: Exception) -> None:
        """Fail the calls whose requests have not left."""

    def forget_queued(self) -> None:
        """Forget the requests that have not left."""

    def fail(self, error: Exception) -> None:
        """Fail all calls that still wait."""
