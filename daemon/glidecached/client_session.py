"""Sessions: ATTACH makes one, and the client's later requests refer to it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns

from glidecache_shared.protocol import ERROR_UNKNOWN_SESSION
from glidecached.command_order import CommandOrder
from glidecached.shares import Shares
from glidecached.upstream.replicas import any_server_may_answer
from glidecached.upstream.sender import UpstreamCore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.frontend.caller import Caller
    from glidecached.frontend.request import Request
    from glidecached.pools.entries import PoolEntries
    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop
    from glidecached.sequence import Sequence
    from glidecached.single_flight import Flights
    from glidecached.upstream.call import SingleCall
    from glidecached.upstream.interface import Upstream
    from glidecached.watched_keys import Watch

PRIMARY = "primary"
ALL_NODES = "all_nodes"

_SWEEP_MS = 60_000
RECENT_MASK = cython.declare(cython.longlong, 63)


class SessionHolder(NamedTuple):
    """The process in whose share a session counts (`shares.Holder`)."""

    uid: int
    pid: int


class TooManySessionsError(Exception):
    """The user's share of sessions is full, and none of them can be forgotten: `args[0]` is the text."""


class ClientSession:
    """One client's upstream, its pool if it has one, and the order of its commands. A session belongs to one uid.

    Forks share it.
    """

    entries: PoolEntries | None
    """The pool's entries, which requests use; None without a pool."""
    flights: Flights | None
    core: UpstreamCore
    """The upstream's compiled part, which requests use."""
    before: ClientSession | None
    behind: ClientSession | None
    """Its neighbours in the order of use."""

    def __init__(
        self,
        session_id: int,
        uid: cython.longlong,
        upstream: Upstream,
        pool: Pool | None,
        order: CommandOrder,
        *,
        awaits_proof: bool,
        read_from: str = PRIMARY,
        upstream_name: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.uid = uid
        self.holder = SessionHolder(uid, 0)
        self.upstream = upstream
        self.upstream_name = upstream_name
        """The name of the configured upstream; None where the client brought its own."""
        self.pool = pool
        self.core = cython.cast(UpstreamCore, upstream, typecheck=True)
        if pool is not None:
            self.entries, self.flights = pool.entries, pool.flights
        self.awaits_proof = awaits_proof
        self.read_from = read_from
        self.reads_primary = read_from == PRIMARY
        self.first_read = 0
        self.min_flight: int = 0
        """The number of its last command that is not a known read, in the daemon's one sequence of what is sent.

        Only flights above it may answer the client's reads (contract C7a, C22).
        """
        self.pid: int = 0
        """The process that made it, or 0; forks continue to use it."""
        self.used_ns: int = monotonic_ns()
        """The time of its client's last request."""
        self.watches: dict[int, Watch] = {}
        """The watches of its threads and event loops, by their numbers."""
        self.processes: set[int] = set()
        """Ids of processes that have used it: the one that made it, and its forks."""
        self.cache_label: str | None = None
        """The cache that its client asked for: its name or id, also before there is a pool; None without one."""
        self.order = order
        """The order of its open requests."""

    def submit_read(self, call: SingleCall, next_sequence: Sequence) -> None:
        """Send a known read to the nodes that the client chose for its reads."""
        if self.reads_primary or not any_server_may_answer(call.arguments):
            self.core.sender.submit(call)
            return
        if not self.first_read:
            # The client may have had another session before, and have written in it.
            self.first_read = next_sequence.take()
        self.upstream.submit_read(
            call, max(self.min_flight, self.first_read), primary_too=self.read_from == ALL_NODES
        )

    def advance(self, next_sequence: Sequence) -> None:
        """Let only flights that are sent from now on answer the session's reads (contract C7a, C22).

        Called when a command that may write is sent. A command on a connection of its own may take effect later than
        one sent after it on the shared connection. For such a command, this is called once more when it is done.
        """
        self.min_flight = next_sequence.take()

    def advance_again(self, next_sequence: Sequence) -> None:
        """Do the same at a command's outcome.

        It stays a Python method: Cython wraps a typed one, where it is kept for later, with one argument too few.
        """
        self.advance(next_sequence)

    def is_for(
        self, upstream: Upstream, pool: Pool | None, upstream_name: str | None, read_from: str
    ) -> bool:
        """Return whether a new session with these would be the same."""
        mine = (self.upstream, self.pool, self.upstream_name, self.read_from)
        return not self.is_outdated() and mine == (upstream, pool, upstream_name, read_from)

    @property
    def outdated(self) -> bool:
        """Return whether attaching again would give the client something else: its pool ended, or may now be joined."""
        return self.is_outdated()

    def is_outdated(self) -> bool:
        """Return whether it is `outdated`."""
        if self.entries is not None:
            return self.entries.ended
        return self.awaits_proof and self.upstream.proved


class Sessions:
    """The sessions, the least recently used first. Long unused ones, and those beyond a share, are forgotten.

    Each process and each user has a share of them (I9). A new session pushes out the least recently used one of its own
    process, or else of its own user, never another user's.

    A forgotten client attaches again by itself, so it loses only a round trip. Its `min_flight` is remembered, for as
    many forgotten sessions as there may be sessions. Both limits may be changed at any time.
    """

    def __init__(self, loop: Loop, max_sessions: int, idle_seconds: int) -> None:
        self.loop = loop
        self.idle_seconds = idle_seconds
        self.by_id: dict[int, ClientSession] = {}
        self.recent: list[ClientSession | None] = [None] * (RECENT_MASK + 1)
        self.oldest: ClientSession | None = None
        self.newest: ClientSession | None = None
        self.shares = Shares(max_sessions, "sessions", "[daemon] max_sessions")
        self.forgotten: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self.last_id = 0
        loop.call_later(_SWEEP_MS, self._forget_idle)

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(self.by_id.values())

    @property
    def max_sessions(self) -> int:
        """Return the limit of sessions of all users together."""
        return self.shares.total

    @max_sessions.setter
    def max_sessions(self, total: int) -> None:
        self.shares.total = total

    def open(
        self,
        uid: cython.longlong,
        upstream: Upstream,
        pool: Pool | None,
        *,
        awaits_proof: bool,
        read_from: str = PRIMARY,
        upstream_name: str | None = None,
        pid: int = 0,
    ) -> ClientSession:
        """Make a session. Raises `TooManySessionsError` if all are in use and none of this user's can be forgotten."""
        session: ClientSession
        holder = SessionHolder(uid, pid)
        full = self.shares.enter(holder)
        while full is not None:
            # Only sessions of the same user make room, its process's first: other users' clients need not attach again.
            if not self.forget_oldest(uid, pid) and not self.forget_oldest(uid, None):
                raise TooManySessionsError(full)
            full = self.shares.enter(holder)
        self.last_id += 1
        session = ClientSession(
            self.last_id,
            uid,
            upstream,
            pool,
            CommandOrder(self.loop),
            awaits_proof=awaits_proof,
            read_from=read_from,
            upstream_name=upstream_name,
        )
        session.holder = holder
        session.pid = pid
        self.by_id[session.session_id] = session
        self.use(session, session.used_ns)
        upstream.sessions += 1
        return session

    def of_request(self, request: Request, session_id: Any) -> ClientSession | None:
        """Return the session that a request names; without one, refuse the request and return None."""
        # The smallest number is 1: 0 means any that is none.
        return self.of_number(request, session_id if 0 < session_id <= self.last_id else 0)

    def of_number(self, request: Request, number: cython.longlong) -> ClientSession | None:
        """Do what `of_request` does, for compiled code."""
        caller: Caller = request.caller
        session: ClientSession | None = self.recent[number & RECENT_MASK]
        now_ns: cython.longlong = monotonic_ns()
        if (
            session is None
            or session.session_id != number
            or session.uid != caller.uid
            or session.is_outdated()
        ):
            session = self.find(number, caller.uid, now_ns)
            if session is None:
                request.fail(ERROR_UNKNOWN_SESSION, "this session is not known here (any more); attach again")
                return None
            self.recent[number & RECENT_MASK] = session
        else:
            self.use(session, now_ns)
        request.session = session
        if caller.session_id != number:
            # Once is enough: as long as it is connected, its process stays among the session's.
            caller.session_id = number
            session.processes.add(caller.pid)
        return session

    def find(self, session_id: Any, uid: cython.longlong, now_ns: cython.longlong) -> ClientSession | None:
        """Return the session if it is that user's and its client need not attach again; else None."""
        session: ClientSession | None = self.by_id.get(session_id)
        if session is None or session.uid != uid:
            return None
        if session.is_outdated():
            self.forget(session_id)
            return None
        self.use(session, now_ns)
        return session

    def use(self, session: ClientSession, now_ns: cython.longlong) -> None:
        """Note that the session is used: it is the last to be forgotten."""
        session.used_ns = now_ns
        if self.newest is session:
            return
        self.unlink(session)
        session.before = self.newest
        if self.newest is None:
            self.oldest = session
        else:
            self.newest.behind = session
        self.newest = session

    def unlink(self, session: ClientSession) -> None:
        """Take a session out of the order of use, if it is in it."""
        before: ClientSession | None = session.before
        behind: ClientSession | None = session.behind
        session.before = session.behind = None
        if before is not None:
            before.behind = behind
        elif self.oldest is session:
            self.oldest = behind
        if behind is not None:
            behind.before = before
        elif self.newest is session:
            self.newest = before

    def known(self, session_id: int, uid: cython.longlong) -> ClientSession | None:
        """Return the session if it is that user's, even if its client has to attach again; else None."""
        session: ClientSession | None = self.by_id.get(session_id)
        return session if session is not None and session.uid == uid else None

    def min_flight_of_forgotten(self, session_id: int, uid: int) -> int | None:
        """Return `min_flight` of that user's forgotten session; None if that is too long ago, or there was none."""
        owner, min_flight = self.forgotten.get(session_id, (None, 0))
        return min_flight if owner == uid else None

    def close(self, session_id: int, uid: int) -> None:
        """Forget the session, if it is that user's. An unknown session is closed already."""
        if self.known(session_id, uid) is not None:
            self.forget(session_id)

    def end(self, concerned: Callable[[ClientSession], bool]) -> int:
        """Forget the sessions for which `concerned` is true: their clients attach again. Return their number."""
        found = [session.session_id for session in self.by_id.values() if concerned(session)]
        for session_id in found:
            self.forget(session_id)
        return len(found)

    def forget_oldest(self, uid: cython.longlong, pid: Any) -> bool:
        """Forget the least recently used session of that process, or of that user. Return whether there was one."""
        session: ClientSession | None = self.oldest
        while session is not None:
            if session.uid == uid and (pid is None or session.holder.pid == pid):
                self.forget(session.session_id)
                return True
            session = session.behind
        return False

    def forget(self, session_id: Any) -> None:
        """Forget a session, and end its watches."""
        session: ClientSession = self.by_id.pop(session_id)
        self.unlink(session)
        if self.recent[session.session_id & RECENT_MASK] is session:
            self.recent[session.session_id & RECENT_MASK] = None
        self.shares.leave(session.holder)
        self.forgotten[session_id] = (session.uid, session.min_flight)
        while len(self.forgotten) > self.shares.total:
            self.forgotten.popitem(last=False)
        session.upstream.sessions -= 1
        for watch in list(session.watches.values()):
            watch.end()

    def _forget_idle(self) -> None:
        session: ClientSession | None
        oldest_ns: cython.longlong = monotonic_ns() - self.idle_seconds * 1_000_000_000
        self.loop.call_later(_SWEEP_MS, self._forget_idle)
        session = self.oldest
        while session is not None and session.used_ns <= oldest_ns:
            self.forget(session.session_id)
            session = self.oldest
