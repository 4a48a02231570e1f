# What simulated pools miss, by windows of time: see window_sums.h.
from libc.stdint cimport int64_t, uint32_t

from glidecached.advice.mini_pool cimport mini_pool

cdef extern from "window_sums.h" nogil:
    enum:
        WINDOW_POOLS
    ctypedef struct window_sums:
        bint ended
    void windows_start(window_sums *sums, const mini_pool *pools, uint32_t count)
    void window_between(
        window_sums *sums, const mini_pool *pools, uint32_t count, uint32_t key, int64_t after_ns, int64_t life_ns)
    void window_end(window_sums *sums, const mini_pool *pools, uint32_t count, double looked_up, double all)
    void window_begin(window_sums *sums, const mini_pool *pools, uint32_t count, double looked_up, double all)
    void window_scale(window_sums *sums, mini_pool *pools, uint32_t count, double kept)
    double window_total(const window_sums *sums, const mini_pool *pools, uint32_t index, double looked_up, double all)
