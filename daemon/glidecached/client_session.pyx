"""Sessions (see client_session.pyi)."""

from collections import OrderedDict, namedtuple

from libc.stdint cimport int64_t

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.command_order cimport CommandOrder
from glidecached.pools.entries cimport PoolEntries
from glidecached.single_flight cimport Flights

from glidecached.shares import Shares
from glidecached.upstream.replicas import any_server_may_answer

cdef enum:
    SWEEP_MS = 60_000

Holder = namedtuple("Holder", ("uid", "pid"))

PRIMARY = "primary"
ALL_NODES = "all_nodes"


class TooManySessionsError(Exception):
    """The user's share of sessions is full, and none of them can be forgotten: `args[0]` is the text."""


cdef class ClientSession:
    def __init__(
        self, session_id, int64_t uid, upstream, pool, CommandOrder order not None, *,
        bint awaits_proof, str read_from=PRIMARY, upstream_name=None
    ):
        self.session_id = session_id
        self.uid = uid
        self.upstream = upstream
        self.upstream_name = upstream_name
        self.pool = pool
        if pool is not None:
            self.entries, self.flights = pool.entries, pool.flights
        self.awaits_proof = awaits_proof
        self.read_from = read_from
        self.reads_primary = read_from == PRIMARY
        self.used_ns = monotonic_ns()
        self.watches = {}
        self.processes = set()
        self.order = order

    cpdef object submit_read(self, object call, object next_number):
        if self.reads_primary or not any_server_may_answer(call.arguments):
            self.upstream.submit(call)
            return
        if not self.first_read:
            # The client may have had another session before, and have written in it.
            self.first_read = next_number()
        self.upstream.submit_read(
            call, max(self.floor, self.first_read), primary_too=self.read_from == ALL_NODES)

    def is_for(self, upstream, pool, upstream_name, read_from) -> bool:
        mine = (self.upstream, self.pool, self.upstream_name, self.read_from)
        return not self.is_outdated() and mine == (upstream, pool, upstream_name, read_from)

    @property
    def outdated(self) -> bool:
        return self.is_outdated()

    cdef inline bint is_outdated(self) except -1:
        if self.entries is not None:
            return self.entries.ended
        return self.awaits_proof and self.upstream.proved


cdef class Sessions:
    def __init__(self, loop, int64_t max_sessions, int64_t idle_seconds):
        self.loop = loop
        self.idle_seconds = idle_seconds
        self.by_id = OrderedDict()
        self.shares = Shares(max_sessions, "sessions", "[daemon] max_sessions")
        self.forgotten = OrderedDict()
        loop.call_later(SWEEP_MS, self._forget_idle)

    def __len__(self):
        return len(self.by_id)

    def __iter__(self):
        return iter(self.by_id.values())

    @property
    def max_sessions(self) -> int:
        return self.shares.total

    @max_sessions.setter
    def max_sessions(self, int64_t total):
        self.shares.total = total

    def open(
        self, int64_t uid, upstream, pool, *, bint awaits_proof, str read_from=PRIMARY, upstream_name=None, pid=0
    ):
        holder = Holder(uid, pid)
        full = self.shares.enter(holder)
        while full is not None:
            # Only sessions of the same user make room, its process's first: other users' clients need not attach again.
            if not self.forget_oldest(uid, pid) and not self.forget_oldest(uid, None):
                raise TooManySessionsError(full)
            full = self.shares.enter(holder)
        self.last_id += 1
        session = ClientSession(
            self.last_id, uid, upstream, pool, CommandOrder(self.loop),
            awaits_proof=awaits_proof, read_from=read_from, upstream_name=upstream_name)
        session.holder = holder
        session.pid = pid
        self.by_id[session.session_id] = session
        upstream.sessions += 1
        return session

    cpdef ClientSession find(self, object session_id, int64_t uid, int64_t now_ns):
        cdef ClientSession session = self.by_id.get(session_id)
        if session is None or session.uid != uid:
            return None
        if session.is_outdated():
            self.forget(session_id)
            return None
        session.used_ns = now_ns
        self.by_id.move_to_end(session_id)
        return session

    def known(self, session_id, int64_t uid):
        cdef ClientSession session = self.by_id.get(session_id)
        return session if session is not None and session.uid == uid else None

    def floor_of_forgotten(self, session_id, int64_t uid):
        owner, floor = self.forgotten.get(session_id, (None, 0))
        return floor if owner == uid else None

    def close(self, session_id, int64_t uid):
        cdef ClientSession session = self.by_id.get(session_id)
        if session is not None and session.uid == uid:
            self.forget(session_id)

    def end(self, concerned):
        found = [session.session_id for session in self.by_id.values() if concerned(session)]
        for session_id in found:
            self.forget(session_id)
        return len(found)

    cdef bint forget_oldest(self, int64_t uid, object pid) except -1:
        """Forget the least recently used session of that process, or of that user. Return whether there was one."""
        cdef ClientSession session
        for session in self.by_id.values():
            if session.uid == uid and (pid is None or session.holder.pid == pid):
                self.forget(session.session_id)
                return True
        return False

    cdef int forget(self, object session_id) except -1:
        cdef ClientSession session = self.by_id.pop(session_id)
        self.shares.leave(session.holder)
        self.forgotten[session_id] = (session.uid, session.floor)
        while len(self.forgotten) > self.shares.total:
            self.forgotten.popitem(last=False)
        session.upstream.sessions -= 1
        for watch in list(session.watches.values()):
            watch.end()
        return 0

    def _forget_idle(self):
        cdef ClientSession session
        cdef int64_t oldest_ns = monotonic_ns() - self.idle_seconds * 1_000_000_000
        self.loop.call_later(SWEEP_MS, self._forget_idle)
        while self.by_id:
            session = next(iter(self.by_id.values()))
            if session.used_ns > oldest_ns:
                return
            self.forget(session.session_id)
