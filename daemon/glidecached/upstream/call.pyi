"""Commands and batches for an upstream: the content, the deadline, and the handling of the reply."""

from collections.abc import Generator, Sequence
from typing import Any

from glidecached.command_order import CommandOrder
from glidecached.upstream.cluster.routing import Route

class Call:
    """A request to be sent upstream, and its one outcome: `succeed` or `fail` is called exactly once.

    Not bound to a connection: an upstream may send it on any, and again on another if `repeatable`. Used by the
    daemon's one thread only. `deadline_ns` is CLOCK_MONOTONIC. `route` gives the destination in a cluster, if it is not
    the node of the keys. Subclasses have to implement `pack`, `abandon`, `succeed` and `fail`.
    """

    deadline_ns: int
    repeatable: bool
    route: Route | None
    attempts: int
    lane: int
    """The connection that it is sent on: a lane of `glidecache_shared.command_table`, or `BULK`."""
    way: int
    """The way it is sent while its lane is held: `USUAL`, `DETOUR` or `PINNED` of `detours`."""
    submitted_ns: int
    """The time of submission; 0 before it, and for a call that is not counted."""

    def __init__(self, deadline_ns: int, *, repeatable: bool) -> None: ...
    def pack(self) -> bytes:
        """Return the bytes for the server."""

    def pack_pieces(self) -> list[bytes]:
        """Return the packed command in pieces, without copying long arguments."""

    def receive(self, reply: Any) -> bool:
        """Take the next reply of the server. Return whether it was the last that this call waits for."""

    def replies_left(self) -> int:
        """Return the number of server replies that it still waits for, once it was packed."""

    def restart(self) -> None:
        """Forget the replies taken so far: the call is going to be sent again."""

    def is_wanted(self, now_ns: int) -> bool:
        """Return whether a client still waits for the reply. Asked just before sending: if not, `abandon` follows.

        Asked again when the reply has come: if not, the connection proves to which calls the next replies belong.
        """

    def abandon(self) -> None:
        """Handle a call that was not sent, because no client wants the reply any more."""

    def succeed(self, reply: Any) -> None:
        """Take the reply: a value, or a `ReplyError` with the server's text."""

    def fail(self, code: int, message: str) -> None:
        """Handle that no reply will come; `code` is one of the protocol's errors."""

    def refusal(self, reply_bytes: int) -> str | None:
        """Return why it need not be sent: its client has no room for a reply of that length. Asked only of long calls.

        A length of 0 asks only whether the client leaves its answers unread.
        """

    def may_move(self) -> bool:
        """Return whether it may be sent once more on another connection to the same server: it only reads."""

    def clients(self) -> list[CommandOrder]:
        """Return the orders of the sessions whose requests it answers; none for the daemon's own calls."""

    def travel(self, way: int) -> None:
        """Record the connection of a held lane on which it travels (see `detours`)."""

    def divide(self, pinned: set[CommandOrder]) -> Call | None:
        """Split off and return a call for the requests of sessions not in `pinned`, or return None."""

class SingleCall(Call):
    """A single command. Subclasses define who waits for its reply.

    With `asks_ttl`, PTTL of each of its keys, which are all of its arguments, is asked in the same write. `succeed`
    gets a list then: the command's own reply, and one for each key.
    """

    asks_ttl: bool

    @property
    def arguments(self) -> Sequence[bytes]: ...
    def __init__(self, arguments: Sequence[bytes], deadline_ns: int, *, repeatable: bool) -> None: ...

class BatchCall(Call):
    """A batch of commands in one write: a pipeline, or a transaction when `atomic` (contract C17).

    `succeed` gets the list of replies, with `ReplyError` for commands that failed alone. It gets None for a
    transaction that the server did not run because a watched key had changed.
    """

    @property
    def commands(self) -> Sequence[Sequence[bytes]]: ...
    @property
    def atomic(self) -> bool: ...
    packed: list[bytes] | None
    """The bytes for the server, in pieces, if they were packed ahead, in slices (`pack_in_slices`)."""
    def __init__(
        self, commands: Sequence[Sequence[bytes]], deadline_ns: int, *, atomic: bool, repeatable: bool
    ) -> None: ...

def pack_command(arguments: Sequence[bytes]) -> bytes:
    """Return one command as the server reads it (RESP): an array of bulk strings."""

def pack_in_slices(
    commands: Sequence[Sequence[bytes]], *, atomic: bool
) -> Generator[None, None, list[bytes]]:
    """Pack a batch, some commands a step. The generator returns the pieces of what `BatchCall.pack` would."""
