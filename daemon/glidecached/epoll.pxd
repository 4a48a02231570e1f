"""The part of epoll that the loop and the listener need."""

from libc.stdint cimport uint32_t

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLLIN
    int EPOLLOUT
    union epoll_data:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_wait(int descriptor, epoll_event *events, int most, int timeout_ms)
