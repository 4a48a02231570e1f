"""The kernel's epoll (see epoll.pyi)."""

import os

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t
from posix.unistd cimport close as close_descriptor

cdef extern from "Python.h":
    ctypedef struct PyInterpreterState
    ctypedef struct PyThreadState
    PyInterpreterState *PyInterpreterState_Head() noexcept
    PyInterpreterState *PyInterpreterState_Next(PyInterpreterState *interpreter) noexcept
    PyThreadState *PyInterpreterState_ThreadHead(PyInterpreterState *interpreter) noexcept
    PyThreadState *PyThreadState_Next(PyThreadState *thread) noexcept


cdef inline bint is_only_thread() noexcept:
    """Return whether the process has no other interpreter and no other thread of this one."""
    cdef PyInterpreterState *interpreter = PyInterpreterState_Head()
    return (
        PyInterpreterState_Next(interpreter) == NULL
        and PyThreadState_Next(PyInterpreterState_ThreadHead(interpreter)) == NULL
    )


cdef class EventPoll:
    def __cinit__(self):
        self.descriptor = -1

    def __init__(self):
        self.close()
        self.descriptor = epoll_create1(EPOLL_CLOEXEC)
        if self.descriptor < 0:
            raise_error(errno)

    def __dealloc__(self):
        if self.descriptor >= 0:
            close_descriptor(self.descriptor)

    cdef int add(self, int descriptor, uint32_t events) except -1:
        return self.control(EPOLL_CTL_ADD, descriptor, events)

    cdef int change(self, int descriptor, uint32_t events) except -1:
        return self.control(EPOLL_CTL_MOD, descriptor, events)

    cdef int remove(self, int descriptor) except -1:
        return self.control(EPOLL_CTL_DEL, descriptor, 0)

    cdef int wait(self, int timeout_ms) except -1:
        cdef int count, fault
        if is_only_thread():
            # No thread waits for the interpreter's lock, and only this one could start another.
            count = epoll_wait(self.descriptor, self.ready, MOST_EVENTS, timeout_ms)
            fault = errno
        else:
            with nogil:
                count = epoll_wait(self.descriptor, self.ready, MOST_EVENTS, timeout_ms)
                fault = errno
        if count < 0 and fault != EINTR:
            raise_error(fault)
        return max(count, 0)

    cdef int look(self) except -1:
        cdef int count = epoll_wait(self.descriptor, self.ready, MOST_EVENTS, 0)
        cdef int fault = errno
        if count < 0 and fault != EINTR:
            raise_error(fault)
        return max(count, 0)

    cdef int descriptor_at(self, int index) noexcept:
        return self.ready[index].data.fd

    cdef uint32_t events_at(self, int index) noexcept:
        return self.ready[index].events

    cdef int close(self) except -1:
        if self.descriptor >= 0:
            close_descriptor(self.descriptor)
            self.descriptor = -1
        return 0

    cdef int control(self, int operation, int descriptor, uint32_t events) except -1:
        cdef epoll_event event
        event.events = events
        event.data.fd = descriptor
        if epoll_ctl(self.descriptor, operation, descriptor, &event) < 0:
            raise_error(errno)
        return 0


cdef int raise_error(int fault) except -1:
    raise OSError(fault, os.strerror(fault))
