from glidecached.process.epoll cimport EventPoll
from glidecached.process.timers cimport TimedTask, Timer, Timers
from glidecached.process.turn_end cimport TurnEnd


cdef class EventHandler:
    cpdef object ready(self, int events)


cdef class Intake:
    cpdef object receive(self)
    cpdef bint has_pending(self) except -1


cdef class IntakeWatch(EventHandler):
    cdef Loop loop


cdef class Loop:
    cdef EventPoll poll
    # By descriptor; None for those that are not watched.
    cdef list handlers
    cdef Timers timers
    # The tasks for the end of this turn.
    cdef readonly TurnEnd turn_end
    cdef object from_threads
    # Work for turns in which nothing else happens, and the time of the last such work.
    cdef object idle
    cdef Py_ssize_t idle_count
    cdef long long idled_ns
    cdef Intake intake
    cdef bint intake_announced
    cdef bint running
    cdef int wake_reader
    cdef int wake_writer

    cpdef object defer(self, object callback)
    cdef object run_later(self, long long delay_ns, TimedTask task)
    cpdef object when_idle(self, object callback)
    cdef object turn(self)
    cdef int handle_events(self) except -1
    cdef object run_idle(self, int events)
    cdef object run_timers(self)
    cdef int wait_ms(self) except -1

cdef object run_task(TimedTask task)
cdef int call_back(object callback, tuple arguments) except -1
