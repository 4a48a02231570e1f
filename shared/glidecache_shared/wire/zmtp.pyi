"""ZeroMQ's wire protocol, as far as one DEALER and one ROUTER on one host need it: ZMTP 3.0 without security.

Both sides of the control plane speak it on plain Unix sockets, so that a request wakes as few threads as possible
(docs/design/0011-zmtp-on-plain-sockets.md). libzmq's sockets understand it, and are understood.
"""

SEVERAL_FRAMES: memoryview
"""The mark of a message of more than one frame: compare by identity."""

class ZmtpError(Exception):
    """The peer does not speak this protocol, and the connection is of no use any more. `args[0]` says why."""

class TooLongError(ZmtpError):
    """The peer announced a message over the limit."""

def message_header(body_bytes: int) -> bytes:
    """Return the header before the body of a message."""

class Stream:
    """The data that one connection has received so far, as messages. For one thread.

    Send `opening` first. `receive` incoming data, read `next_message` until nothing is left, and send `answers`.
    """

    def __init__(self, socket_type: bytes, max_message_bytes: int) -> None: ...
    @property
    def opening(self) -> bytes:
        """Return the bytes to be sent before anything else."""

    @property
    def ready(self) -> bool:
        """Return whether the peer has introduced itself as a valid partner."""

    @property
    def answers(self) -> list[bytes]:
        """Return the answers to the peer's heartbeats; the caller that sends them removes them."""

    @property
    def missing_bytes(self) -> int:
        """Return the least number of bytes before there can be a frame; not positive when there may be one."""

    def receive(self, descriptor: int) -> int:
        """Read once from a socket, without waiting. Return the number of bytes, 0 for none yet, -1 at the end."""

    def feed(self, data: bytes) -> None:
        """Take bytes that came by another way."""

    def next_message(self) -> bytes | memoryview | None:
        """Return the next complete message, `SEVERAL_FRAMES`, or None. Raises `ZmtpError`."""
