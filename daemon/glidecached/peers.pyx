"""Peers, and their open requests (see peers.pyi)."""

from collections import namedtuple

Peer = namedtuple("Peer", ("uid", "gid", "pid", "groups"), defaults=((),), module=__name__)


cdef class OpenRequests:
    def __init__(self, Py_ssize_t max_per_peer):
        self.max_per_peer = max_per_peer
        self.counts = {}

    @property
    def peers(self) -> int:
        return len(self.counts)

    cpdef bint enter(self, bytes identity) except -1:
        cdef Py_ssize_t count = self.counts.get(identity, 0)
        if count >= self.max_per_peer:
            return False
        self.counts[identity] = count + 1
        self.total += 1
        return True

    cpdef int leave(self, bytes identity) except -1:
        cdef Py_ssize_t count = <Py_ssize_t>self.counts[identity] - 1
        self.total -= 1
        if count:
            self.counts[identity] = count
        else:
            del self.counts[identity]
        return 0
