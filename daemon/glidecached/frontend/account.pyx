"""The bytes that the daemon holds for one connection (see account.pyi)."""

cdef enum:
    STEP_BYTES = 16_384
    # Up to this much is granted and kept unused by a connection: small messages need no call of the shares.
    SLACK_BYTES = 49_152


cdef class Account:
    def __init__(self, shares, peer):
        self.shares = shares
        self.peer = peer

    cdef bint take(self, Py_ssize_t size) except -1:
        """Hold this many bytes more. Return False, with the reason in `full`, when they are not granted."""
        if self.held + size <= self.granted:
            self.held += size
            return True
        return self.take_more(size)

    cdef bint take_more(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t needed = self.held + size - self.granted
        cdef Py_ssize_t rounded = (needed + STEP_BYTES - 1) // STEP_BYTES * STEP_BYTES
        if self.shares.would_refuse(self.peer, rounded) is None:
            needed = rounded
        full = self.shares.enter(self.peer, needed)
        if full is not None:
            self.full = full
            return False
        self.granted += needed
        self.held += size
        return True

    cdef object why_not(self, Py_ssize_t size):
        """Return why this many bytes more would not be granted now, or None."""
        cdef Py_ssize_t needed = self.held + size - self.granted
        return None if needed <= 0 else self.shares.would_refuse(self.peer, needed)

    cdef int force(self, Py_ssize_t size) except -1:
        """Hold this many bytes more, even beyond the shares."""
        if self.held + size > self.granted:
            self.shares.add(self.peer, self.held + size - self.granted)
            self.granted = self.held + size
        self.held += size
        return 0

    cdef int give(self, Py_ssize_t size) except -1:
        """Hold this many bytes less."""
        self.held -= size
        if self.closed:
            return self.trim(self.held)
        if self.granted - self.held > SLACK_BYTES:
            return self.trim((self.held + STEP_BYTES) // STEP_BYTES * STEP_BYTES)
        return 0

    cdef int trim(self, Py_ssize_t keep) except -1:
        """Return what was granted beyond `keep` to the shares."""
        if self.granted > keep:
            self.shares.leave(self.peer, self.granted - keep)
            self.granted = keep
        return 0

    cdef int close(self) except -1:
        """Keep no bytes in advance: the connection has ended. What is still held is given back later."""
        self.closed = True
        return self.trim(self.held)
