"""Files of a pool in memory: mapped once over their whole bound, given memory piece by piece.

A file has its final length from the start, as one hole; `Region.ensure` puts memory behind the next piece with
`posix_fallocate` *before* anything touches it. So a full tmpfs is a refusal that the caller can handle, never a SIGBUS
(architecture decision 7). Readers map the same length and stay below the counts that the header publishes.
"""

import os
import stat

from libc.errno cimport EINTR
from libc.stdint cimport uint8_t, uint64_t
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from cpython.exc cimport PyErr_SetFromErrnoWithFilename

cdef extern from "<fcntl.h>" nogil:
    int posix_fallocate(int descriptor, long offset, long length)
    int fallocate(int descriptor, int mode, long offset, long length)
    const int FALLOC_FL_KEEP_SIZE
    const int FALLOC_FL_PUNCH_HOLE

cdef extern from *:
    """
    #ifndef MADV_POPULATE_READ
    #define MADV_POPULATE_READ 22
    #endif
    """
    const int GPOOL_MADV_POPULATE_READ "MADV_POPULATE_READ"

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t length, int advice)

cdef extern from "<unistd.h>" nogil:
    ctypedef long off_t
    off_t lseek(int descriptor, off_t offset, int whence)
    const int SEEK_DATA
    const int SEEK_HOLE

cdef enum:
    PAGE_BYTES = 4096
    MAX_STEP_BYTES = 256 * 1024
    MAX_PUNCH_BYTES = 16 * 1024 * 1024  # some milliseconds of the kernel's time


cdef class MappedFile:
    """One file mapped whole and shared. The mapping lasts as long as the object; forks inherit it."""

    def __cinit__(self):
        self.base = NULL
        self.descriptor = -1

    def __dealloc__(self):
        self.unmap()

    cdef void unmap(self) noexcept:
        if self.base != NULL:
            munmap(self.base, self.bytes)
            self.base = NULL
        if self.descriptor >= 0:
            try:
                os.close(self.descriptor)
            except OSError:
                pass  # other code closed the descriptor; there is nothing left to release
            self.descriptor = -1

    @staticmethod
    def create(str path, uint64_t length, int mode, uint64_t head_bytes):
        """Make a new file of `length` bytes, a hole but for its first `head_bytes`, readable and writable here.

        `mode` is set exactly, whatever the umask. Raises `OSError`; `FileExistsError` when `path` is taken.
        """
        cdef MappedFile self = MappedFile.__new__(MappedFile)
        self.path = path
        self.bytes = length
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(self.descriptor, length)
            os.posix_fallocate(self.descriptor, 0, head_bytes)
            self._map(PROT_READ | PROT_WRITE)
            os.fchmod(self.descriptor, mode)
        except BaseException:
            self.unmap()
            os.unlink(path)
            raise
        return self

    @staticmethod
    def open(str path, bint writable):
        """Map an existing file whole; keep no descriptor. Raises `OSError`; `ValueError` if it cannot be mapped."""
        cdef MappedFile self = MappedFile.__new__(MappedFile)
        self.path = path
        try:
            self._open(writable)
        finally:
            if self.descriptor >= 0:
                os.close(self.descriptor)
                self.descriptor = -1
        return self

    @staticmethod
    def take_over(str path, uint64_t length=0):
        """Map an existing whole file as `create` does, with its descriptor. Raises `OSError`; `ValueError` as `open`.

        A file of another length than `length`, if given, is first cut or lengthened to it.
        """
        cdef MappedFile self = MappedFile.__new__(MappedFile)
        self.path = path
        self._open(True, length)
        return self

    def _open(self, bint writable, uint64_t length=0):
        # Without waiting: a pipe in the file's place would block here until it had a writer.
        self.descriptor = os.open(
            self.path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{self.path}: not a regular file")
        self.bytes = status.st_size
        if length != 0 and self.bytes != length:
            os.ftruncate(self.descriptor, length)
            self.bytes = length
        if self.bytes == 0:
            raise ValueError(f"{self.path}: the file is empty")
        self._map(PROT_READ | PROT_WRITE if writable else PROT_READ)

    cdef int _map(self, int protection) except -1:
        cdef void *base = mmap(NULL, self.bytes, protection, MAP_SHARED, self.descriptor, 0)
        if base == MAP_FAILED:
            PyErr_SetFromErrnoWithFilename(OSError, os.fsencode(self.path))
        self.base = <uint8_t *>base
        return 0

    def resident_bytes(self) -> int:
        """Return the memory that the file occupies on its file system (a file that is held open by `create` only)."""
        return os.fstat(self.descriptor).st_blocks * 512


cdef class Region:
    """A part of a `MappedFile` that grows from its start: `bytes` of `max_bytes` have memory behind them."""

    def __cinit__(self, MappedFile file, uint64_t offset, uint64_t max_bytes, uint64_t present_bytes=0):
        self.file = file
        self.offset = offset
        self.max_bytes = max_bytes
        self.bytes = present_bytes
        self.refusals = 0

    cdef bint ensure(self, uint64_t wanted) noexcept:
        """Put memory behind the first `wanted` bytes; False when the file system refuses or the region ends before.

        Grows in steps of a sixteenth of its present size, between a page and 256 KiB: few calls, little slack.
        """
        cdef uint64_t step, target
        if wanted <= self.bytes:
            return True
        if wanted > self.max_bytes:
            return False
        step = min(max(self.bytes // 16, <uint64_t>PAGE_BYTES), <uint64_t>MAX_STEP_BYTES)
        target = max(wanted, self.bytes + step)
        target = min((target + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES, self.max_bytes)
        if not self.restore(self.bytes, target - self.bytes):
            return False
        self.bytes = target
        return True

    cdef bint resume(self, uint64_t bytes) noexcept:
        """Take over the first `bytes` from the file's writer; False when the file system refuses missing memory."""
        bytes = min((bytes + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES, self.max_bytes)
        if bytes != 0 and not self.restore(0, bytes):
            return False
        self.bytes = bytes
        return True

    cdef void fetch(self, uint64_t length) noexcept:
        """Map the existing pages of the first `length` bytes, all at once: many times cheaper than a fault a page.

        Only advice: a kernel before Linux 5.14 does not take it. Holes are left alone, because a look would fill them.
        """
        cdef off_t data = self.offset
        cdef off_t hole
        cdef off_t end = self.offset + length
        while data < end:
            data = lseek(self.file.descriptor, data, SEEK_DATA)
            if data < 0 or data >= end:
                return
            hole = min(lseek(self.file.descriptor, data, SEEK_HOLE), end)
            if hole <= data:
                return
            madvise(self.file.base + data // PAGE_BYTES * PAGE_BYTES, hole - data // PAGE_BYTES * PAGE_BYTES, GPOOL_MADV_POPULATE_READ)
            data = hole

    cdef void punch_rest(self) noexcept:
        """Give back what an earlier owner may have left beyond the region's present end."""
        if self.bytes < self.max_bytes:
            self.punch(self.bytes, self.max_bytes - self.bytes)

    cdef bint restore(self, uint64_t start, uint64_t length) noexcept:
        """Put memory behind a part, zeros where there was none; False, counted, when the file system refuses."""
        cdef int error = EINTR
        while error == EINTR:
            error = posix_fallocate(self.file.descriptor, self.offset + start, length)
        if error != 0:
            self.refusals += 1
        return error == 0

    cdef bint punch(self, uint64_t start, uint64_t length) noexcept:
        """Give the memory of a part back; False when the file system cannot."""
        return fallocate(
            self.file.descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, self.offset + start, length) == 0

    cdef void shrink(self, uint64_t bytes) noexcept:
        """Keep the first `bytes`; free whole pages beyond, which no process may read; at most 16 MiB a call."""
        cdef uint64_t target
        if bytes < self.bytes:
            target = max(bytes, self.bytes - min(self.bytes, <uint64_t>MAX_PUNCH_BYTES))
            if self.punch(target, self.bytes - target):
                self.bytes = target
