"""One client's connection: its messages in, its answers out. Nothing blocks."""

import socket

from glidecached.frontend.account import Account
from glidecached.frontend.budget import Budget
from glidecached.peers import Peer

class ClientConnection:
    """A connected Unix socket whose peer is a DEALER. For the loop's thread."""

    max_unsent: int
    """The limit of parts of answers that wait until the peer reads them."""
    watches_room: bool
    """For the owner: True while it waits until the kernel has room for more."""

    def __init__(
        self,
        connected: socket.socket,
        identity: bytes,
        now_ns: int,
        *,
        max_message_bytes: int,
        max_unsent: int,
        budget: Budget,
    ) -> None:
        """Take over the socket. Raises `OSError` if the peer has disconnected already."""

    refused: str | None
    """The reason to refuse all its requests and to close it then; None for an admitted connection."""

    @property
    def account(self) -> Account:
        """Return the account of the bytes that the daemon holds for it."""

    @property
    def pauses(self) -> int:
        """Return the reasons for which it is not read at present, as bits; 0 when it is read."""

    @property
    def identity(self) -> bytes: ...
    @property
    def peer(self) -> Peer: ...
    @property
    def accepted_ns(self) -> int: ...
    @property
    def descriptor(self) -> int: ...
    @property
    def ended(self) -> bool:
        """Return whether nothing more will arrive. Earlier messages can still be taken."""

    @property
    def ready(self) -> bool:
        """Return whether the peer has introduced itself."""

    @property
    def unsent(self) -> bool:
        """Return whether something is queued."""

    def receive(self) -> None:
        """Read once from the socket, which is readable."""

    def take(self) -> bytes | memoryview | None:
        """Return the next message, or None. Raises `ZmtpError`; the connection is unusable then."""

    def queue(self, *parts: bytes) -> bool | str:
        """Queue one message for the next `flush`. Return False when the peer has too many unread answers.

        Return a text when there is no room for it: it names what is full, and for which process or user.
        """

    def flush(self) -> bool:
        """Send queued answers, as far as the kernel accepts them. Return whether nothing is left to send."""

    def close(self) -> None:
        """Close the socket, and drop unsent answers."""
