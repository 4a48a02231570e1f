# What simulated pools miss, by windows of time: see window_sums.h.
from libc.stdint cimport uint32_t

from glidecached.advice.mini_pool cimport mini_pool

cdef extern from "window_sums.h" nogil:
    enum:
        WINDOW_POOLS
    ctypedef struct window_sums:
        bint ended
    void window_end(window_sums *sums, const mini_pool *pools, uint32_t count, double looked_up, double all)
    void window_begin(window_sums *sums, const mini_pool *pools, uint32_t count, double looked_up, double all)
    void window_scale(window_sums *sums, mini_pool *pools, uint32_t count, double kept)
    double window_total(const window_sums *sums, const mini_pool *pools, uint32_t index, double looked_up, double all)
