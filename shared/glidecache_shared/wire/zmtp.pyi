"""ZeroMQ's wire protocol, as far as one DEALER and one ROUTER on one host need it: ZMTP 3.0 without security.

Both sides of the control plane speak it on plain Unix sockets, so that a request wakes as few threads as possible
(docs/design/0011-zmtp-on-plain-sockets.md). libzmq's sockets understand it, and are understood.
"""

SEVERAL_FRAMES: memoryview
"""Stands for a message of more than one frame: compare by identity."""

class ZmtpError(Exception):
    """The peer does not speak this protocol, and the connection is of no use any more. `args[0]` says why."""

class TooLongError(ZmtpError):
    """The peer announced a message over the limit."""

def message_header(body_bytes: int) -> bytes:
    """What goes before the body of a message."""

class Stream:
    """What one connection has received so far, as messages. For one thread.

    Send `opening` first. `receive` what comes, `take` until nothing is left, and send `answers`.
    """

    def __init__(self, socket_type: bytes, max_message_bytes: int) -> None: ...
    @property
    def opening(self) -> bytes:
        """To be sent before anything else."""

    @property
    def ready(self) -> bool:
        """Whether the peer has introduced itself as one to talk to."""

    @property
    def answers(self) -> list[bytes]:
        """To the peer's heartbeats; whoever sends them removes them."""

    @property
    def missing_bytes(self) -> int:
        """How many bytes at least have to come before there can be a frame; not positive when there may be one."""

    def receive(self, descriptor: int) -> int:
        """Read once from a socket, without waiting: how many bytes came, 0 for none yet, -1 at the stream's end."""

    def feed(self, data: bytes) -> None:
        """Take bytes that came by another way."""

    def take(self) -> bytes | memoryview | None:
        """The next message that is complete, `SEVERAL_FRAMES`, or None. Raises `ZmtpError`."""
