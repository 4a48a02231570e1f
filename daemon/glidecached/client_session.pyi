"""Sessions: what an ATTACH made, and what one client's later requests refer to."""

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
    """The process that made it, or 0; forks go on with it."""
    watches: dict[int, Watch]
    """What its threads and event loops watch, each by its number."""
    used_ns: int
    """When its client last asked for something."""
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
        """None where the client brought its own."""

    @property
    def pool(self) -> Pool | None: ...
    @property
    def read_from(self) -> str: ...
    @property
    def order(self) -> CommandOrder:
        """Return the order of its open requests."""

    @property
    def outdated(self) -> bool:
        """Whether attaching again would give the client something else: its pool ended, or may now be joined."""

    def is_for(
        self, upstream: Upstream, pool: Pool | None, upstream_name: str | None, read_from: str
    ) -> bool:
        """Whether a new session with these would be the same."""

    def submit_read(self, call: SingleCall, next_number: Callable[[], int]) -> None:
        """Send a known read to where the client wants its reads answered."""

class Sessions:
    """All sessions, the least recently used first. Long unused ones, and those beyond a share, are forgotten.

    Each process and each user has a share of them (I9). A new session pushes out the least recently used one of its own
    process, or else of its own user, never another user's.

    A forgotten client attaches again by itself, so it loses only a round trip. What it had written is remembered,
    for as many forgotten sessions as there may be sessions. Both bounds may be changed at any time.
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
        """The session, if there is one, it is that user's, and its client need not attach again."""

    def known(self, session_id: int, uid: int) -> ClientSession | None:
        """The session, if there is one and it is that user's, also where its client has to attach again."""

    def floor_of_forgotten(self, session_id: int, uid: int) -> int | None:
        """The floor of that user's session that was forgotten; None where that is too long ago, or never was."""

    def close(self, session_id: int, uid: int) -> None:
        """Forget the session, if it is that user's; one that is not known is closed already."""

    def end(self, concerned: Callable[[ClientSession], bool]) -> int:
        """Forget those that are concerned, so that their clients attach again; how many there were."""
