# How soon keys are looked up again: see reuse_curves.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "reuse_curves.h" nogil:
    enum:
        REUSE_CLASSES

    ctypedef struct reuse_curves:
        uint32_t room
        float *by_bytes
        float *by_time

    void reuse_close(reuse_curves *curves)
    size_t reuse_memory(const reuse_curves *curves)
    void reuse_begin(reuse_curves *curves)
    bint reuse_grow(reuse_curves *curves, uint32_t room)
    void reuse_forget(reuse_curves *curves, uint32_t key)
    void reuse_lookup(
        reuse_curves *curves, uint32_t key, uint32_t charge, int64_t now_ns, double share, uint64_t bound_bytes,
        int64_t ttl_ns)
    void reuse_scale(reuse_curves *curves, double kept)
    double reuse_until(const float *classes, double value)
