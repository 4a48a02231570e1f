"""Messages of connected peers in, answers out, in fair turns and nothing that blocks."""

import select
from collections.abc import Callable, Iterator

from glidecache_shared.wire.zmtp import ZmtpError
from glidecached.frontend.client_connection import ClientConnection
from glidecached.peers import Peer

class ConnectionSet:
    """The connections of a ROUTER socket, with what goes over them. For the loop's thread.

    Subclasses have `_accept()`, for when a descriptor is ready that belongs to none of the connections.
    """

    _poller: select.epoll
    """Of all connections, and of what the subclass registers."""
    _by_identity: dict[bytes, ClientConnection]
    _by_descriptor: dict[int, ClientConnection]
    _introducing: dict[bytes, ClientConnection]
    """Who has connected and not said yet who he is, in the order of coming."""

    peer_ended: Callable[[bytes], object] | None
    """Called with the identity of each connection that has ended, after its last message was taken."""

    def __init__(self, defer: Callable[[Callable[[], object]], object]) -> None:
        """`defer` has a callback run at the end of the loop's turn."""

    @property
    def settled(self) -> bool:
        """Whether everything that was read from the connections has been taken."""

    @property
    def unsent(self) -> bool:
        """Whether answers wait until the kernel has room for them."""

    def receive(self, max_messages: int) -> Iterator[tuple[bytes, Peer, bytes | memoryview | ZmtpError]]:
        """Take what came, at most `max_messages`: the connection's identity, who it is, and the message.

        An error stands for what was none. Whoever sent several frames may go on; any other error ends its connection.
        """

    def why_full(self, identity: bytes, size_bytes: int) -> str | None:
        """Return the reason why a connection takes no answers now: it has not read earlier ones. None where it does.

        With a length, also return why the connection's process has no room for an answer of that length.
        """

    def send(self, identity: bytes, *parts: bytes) -> bool | str:
        """Queue one message for the end of the turn. Return False when the peer is gone or has too many unread answers.

        Return a text when there is no room: it names what is full, and for which process or user. Then nothing is sent.
        """

    def retry_roomless(self) -> bool:
        """Resume connections whose messages have room by now. Return whether some still wait for room."""

    def drop_unfinished(self) -> list[Peer]:
        """Drop connections whose message, or whose answer in the lane, makes no progress. Return their peers."""

    @property
    def unfinished(self) -> dict[bytes, ClientConnection]:
        """Return connections that have begun a message, or read one in the lane; some may be done already."""

    @property
    def roomless(self) -> dict[bytes, ClientConnection]:
        """Return connections that are not read because there is no room yet for the message that they have begun."""

    def write(self) -> None:
        """Go on with the answers that wait."""

    def _admit(self, connection: ClientConnection) -> None:
        """One more connection, which is greeted."""

    def _drop(self, connection: ClientConnection) -> None:
        """Close a connection, dropping what has not been sent. Idempotent."""

    def _dropped(self, connection: ClientConnection) -> None:
        """Handle a closed connection; for subclasses."""

    def _listen_no_more(self) -> None:
        """Take no more messages; answers go on."""
