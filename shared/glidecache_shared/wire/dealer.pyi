"""A client's connection to one daemon process, and to no later one: messages out, messages in.

A DEALER's side of ZeroMQ's protocol, on a plain Unix socket: no thread, no wake-up in between, and no state that a fork
breaks (docs/design/0011-zmtp-on-plain-sockets.md).
"""

from glidecache_shared.owned import OwnedDescriptor

READABLE: int
WRITABLE: int

class NotSentError(Exception):
    """The connection was gone before the request was handed over: connect, and send it then."""

def forks() -> int:
    """Return the number of forks between the process that imported this module and the present one."""

class Dealer:
    """The messages over one connected socket. For one thread; closed after a fork, in the child.

    It is up when the other side has greeted, not when the kernel has connected: a process that hangs takes nothing.
    The socket closes with the object, unless its number belongs to another file by then (isolation, I16).
    """

    def __init__(self, file: OwnedDescriptor) -> None:
        """Take over a connected socket, and greet the daemon."""

    @staticmethod
    def connect(path: str) -> Dealer:
        """Begin to connect to the socket at `path`.

        Raises `OSError` when no process listens there, `BlockingIOError` when too many connections wait there already.
        """

    @property
    def file(self) -> OwnedDescriptor:
        """Return the socket. An application that closes all descriptors closes this one, too: see `is_own`."""

    @property
    def descriptor(self) -> int:
        """Return the descriptor, to be watched for reading, and while `unsent` for writing."""

    @property
    def is_up(self) -> bool:
        """Return whether the connection is established, as far as known without waiting."""

    @property
    def ended(self) -> bool:
        """Return whether either side has closed it: nothing can be sent, and nothing more arrives."""

    @property
    def has_arrived(self) -> bool:
        """Return whether received data is left for `events`, which must look at it before any wait."""

    @property
    def unsent(self) -> bool:
        """Return whether the kernel has not taken everything yet: `flush` when the socket is writable."""

    def events(self) -> int:
        """Return `READABLE` when a message has arrived, `WRITABLE` while the connection is established."""

    def wait(self, milliseconds: float) -> bool:
        """Block until something has changed, which `events` and `flush` then handle; False when the time is over."""

    def send(self, *frames: bytes) -> None:
        """Hand messages over, together. Raises `NotSentError` when there is no connection: none was taken.

        A break behind the first byte shows only when the caller waits for the replies.
        """

    def receive(self) -> bytes | None:
        """Return the next message, or None."""

    def flush(self) -> None:
        """Give the kernel the bytes that it has not taken yet, or a part of them."""

    def close(self) -> None:
        """Close, and drop what has not been sent. Idempotent."""
