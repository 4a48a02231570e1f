"""The prefixes of written keys (see written_prefixes.pyi)."""

from libc.stdint cimport uint8_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

cdef enum:
    LONGEST = 64
    MOST_COUNTED = 128
    MOST_SHOWN = 16
    FEWEST_SHARE = 100  # a hundredth


cdef bytes prefix_of(bytes key):
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(key)
    cdef Py_ssize_t length = min(PyBytes_GET_SIZE(key), <Py_ssize_t>LONGEST)
    cdef Py_ssize_t separator = 0, digit = 0, index
    cdef bint has_letter = False
    cdef uint8_t byte
    for index in range(length):
        byte = at[index]
        if c'a' <= byte <= c'z' or c'A' <= byte <= c'Z' or byte >= 0x80:
            has_letter = True
        elif not has_letter:
            continue
        elif byte == c':' or byte == c'/' or byte == c'|':
            return PyBytes_FromStringAndSize(<const char *>at, index + 1)
        elif byte == c'.' or byte == c'-' or byte == c'_':
            separator = separator or index + 1
        elif c'0' <= byte <= c'9':
            digit = digit or index
    if separator:
        return PyBytes_FromStringAndSize(<const char *>at, separator)
    if digit:
        return PyBytes_FromStringAndSize(<const char *>at, digit)
    return PyBytes_FromStringAndSize(<const char *>at, length if has_letter else 0)


cdef class WrittenPrefixes:
    def __init__(self):
        self.counts = {}
        self.errors = {}

    def count(self, bytes key not None):
        self.add(key)

    cdef int add(self, bytes key) except -1:
        cdef bytes prefix = prefix_of(key)
        self.total += 1
        if not prefix:
            return 0
        if prefix in self.counts:
            self.counts[prefix] += 1
        elif len(self.counts) < MOST_COUNTED:
            self.counts[prefix] = 1
        else:
            # The rarest gives its place; what it had counted may be the new one's, or not.
            rarest = min(self.counts, key=self.counts.__getitem__)
            before = self.counts.pop(rarest)
            self.errors.pop(rarest, None)
            self.counts[prefix] = before + 1
            self.errors[prefix] = before
        return 0

    def commonest(self):
        cdef list found = [
            (count - self.errors.get(prefix, 0), prefix) for prefix, count in self.counts.items()
        ]
        found.sort(key=lambda each: (-each[0], each[1]))
        return [
            prefix.decode("utf-8", "backslashreplace")
            for sure, prefix in found[:MOST_SHOWN]
            if sure * FEWEST_SHARE >= self.total
        ]
