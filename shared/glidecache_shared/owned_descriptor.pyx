"""Descriptors that know their file (see owned_descriptor.pyi)."""

import os

from libc.errno cimport ENAMETOOLONG, errno
from libc.string cimport memcpy, memset
from posix.fcntl cimport O_CLOEXEC, open as c_open
from posix.stat cimport fstat, struct_stat
from posix.unistd cimport close

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_UNIX
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_PEERCRED
    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass
    int socket(int domain, int kind, int protocol)
    int connect(int descriptor, const sockaddr *address, socklen_t length)
    int getsockopt(int descriptor, int level, int name, void *value, socklen_t *length)

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]

cdef extern from *:
    """
    /* `struct ucred` is declared for _GNU_SOURCE alone. */
    struct peer_credentials { int pid; unsigned int uid; unsigned int gid; };
    """
    struct peer_credentials:
        unsigned int uid


cdef class OwnedDescriptor:
    def __cinit__(self):
        self.number = -1

    def __init__(self, int number):
        if number >= 0:
            self.adopt(number)

    def __dealloc__(self):
        self.release()

    @staticmethod
    def open(str path not None, int flags):
        cdef OwnedDescriptor self = OwnedDescriptor.__new__(OwnedDescriptor)
        cdef bytes name = os.fsencode(path)
        cdef int number = c_open(PyBytes_AS_STRING(name), flags | O_CLOEXEC)
        if number < 0:
            raise OSError(errno, os.strerror(errno), path)
        self.adopt(number)
        return self

    @staticmethod
    def connect(str path not None):
        cdef OwnedDescriptor self = OwnedDescriptor.__new__(OwnedDescriptor)
        cdef bytes name = os.fsencode(path)
        cdef sockaddr_un address
        cdef int number
        memset(&address, 0, sizeof(address))
        if PyBytes_GET_SIZE(name) >= <Py_ssize_t>sizeof(address.sun_path):
            raise OSError(ENAMETOOLONG, os.strerror(ENAMETOOLONG), path)
        address.sun_family = AF_UNIX
        memcpy(address.sun_path, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
        number = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if number < 0:
            raise OSError(errno, os.strerror(errno))
        self.adopt(number)
        if connect(number, <const sockaddr *>&address, sizeof(address)) < 0:
            raise OSError(errno, os.strerror(errno), path)
        return self

    def peer_uid(self):
        cdef peer_credentials credentials
        cdef socklen_t length = sizeof(credentials)
        if getsockopt(self.number, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0:
            raise OSError(errno, os.strerror(errno))
        return credentials.uid

    def close(self):
        self.release()

    cpdef bint is_own(self) noexcept:
        cdef struct_stat found
        return (
            self.number >= 0 and fstat(self.number, &found) == 0
            and <uint64_t>found.st_dev == self.device and <uint64_t>found.st_ino == self.inode)

    cdef int adopt(self, int number) except -1:
        cdef struct_stat found
        if fstat(number, &found) < 0:
            raise OSError(errno, os.strerror(errno))
        self.number = number
        self.device = found.st_dev
        self.inode = found.st_ino
        return 0

    cdef void release(self) noexcept:
        if self.is_own():
            close(self.number)
        self.number = -1
