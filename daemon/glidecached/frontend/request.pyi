"""One request of a client, from the moment it is accepted until its one answer."""

from collections.abc import Callable
from typing import Any, Protocol

from glidecached.client_session import ClientSession
from glidecached.command_order import CommandOrder
from glidecached.peers import Peer

class Answering(Protocol):
    """The receiver of answers: the dispatcher."""

    def answer(self, identity: bytes, *parts: bytes) -> None:
        """Send one packed reply, the parts of which make one message."""

    def finished(self, request: Request) -> None:
        """Note that the request has had its answer."""

    def why_full(self, identity: bytes, size_bytes: int) -> str | None:
        """Return the reason why a connection takes no answers now, or none of this length; or None."""

    def pack_later(self, request: Request, value: Any) -> None:
        """Pack a reply that is large or contains rare types, and `finish` the request with it."""

class Request:
    """An accepted request. The first call of `reply`, `fail`, `expire` or `cancel` ends it; later calls do nothing."""

    peer: Peer
    session: ClientSession | None
    """The session that it names, once its operation has looked it up."""
    slot: set[Any] | None
    """The set of `Deadlines` that contains it until it is answered."""
    frame_bytes: int
    """The length of its message."""
    on_finish: Callable[[], object] | None
    """Called once it is finished: gives back the units that were counted for it."""
    expiry: tuple[int, str]
    """The code and the message of the error when its deadline passes."""

    def __init__(
        self, front: Answering, identity: bytes, peer: Peer, request_id: int, deadline_ns: int
    ) -> None: ...
    @property
    def identity(self) -> bytes: ...
    @property
    def request_id(self) -> int: ...
    @property
    def deadline_ns(self) -> int: ...
    @property
    def finished(self) -> bool: ...
    @property
    def order(self) -> CommandOrder | None:
        """Return the order that it belongs to once it is on its way upstream."""

    def refusal(self, reply_bytes: int) -> str | None:
        """Return the reason why there is no room for an answer of this length: earlier ones have not been read."""

    def take_place(self, order: CommandOrder) -> None:
        """Take a place in its client's order, until it ends."""

    def reply(self, value: Any) -> None:
        """Answer with the server's reply or a result; a `ReplyError` is the server's refusal."""

    def fail(self, code: int, message: str) -> None:
        """Answer with one of the protocol's errors."""

    def cancel(self) -> None:
        """End without an answer: the caller no longer waits."""
    def finish(self, message: bytes, rest: bytes | None = None) -> None:
        """Answer with an already packed message, in one part or two. Only while it is not `finished`."""

    def expire(self) -> None:
        """Fail with `expiry`, a code and a message: the deadline has passed without an answer."""
