# Lists of events that grow, for the sampling of one pool.
from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from glidecached.advice.sample_event cimport SAMPLE_LOOKUP_HIT, SAMPLE_LOOKUP_MISS, sample_event

cdef enum:
    # Lists keep so much room between turns; and so much is taken from a ring while a turn's events are being fed.
    KEPT_ROOM = 512


cdef struct EventList:
    sample_event *events
    Py_ssize_t count
    Py_ssize_t room


cdef inline int earlier_first(const void *left, const void *right) noexcept nogil:
    cdef int64_t a = (<const sample_event *>left).time_ns
    cdef int64_t b = (<const sample_event *>right).time_ns
    return -1 if a < b else a > b


cdef inline bint is_lookup(const sample_event *event) noexcept nogil:
    return event.what == SAMPLE_LOOKUP_HIT or event.what == SAMPLE_LOOKUP_MISS


cdef inline sample_event *add_to(EventList *events, Py_ssize_t more=1) noexcept:
    """Return room for so many more events, of which the first counts already; NULL without memory."""
    cdef Py_ssize_t room
    cdef sample_event *grown
    # Twice as much each time, so that it is done seldom; where the number is known, just so much.
    if events.count + more > events.room:
        room = events.count + more if more > 1 else max(2 * events.room, <Py_ssize_t>64)
        grown = <sample_event *>realloc(events.events, room * sizeof(sample_event))
        if grown == NULL:
            return NULL
        events.events = grown
        events.room = room
    events.count += 1
    return &events.events[events.count - 1]


cdef inline void clear(EventList *events) noexcept:
    events.count = 0
    if events.room > KEPT_ROOM:
        free(events.events)
        events.events = NULL
        events.room = 0
