"""Messages of connected peers in, answers out, in fair turns. Nothing blocks."""

import select
from collections.abc import Callable, Iterator

from glidecache_shared.wire.zmtp import ZmtpError
from glidecached.frontend.client_connection import ClientConnection
from glidecached.peers import Peer

class ConnectionSet:
    """The connections of a ROUTER socket, with their messages and answers. For the loop's thread.

    Subclasses have `_accept()`, called when a descriptor is ready that belongs to none of the connections.
    """

    _poller: select.epoll
    """The epoll object of all connections, and of the subclass's descriptors."""
    _by_identity: dict[bytes, ClientConnection]
    _by_descriptor: dict[int, ClientConnection]
    _introducing: dict[bytes, ClientConnection]
    """The connections whose peers have not introduced themselves yet, in the order of connecting."""

    peer_ended: Callable[[bytes], object] | None
    """Called with the identity of each connection that has ended, after its last message was taken."""

    def __init__(self, defer: Callable[[Callable[[], object]], object]) -> None:
        """Start without connections. `defer` runs a callback at the end of the loop's turn."""

    @property
    def settled(self) -> bool:
        """Return whether all messages that were read from the connections have been taken."""

    @property
    def unsent(self) -> bool:
        """Return whether answers wait until the kernel has room for them."""

    def receive(self, max_messages: int) -> Iterator[tuple[bytes, Peer, bytes | memoryview | ZmtpError]]:
        """Take at most `max_messages` messages: for each the connection's identity, its peer, and the message.

        An error takes the place of an invalid message. A connection that sent several frames may continue; any other
        error ends it.
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
        """Continue to send the answers that wait."""

    def _admit(self, connection: ClientConnection) -> None:
        """Add a connection, and greet its peer."""

    def _drop(self, connection: ClientConnection) -> None:
        """Close a connection, and drop unsent answers. Idempotent."""

    def _dropped(self, connection: ClientConnection) -> None:
        """Handle a closed connection; for subclasses."""

    def _listen_no_more(self) -> None:
        """Take no more messages; continue to send answers."""
