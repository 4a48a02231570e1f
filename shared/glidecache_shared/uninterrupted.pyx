"""Steps that an exception from outside must not split (see uninterrupted.pyi)."""

from libc.stdint cimport int64_t

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from glidecache_shared.pool.clock cimport monotonic_ns

cdef extern from "Python.h":
    enum:
        PYGEN_RETURN
    int PyIter_Send(object coroutine, object value, PyObject **result) except -1


def run_blocking(function, *arguments, **named):
    # The coroutine is made here if possible: an exception could come between a caller's making it and awaiting it.
    return finish(function(*arguments, **named) if callable(function) else function)


cdef object finish(object coroutine):
    cdef PyObject *result = NULL
    cdef int outcome = PyIter_Send(coroutine, None, &result)
    value = <object>result
    Py_DECREF(value)
    if outcome == PYGEN_RETURN:
        return value
    coroutine.close()
    raise RuntimeError("a coroutine of the blocking client suspended")


cdef class PendingRequests:
    def __init__(self, Py_ssize_t limit, forks, too_many):
        self.limit = limit
        self.forks = forks
        self.made_after = forks()
        self.too_many = too_many

    def run(self, function, *arguments, **named):
        # Compiled, so that no exception from outside comes between the counting and `try`.
        try:
            self.begin()
        except BaseException:
            if not callable(function):
                function.close()
            raise
        try:
            return run_blocking(function, *arguments, **named)
        finally:
            self.open -= 1

    cdef int begin(self) except -1:
        """Count one request more, or raise the error for one too many."""
        if self.open >= self.limit and not self.are_the_parents():
            raise self.too_many(self.limit)
        self.open += 1
        return 0

    cdef bint are_the_parents(self) except -1:
        """Forget the requests of a parent's threads: they do not run in a forked child."""
        if self.made_after == self.forks():
            return False
        self.made_after = self.forks()
        self.open = 0
        return True


cdef class LockedCall:
    cdef object lock
    cdef int64_t deadline_ns
    cdef object late
    cdef object function
    cdef tuple arguments

    def __init__(self, lock, int64_t deadline_ns, late, function, *arguments):
        self.lock = lock
        self.deadline_ns = deadline_ns
        self.late = late
        self.function = function
        self.arguments = arguments

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef double seconds = max(0.0, (self.deadline_ns - monotonic_ns()) / 1e9)
        # Signal handlers run only in Python code: not between the lock's return and `try`.
        if not self.lock.acquire(True, seconds):
            raise self.late
        try:
            value = finish(self.function(*self.arguments))
        finally:
            self.lock.release()
        raise StopIteration(value)
