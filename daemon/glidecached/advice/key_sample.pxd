# The sample of one pool's keys: see key_sample.pyi.
from libc.stdint cimport int64_t, uint64_t

from glidecached.advice.sample_event cimport sample_event


cdef class KeySample:
    cdef void feed(self, const sample_event *events, Py_ssize_t count) noexcept
