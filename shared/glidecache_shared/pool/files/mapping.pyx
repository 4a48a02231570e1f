"""Files of a pool in memory: mapped once over their whole bound, given memory piece by piece.

A file has its final length from the start, as one hole; `Region.ensure` puts memory behind the next piece with
`posix_fallocate` *before* anything touches it. So a full tmpfs is a refusal that the caller can handle, never a SIGBUS
(architecture decision 7). Readers map the same length and stay below the counts that the header publishes.

A large region consists of huge pages, as far as the kernel has them (docs/design/0021-huge-pages.md): it grows and
shrinks by whole ones, and what it had before it was large is made into huge pages by `join`, one after another.
"""

import os
import stat

from libc.errno cimport EINTR
from libc.stdint cimport uint8_t, uint64_t
from posix.mman cimport (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    munmap,
)

from cpython.exc cimport PyErr_SetFromErrnoWithFilename

from glidecache_shared.pool.clock cimport monotonic_ns

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
    #ifndef MADV_POPULATE_WRITE
    #define MADV_POPULATE_WRITE 23
    #endif
    #ifndef MADV_COLLAPSE
    #define MADV_COLLAPSE 25
    #endif
    """
    const int GPOOL_MADV_POPULATE_READ "MADV_POPULATE_READ"
    const int GPOOL_MADV_POPULATE_WRITE "MADV_POPULATE_WRITE"
    const int GPOOL_MADV_COLLAPSE "MADV_COLLAPSE"

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t length, int advice)
    const int MADV_HUGEPAGE

cdef extern from "<unistd.h>" nogil:
    ctypedef long off_t
    off_t lseek(int descriptor, off_t offset, int whence)
    const int SEEK_DATA
    const int SEEK_HOLE

cdef enum:
    PAGE_BYTES = 4096
    MAX_STEP_BYTES = 256 * 1024
    MAX_PUNCH_BYTES = 16 * 1024 * 1024  # some milliseconds of the kernel's time
    HUGE_BYTES = 2 * 1024 * 1024
    # From here on one huge page is at most an eighth of what its region has: little slack.
    HUGE_FROM_BYTES = 16 * 1024 * 1024
    # After a refusal, the next attempts are left out: 1, 3, 7, ..., at most so many. Without a free huge page the kernel
    # moves other pages out of the way, which may take long.
    MOST_LEFT_OUT = 1023
    LONG_NS = 20_000_000


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
        cdef uint8_t *place = self._reserve() if self.bytes >= HUGE_FROM_BYTES else NULL
        cdef void *base = mmap(
            place, self.bytes, protection, MAP_SHARED | (MAP_FIXED if place != NULL else 0), self.descriptor, 0)
        if base == MAP_FAILED:
            try:
                PyErr_SetFromErrnoWithFilename(OSError, os.fsencode(self.path))
            finally:
                if place != NULL:
                    munmap(place, self.bytes)
        self.base = <uint8_t *>base
        if protection & PROT_WRITE:
            # Where a tmpfs is mounted with huge=advise, older kernels make huge pages only of what is marked.
            madvise(base, self.bytes, MADV_HUGEPAGE)
        return 0

    cdef uint8_t *_reserve(self) noexcept:
        """Reserve addresses at which the kernel can map huge pages of the file as such; NULL if there are none."""
        cdef uint64_t length = (self.bytes + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
        cdef void *found = mmap(
            NULL, length + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        cdef uint8_t *first = <uint8_t *>found
        cdef uint64_t before = (HUGE_BYTES - <uint64_t>first % HUGE_BYTES) % HUGE_BYTES
        if found == MAP_FAILED:
            return NULL
        if before != 0:
            munmap(first, before)
        munmap(first + before + length, HUGE_BYTES - before)
        return first + before

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
        self.joined = 0
        self.leave_out = 0
        self.left_out = 0
        self.made_huge = False

    cdef bint ensure(self, uint64_t wanted) noexcept:
        """Put memory behind the first `wanted` bytes; False when the file system refuses or the region ends before.

        Grows in steps of a sixteenth of its present size, between a page and 256 KiB: few calls, little slack. A large
        one grows to the end of a huge page, but not for a while after the kernel had none.
        """
        cdef uint64_t step, target
        if wanted <= self.bytes:
            return True
        if wanted > self.max_bytes:
            return False
        step = min(max(self.bytes // 16, <uint64_t>PAGE_BYTES), <uint64_t>MAX_STEP_BYTES)
        target = max(wanted, self.bytes + step)
        target = (target + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
        if self.is_large():
            if self.left_out < self.leave_out:
                self.left_out += 1
            else:
                target = self.next_huge(target)
        target = min(target, self.max_bytes)
        if not self.back(self.bytes, target - self.bytes):
            return False
        self.bytes = target
        return True

    cdef bint is_large(self) noexcept:
        """Return whether the region is large, and its file mapped where the kernel can use huge pages."""
        return self.bytes >= HUGE_FROM_BYTES and <uint64_t>self.file.base % HUGE_BYTES == 0

    cdef bint is_huge(self) noexcept:
        """Return whether a large region has huge pages, so that what is taken out of it should be whole ones."""
        return self.made_huge and self.is_large()

    cdef uint64_t next_huge(self, uint64_t at) noexcept:
        """Return the first place at or behind `at` where a huge page begins, as this file's pages lie."""
        return (self.offset + at + HUGE_BYTES - 1) // HUGE_BYTES * HUGE_BYTES - self.offset

    cdef bint back(self, uint64_t start, uint64_t length) noexcept:
        """Put memory behind a part that is a hole, and map it at once, in huge pages where a large region has whole ones.

        False, counted, when the file system refuses: then it is a hole as before.
        """
        cdef uint64_t at = start
        cdef uint64_t end = start + length
        cdef uint64_t until
        while at < end:
            until = end
            if self.is_large():
                until = min(end, self.next_huge(at + 1))
                if until - at == HUGE_BYTES and self._back_by_huge_page(at):
                    at = until
                    continue
                self.joined = min(self.joined, at)
            if not self.restore(at, until - at):
                if self.is_large():
                    self.punch(start, until - start)
                return False
            # Only advice, from Linux 5.14 on: cheaper than a fault a page.
            madvise(self.file.base + self.offset + at, until - at, GPOOL_MADV_POPULATE_WRITE)
            at = until
        return True

    cdef bint _back_by_huge_page(self, uint64_t at) noexcept:
        """Put one huge page behind a hole of its length. False if that is not possible now.

        The kernel makes one only where there is a page already (Linux 6.1). That page must have been touched: where the
        file system allocates huge pages by itself, one that was only allocated would be cleared by its first reader,
        after data were written to it (seen with Linux 6.18).
        """
        cdef uint8_t *place = self.file.base + self.offset + at
        if (
            posix_fallocate(self.file.descriptor, self.offset + at, PAGE_BYTES) != 0
            or madvise(place, PAGE_BYTES, GPOOL_MADV_POPULATE_WRITE) != 0
            or not self._collapse(at)
        ):
            return False
        madvise(place, HUGE_BYTES, GPOOL_MADV_POPULATE_WRITE)
        return True

    cdef bint _collapse(self, uint64_t at) noexcept:
        """Have the kernel make a huge page of the pages from `at` on, and fill their holes. False if it does not."""
        cdef uint64_t start_ns
        cdef bint done
        if self.left_out < self.leave_out:
            self.left_out += 1
            return False
        start_ns = monotonic_ns()
        done = madvise(self.file.base + self.offset + at, HUGE_BYTES, GPOOL_MADV_COLLAPSE) == 0
        if done and monotonic_ns() - start_ns < LONG_NS:
            self.leave_out = 0
        else:
            self.leave_out = min(2 * self.leave_out + 1, <uint32_t>MOST_LEFT_OUT)
        self.left_out = 0
        self.made_huge = self.made_huge or done
        return done

    cdef bint join(self) noexcept:
        """Make the next huge page of pages that the region already has; a millisecond. False if there are none left.

        Parts with holes stay as they are: they were given back, or never touched since they were allocated.
        """
        cdef uint64_t at = self.next_huge(self.joined)
        if not self.is_large() or at + HUGE_BYTES > self.bytes:
            return False
        if self.left_out < self.leave_out:
            self.left_out += 1
            return False
        self.joined = at + HUGE_BYTES
        if lseek(self.file.descriptor, self.offset + at, SEEK_HOLE) >= <off_t>(self.offset + at + HUGE_BYTES):
            self._collapse(at)
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
        cdef off_t hole, start
        cdef off_t end = self.offset + length
        while data < end:
            data = lseek(self.file.descriptor, data, SEEK_DATA)
            if data < 0 or data >= end:
                return
            hole = min(lseek(self.file.descriptor, data, SEEK_HOLE), end)
            if hole <= data:
                return
            start = data // PAGE_BYTES * PAGE_BYTES
            madvise(self.file.base + start, hole - start, GPOOL_MADV_POPULATE_READ)
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
        """Keep the first `bytes`; free whole pages beyond, which no process may read; at most 16 MiB a call.

        A large region keeps whole huge pages: a part that is taken out of one makes small ones of the rest.
        """
        cdef uint64_t target
        if bytes < self.bytes:
            target = max(bytes, self.bytes - min(self.bytes, <uint64_t>MAX_PUNCH_BYTES))
            if self.is_huge() and target >= HUGE_FROM_BYTES:
                target = self.next_huge(target)
            if target < self.bytes and self.punch(target, self.bytes - target):
                self.bytes = target
                self.joined = min(self.joined, target)
