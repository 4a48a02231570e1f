# How often values change on the server: see change_rates.pyx.
from libc.stdint cimport uint32_t

from glidecached.advice.sampled_key cimport SampledKey

cdef enum:
    RATES = 28


cdef class ChangeRates:
    cdef double rates[RATES]
    cdef double shares[RATES]

    cdef void fit(self, const SampledKey *keys, uint32_t count) noexcept
    cdef void likelihoods(self, const SampledKey *key, double *of_rates) noexcept nogil
    cdef void weigh(self, const SampledKey *key, double *of_rates) noexcept nogil
