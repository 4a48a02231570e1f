"""A DEALER's side of a connection that stands: messages out, messages in, nothing that blocks."""

from glidecache_shared.owned import OwnedDescriptor

READABLE: int
WRITABLE: int

class NotSentError(Exception):
    """The connection was gone before the request was handed over: connect, and send it then."""

class Dealer:
    """What goes over one connected socket, whose file stays its maker's. For one thread.

    It is up when the other side has greeted, not when the kernel has connected: who hangs takes nothing.
    """

    def __init__(self, descriptor: int, file: OwnedDescriptor | None = None) -> None:
        """Greet the daemon. With `file`, nothing is sent once the descriptor's number belongs to another file."""

    @property
    def descriptor(self) -> int:
        """To be watched for reading; and for writing, while `unsent`."""

    @property
    def is_up(self) -> bool:
        """Whether the connection stands, as far as could be seen without waiting."""

    @property
    def ended(self) -> bool:
        """Whether it has been closed, by whichever side: nothing comes any more, and nothing can be sent."""

    @property
    def has_arrived(self) -> bool:
        """Whether something has been received that `events` has to look at before anybody waits."""

    @property
    def unsent(self) -> bool:
        """Whether the kernel has not taken everything that was handed over: `flush` when it can be written to."""

    def events(self) -> int:
        """`READABLE` when a message has come, `WRITABLE` while the connection stands."""

    def send(self, *frames: bytes) -> None:
        """Hand messages over, together. Raises `NotSentError` when the connection does not stand: none was taken.

        When it breaks behind the first byte, nobody knows: that is found out by whoever waits for the replies.
        """

    def receive(self) -> bytes | None:
        """The next message, or None."""

    def flush(self) -> None:
        """Have the kernel take what it has not taken yet, or a part of it."""

    def close(self) -> None:
        """Nothing is sent or received any more. Idempotent."""
