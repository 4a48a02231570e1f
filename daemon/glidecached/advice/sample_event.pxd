# What happened to a key of a pool: see sample_event.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "sample_event.h":
    const uint32_t SAMPLE_LOOKUP_HIT
    const uint32_t SAMPLE_LOOKUP_MISS
    const uint32_t SAMPLE_STORE
    const uint32_t SAMPLE_KNOWN
    const uint32_t SAMPLE_WRITE
    const uint32_t SAMPLE_FORGET
    const uint32_t SAMPLE_FLUSH
    const uint32_t SAMPLE_PAUSE
    const uint32_t SAMPLE_RESUME

    ctypedef struct sample_event:
        uint64_t hash
        int64_t time_ns
        uint64_t digest
        uint32_t what
        uint32_t kind
        uint32_t key_bytes
        uint32_t payload_bytes
        int64_t life_ns
