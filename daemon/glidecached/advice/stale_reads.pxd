# The shares of reads that would be stale: see stale_reads.pyx.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from glidecached.advice.change_rates cimport CURVE_POINTS, ChangeRates, StaleShare
from glidecached.advice.key_sample cimport MOST_SIMULATIONS, KeySample


cdef struct StaleSum:
    # Of several keys: their hits, and how many of these are stale; and sums of squares for the latter's error.
    double hits
    double stale
    double squares
    double products
    double stale_squares


cdef struct PoolReads:
    # Of one simulated pool: its hit rate, the ages' spread, and the stale shares by that; the hits of sampled keys, those of them that have retired,
    # and the hits of all others; the stale ones, with sums for their error.
    double hit_rate
    double spread
    float curve[CURVE_POINTS]
    double hits
    double retired
    double others
    double stale
    double doubt
    double weight
    double weighted
    double weighted_squares
    StaleSum alike
    StaleSum hot


cdef class StaleReads:
    # By the simulated pools' numbers; None where ages are not known, or no refresh was seen: the shares of all reads, and
    # their standard errors.
    cdef readonly list shares
    cdef readonly list errors
    cdef KeySample sample
    cdef ChangeRates changes
    cdef double share_of_keys
    cdef int64_t now_ns
    cdef uint64_t surveyed  # hits; 0: too few
    cdef PoolReads pools[MOST_SIMULATIONS]
    cdef uint32_t known[MOST_SIMULATIONS]
    cdef uint32_t known_count
    cdef float hot_curve[CURVE_POINTS]  # of ages from 0 on

    cdef void count_hits(self, double looked_up) noexcept
    cdef void add_hot_keys(self, double real_hits) noexcept
    cdef void add_sampled_keys(self) noexcept
    cdef StaleShare share_of_hot(
        self, const double *weights, uint32_t index, uint32_t place, double mean_age, double spread, const float *curve
    ) noexcept
    cdef tuple share_in(self, uint32_t index)
