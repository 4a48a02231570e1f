"""A DEALER's side of an established connection: messages out, messages in, nothing that blocks."""

from glidecache_shared.owned import OwnedDescriptor

READABLE: int
WRITABLE: int

class NotSentError(Exception):
    """The connection was gone before the request was handed over: connect, and send it then."""

class Dealer:
    """The messages over one connected socket, whose file stays its maker's. For one thread.

    It is up when the other side has greeted, not when the kernel has connected: a process that hangs takes nothing.
    """

    def __init__(self, descriptor: int, file: OwnedDescriptor | None = None) -> None:
        """Greet the daemon. With `file`, nothing is sent once the descriptor's number belongs to another file."""

    @property
    def descriptor(self) -> int:
        """Return the descriptor, to be watched for reading, and while `unsent` for writing."""

    @property
    def is_up(self) -> bool:
        """Return whether the connection is established, as far as known without waiting."""

    @property
    def ended(self) -> bool:
        """Return whether either side has closed it: nothing comes any more, and nothing can be sent."""

    @property
    def has_arrived(self) -> bool:
        """Return whether received data is left for `events`, which must look at it before any wait."""

    @property
    def unsent(self) -> bool:
        """Return whether the kernel has not taken everything yet: `flush` when the socket is writable."""

    def events(self) -> int:
        """Return `READABLE` when a message has come, `WRITABLE` while the connection is established."""

    def send(self, *frames: bytes) -> None:
        """Hand messages over, together. Raises `NotSentError` when there is no connection: none was taken.

        A break behind the first byte shows only when the caller waits for the replies.
        """

    def receive(self) -> bytes | None:
        """Return the next message, or None."""

    def flush(self) -> None:
        """Give the kernel the bytes that it has not taken yet, or a part of them."""

    def close(self) -> None:
        """Close: nothing is sent or received any more. Idempotent."""
