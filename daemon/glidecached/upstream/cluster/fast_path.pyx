"""The usual way of a cluster's calls (see fast_path.pyi)."""

from collections import deque

from glidecached.upstream.call cimport SingleCall
from glidecached.upstream.cluster.node_request cimport RequestSender, leg_to_slot
from glidecached.upstream.cluster.sinks cimport SingleReply
from glidecached.upstream.cluster.slots cimport key_slot

from glidecache_shared.command_table import irregular_names, names_of_keys_alone

cdef frozenset IRREGULAR = irregular_names()
cdef frozenset KEYS_ALONE = names_of_keys_alone()


cdef class FastPath:
    def __init__(self, options, RequestSender journeys not None):
        self._options = options
        self._journeys = journeys
        self._early = deque()

    def submit(self, SingleCall call not None):
        cdef RequestSender journeys = self._journeys
        cdef SingleReply whole
        cdef int slot
        if call.route is None and journeys.topology is not None and self._closed_reason is None and self._has_room():
            slot = slot_of_one_key(call.arguments)
            if slot >= 0:
                whole = SingleReply.__new__(SingleReply)
                whole.call = call
                self._submitted += 1
                journeys.open += 1
                journeys.send_leg(leg_to_slot(journeys, call, slot, whole))
                return
        self._begin(call, blocking=False)

    cpdef bint _has_room(self) except -1:
        return self._journeys.open + len(self._early) < self._options.max_waiting_requests


cpdef int slot_of_one_key(object arguments) except -2:
    cdef Py_ssize_t count
    if type(arguments) is not tuple and type(arguments) is not list:
        return -1
    count = len(arguments)
    if count < 2 or type(arguments[0]) is not bytes or type(arguments[1]) is not bytes:
        return -1
    name = (<bytes>arguments[0]).upper()
    if name in IRREGULAR and (count > 2 or name not in KEYS_ALONE):
        return -1
    return key_slot(<bytes>arguments[1])
