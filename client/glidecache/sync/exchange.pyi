"""One thread's requests to the daemon, in compiled code: send one, wait for its reply.

Python runs signal handlers, and raises exceptions of other threads, between two of its own instructions. Here that can
happen only while a request waits: everything else is one step to the outside (isolation, I15).
"""

from typing import Any

from glidecache.core.connection import DaemonConnection
from glidecache_shared.wire.dealer import Dealer

class Closing:
    """A flag that a client was closed: its threads check it before they wait."""

    closed: bool

class Exchange:
    """The open requests of one connection. For one thread.

    A call inside a call, from a signal handler or a finalizer, is safe. While a request waits, the call inside may use
    the same socket, and take the reply of the one outside for it. Otherwise `busy` is True.
    """

    busy: bool
    """True while a call uses the socket, which a call inside it must leave alone."""
    open_ids: set[int]
    replies: dict[int, tuple[int, Any]]
    """Replies that a call inside has received for the ones outside."""
    sent_ns: int
    """The time at which a request was last handed to the kernel, whole."""

    def __init__(self, closing: Closing) -> None: ...
    def request(
        self,
        connection: DaemonConnection,
        dealer: Dealer,
        request_id: int,
        message: bytes,
        deadline_ns: int,
    ) -> tuple[int, Any]:
        """Send a message and return its reply's status and body.

        Raises `NotSentError`, `DaemonLostError`, `NoReplyError`; `ClosingError` when another thread closes the client.
        When it raises anything but `NoReplyError`, `connection` has dropped the dealer: what was half sent or half read
        must not become part of a message, and the daemon ends what is open on a connection that closes (isolation, I1).
        """
