"""Sessions: what an ATTACH made, and what one client's later requests refer to."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from glidecached.upstream.replicas import any_server_may_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.loop import Loop
    from glidecached.pools.pool import Pool
    from glidecached.upstream.base import Upstream
    from glidecached.upstream.call import SingleCall
    from glidecached.watch import Watch

_SWEEP_MS = 60_000

PRIMARY = "primary"
ALL_NODES = "all_nodes"


class Session:
    """One client's upstream, its pool if it has one, and the order of its commands.

    `floor` is the number of its last command that is not a known read, in the daemon's one count of what is sent: only
    flights above it may answer the client's reads (contract C7a, C22). `upstream_name` is None where the client brought
    its own. `watches` has what its threads and event loops watch, each by its number. A session belongs to one uid;
    forks share it.
    """

    __slots__ = (
        "_first_read",
        "awaits_proof",
        "floor",
        "pid",
        "pool",
        "processes",
        "read_from",
        "session_id",
        "uid",
        "upstream",
        "upstream_name",
        "used_ns",
        "watches",
    )

    def __init__(
        self,
        session_id: int,
        uid: int,
        upstream: Upstream,
        pool: Pool | None,
        *,
        awaits_proof: bool,
        read_from: str = PRIMARY,
        upstream_name: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.uid = uid
        self.upstream = upstream
        self.upstream_name = upstream_name
        self.pool = pool
        self.awaits_proof = awaits_proof
        self.read_from = read_from
        self._first_read = 0
        self.floor = 0
        self.pid = 0
        """The process that made it; forks go on with it."""
        self.used_ns = time.monotonic_ns()
        self.watches: dict[int, Watch] = {}
        self.processes: set[int] = set()
        """Ids of processes that have used it: the one that made it, and its forks."""

    def submit_read(self, call: SingleCall, next_number: Callable[[], int]) -> None:
        """Send a known read to where the client wants its reads answered."""
        if self.read_from == PRIMARY or not any_server_may_answer(call.arguments):
            self.upstream.submit(call)
            return
        if not self._first_read:
            # The client may have had another session before, and have written in it.
            self._first_read = next_number()
        floor = max(self.floor, self._first_read)
        self.upstream.submit_read(call, floor, primary_too=self.read_from == ALL_NODES)

    def is_for(
        self, upstream: Upstream, pool: Pool | None, upstream_name: str | None, read_from: str
    ) -> bool:
        """Whether a new session with these would be the same."""
        mine = (self.upstream, self.pool, self.upstream_name, self.read_from)
        return not self.outdated and mine == (upstream, pool, upstream_name, read_from)

    @property
    def outdated(self) -> bool:
        """Whether attaching again would give the client something else: its pool ended, or may now be joined."""
        if self.pool is not None:
            return self.pool.ended
        return self.awaits_proof and self.upstream.proved


class Sessions:
    """All sessions, the longest unused first: those unused for long, and those beyond the bound, are forgotten.

    A forgotten client attaches again by itself, so nothing is lost but a round trip. What it had written is remembered
    for as many forgotten sessions as there may be sessions.
    """

    def __init__(self, loop: Loop, max_sessions: int, idle_seconds: int) -> None:
        """Both bounds may be set anew at any time."""
        self._loop = loop
        self.max_sessions = max_sessions
        self.idle_seconds = idle_seconds
        self._by_id: OrderedDict[int, Session] = OrderedDict()
        self._forgotten: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._ids = itertools.count(1)
        loop.call_later(_SWEEP_MS, self._forget_idle)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_id.values())

    def open(
        self,
        uid: int,
        upstream: Upstream,
        pool: Pool | None,
        *,
        awaits_proof: bool,
        read_from: str = PRIMARY,
        upstream_name: str | None = None,
    ) -> Session:
        """Make a session."""
        while len(self._by_id) >= self.max_sessions:
            self._forget(next(iter(self._by_id)))
        session = Session(
            next(self._ids),
            uid,
            upstream,
            pool,
            awaits_proof=awaits_proof,
            read_from=read_from,
            upstream_name=upstream_name,
        )
        self._by_id[session.session_id] = session
        upstream.sessions += 1
        return session

    def find(self, session_id: int, uid: int, now_ns: int) -> Session | None:
        """The session, if there is one, it is that user's, and its client need not attach again."""
        session = self._by_id.get(session_id)
        if session is None or session.uid != uid:
            return None
        if session.outdated:
            self._forget(session_id)
            return None
        session.used_ns = now_ns
        self._by_id.move_to_end(session_id)
        return session

    def known(self, session_id: int, uid: int) -> Session | None:
        """The session, if there is one and it is that user's, also where its client has to attach again."""
        session = self._by_id.get(session_id)
        return session if session is not None and session.uid == uid else None

    def floor_of_forgotten(self, session_id: int, uid: int) -> int | None:
        """The floor of that user's session that was forgotten; None where that is too long ago, or never was."""
        owner, floor = self._forgotten.get(session_id, (None, 0))
        return floor if owner == uid else None

    def close(self, session_id: int, uid: int) -> None:
        """Forget the session, if it is that user's; one that is not known is closed already."""
        session = self._by_id.get(session_id)
        if session is not None and session.uid == uid:
            self._forget(session_id)

    def end(self, concerned: Callable[[Session], bool]) -> int:
        """Forget those that are concerned, so that their clients attach again; how many there were."""
        found = [session.session_id for session in self._by_id.values() if concerned(session)]
        for session_id in found:
            self._forget(session_id)
        return len(found)

    def _forget(self, session_id: int) -> None:
        session = self._by_id.pop(session_id)
        self._forgotten[session_id] = (session.uid, session.floor)
        while len(self._forgotten) > self.max_sessions:
            self._forgotten.popitem(last=False)
        session.upstream.sessions -= 1
        for watch in list(session.watches.values()):
            watch.end()

    def _forget_idle(self) -> None:
        self._loop.call_later(_SWEEP_MS, self._forget_idle)
        oldest_ns = time.monotonic_ns() - self.idle_seconds * 1_000_000_000
        while self._by_id:
            session_id, session = next(iter(self._by_id.items()))
            if session.used_ns > oldest_ns:
                return
            self._forget(session_id)
