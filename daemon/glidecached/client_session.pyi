"""Sessions: ATTACH makes one, and the client's later requests refer to it."""

from collections.abc import Callable, Iterator

from glidecached.command_order import CommandOrder
from glidecached.pools.pool import Pool
from glidecached.process.loop import Loop
from glidecached.upstream.call import SingleCall
from glidecached.upstream.interface import Upstream
from glidecached.watched_keys import Watch

PRIMARY: str
ALL_NODES: str

class TooManySessionsError(Exception):
    """The user's share of sessions is full, and none of them can be forgotten: `args[0]` is the text."""

class ClientSession:
    """One client's upstream, its pool if it has one, and the order of its commands. A session belongs to one uid.

    Forks share it.
    """

    floor: int
    """The number of its last command that is not a known read, in the daemon's one count of what is sent.

    Only flights above it may answer the client's reads (contract C7a, C22).
    """
    pid: int
    """The process that made it, or 0; forks continue to use it."""
    watches: dict[int, Watch]
    """The watches of its threads and event loops, by their numbers."""
    used_ns: int
    """The time of its client's last request."""
    processes: set[int]
    """Ids of processes that have used it: the one that made it, and its forks."""

    def __init__(
        self,
        session_id: int,
        uid: int,
        upstream: Upstream,
        pool: Pool | None,
        order: CommandOrder,
        *,
        awaits_proof: bool,
        read_from: str = ...,
        upstream_name: str | None = None,
    ) -> None: ...
    @property
    def session_id(self) -> int: ...
    @property
    def uid(self) -> int: ...
    @property
    def upstream(self) -> Upstream: ...
    @property
    def upstream_name(self) -> str | None:
        """Return the name of the configured upstream; None where the client brought its own."""

    @property
    def pool(self) -> Pool | None: ...
    @property
    def read_from(self) -> str: ...
    @property
    def order(self) -> CommandOrder:
        """Return the order of its open requests."""

    @property
    def outdated(self) -> bool:
        """Return whether attaching again would give the client something else: its pool ended, or may now be joined."""

    def is_for(
        self, upstream: Upstream, pool: Pool | None, upstream_name: str | None, read_from: str
    ) -> bool:
        """Return whether a new session with these would be the same."""

    def submit_read(self, call: SingleCall, next_number: Callable[[], int]) -> None:
        """Send a known read to the nodes that the client chose for its reads."""

class Sessions:
    """The sessions, the least recently used first. Long unused ones, and those beyond a share, are forgotten.

    Each process and each user has a share of them (I9). A new session pushes out the least recently used one of its own
    process, or else of its own user, never another user's.

    A forgotten client attaches again by itself, so it loses only a round trip. Its floor is remembered, for as many
    forgotten sessions as there may be sessions. Both limits may be changed at any time.
    """

    max_sessions: int
    idle_seconds: int

    def __init__(self, loop: Loop, max_sessions: int, idle_seconds: int) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ClientSession]: ...
    def open(
        self,
        uid: int,
        upstream: Upstream,
        pool: Pool | None,
        *,
        awaits_proof: bool,
        read_from: str = ...,
        upstream_name: str | None = None,
        pid: int = 0,
    ) -> ClientSession:
        """Make a session. Raises `TooManySessionsError` if all are in use and none of this user's can be forgotten."""

    def find(self, session_id: int, uid: int, now_ns: int) -> ClientSession | None:
        """Return the session if it is that user's and its client need not attach again; else None."""

    def known(self, session_id: int, uid: int) -> ClientSession | None:
        """Return the session if it is that user's, even if its client has to attach again; else None."""

    def floor_of_forgotten(self, session_id: int, uid: int) -> int | None:
        """Return the floor of that user's forgotten session; None if that is too long ago, or there was none."""

    def close(self, session_id: int, uid: int) -> None:
        """Forget the session, if it is that user's. An unknown session is closed already."""

    def end(self, concerned: Callable[[ClientSession], bool]) -> int:
        """Forget the sessions for which `concerned` is true: their clients attach again. Return their number."""
