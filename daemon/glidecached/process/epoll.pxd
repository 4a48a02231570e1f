from libc.stdint cimport uint32_t

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLLIN
    int EPOLLOUT
    int EPOLLERR
    int EPOLLHUP
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    int EPOLL_CTL_MOD
    union epoll_data:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_create1(int flags)
    int epoll_ctl(int poll, int operation, int descriptor, epoll_event *event)
    int epoll_wait(int poll, epoll_event *events, int most, int timeout_ms)

cdef enum:
    # The most events that one call returns; in the next, the kernel begins with the others.
    MOST_EVENTS = 256


cdef class EventPoll:
    cdef readonly int descriptor
    cdef epoll_event[MOST_EVENTS] ready

    cdef int add(self, int descriptor, uint32_t events) except -1
    cdef int change(self, int descriptor, uint32_t events) except -1
    cdef int remove(self, int descriptor) except -1
    cdef int wait(self, int timeout_ms) except -1
    cdef int look(self) except -1
    cdef int descriptor_at(self, int index) noexcept
    cdef uint32_t events_at(self, int index) noexcept
    cdef int close(self) except -1
    cdef int control(self, int operation, int descriptor, uint32_t events) except -1
