# How often values change on the server: see change_rates.pyx.
from libc.stdint cimport uint32_t, uint64_t

from glidecached.advice.hot_keys cimport hot_path
from glidecached.advice.hot_sample cimport HotSample
from glidecached.advice.sampled_key cimport SampledKey

cdef enum:
    RATES = 28
    CURVE_POINTS = 401


cdef struct StaleShare:
    # Of one key's hits, the share that is stale: as its rates make likely, and the mean of its square.
    double expected
    double squared


cdef void stale_curve(double spread, float *curve) noexcept nogil


cdef class ChangeRates:
    cdef double rates[RATES]
    cdef double shares[RATES]
    cdef double logs[RATES]

    cdef void fit(self, const SampledKey *keys, uint32_t count, HotSample hot, uint64_t threshold) noexcept
    cdef void likelihoods(self, const SampledKey *key, double *of_rates) noexcept nogil
    cdef StaleShare share_of(self, const double *weights, double mean_age, const float *curve) noexcept nogil
    cdef StaleShare share_within(
        self, const double *weights, const SampledKey *key, double since_s, double mean_age, double spread) noexcept nogil
    cdef StaleShare share_on_path(
        self, const double *weights, const SampledKey *key, const hot_path *path, double since_s) noexcept nogil
    cdef double if_changed(self, uint32_t rate, const SampledKey *key, double share) noexcept nogil
    cdef void weigh(self, const SampledKey *key, double *of_rates) noexcept nogil
