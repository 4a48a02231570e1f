"""A send buffer: parts of messages that wait for a socket, and leave as many together as the kernel has room for.

Compiled code on both sides of the control plane uses it (`Dealer`, the daemon's `ClientConnection`); nothing else does.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject

cdef extern from "Python.h":
    int PyList_SetSlice(object values, Py_ssize_t start, Py_ssize_t end, PyObject *replacement) except -1

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int descriptor, const msghdr *message, int flags)

cdef enum:
    PARTS_AT_ONCE = 64


cdef class SendBuffer:
    def __init__(self):
        self.parts = []

    cdef int append(self, bytes part) except -1:
        self.parts.append(part)
        self.unsent_bytes += PyBytes_GET_SIZE(part)
        return 0

    cdef void clear(self):
        self.parts.clear()
        self.sent_of_first = self.unsent_bytes = 0

    cdef int send(self, int descriptor, Py_ssize_t most_bytes) except -1:
        """Send as much as the kernel takes, but about `most_bytes` at the most.

        Return the error's number when the peer takes nothing any more, else 0.
        """
        cdef iovec pieces[PARTS_AT_ONCE]
        cdef msghdr message
        cdef Py_ssize_t count, index
        cdef ssize_t sent
        cdef bytes part
        memset(&message, 0, sizeof(message))
        message.msg_iov = pieces
        while self.parts and most_bytes > 0:
            count = min(len(self.parts), PARTS_AT_ONCE)
            for index in range(count):
                part = self.parts[index]
                pieces[index].iov_base = PyBytes_AS_STRING(part)
                pieces[index].iov_len = PyBytes_GET_SIZE(part)
            pieces[0].iov_base = <uint8_t *>pieces[0].iov_base + self.sent_of_first
            pieces[0].iov_len -= self.sent_of_first
            if pieces[0].iov_len > <size_t>most_bytes:
                # A peer that reads as fast as this writes would have all of a long message copied in one go.
                pieces[0].iov_len = most_bytes
                count = 1
            message.msg_iovlen = count
            sent = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                return 0 if errno == EAGAIN or errno == EINTR else errno
            self.unsent_bytes -= sent
            most_bytes -= sent
            sent += self.sent_of_first
            index = 0
            while index < count and sent >= PyBytes_GET_SIZE(<bytes>self.parts[index]):
                sent -= PyBytes_GET_SIZE(<bytes>self.parts[index])
                index += 1
            self.sent_of_first = sent
            # `del` would make a slice, at which old interpreters collect garbage: a finalizer that sends would find
            # here data that has been sent already.
            PyList_SetSlice(self.parts, 0, index, NULL)
        return 0
