"""The durations and reconnections of an upstream, over all its connections (see latency_histogram.pyi)."""

from libc.stdint cimport int64_t

BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)

cdef int64_t bounds_ns[BOUNDS]
bounds_ns[:] = [bound_us * 1_000 for bound_us in BOUNDS_US]


cdef class LatencyHistogram:
    cpdef int replied(self, int64_t duration_ns) except -1:
        cdef int place = 0
        while place < BOUNDS and duration_ns > bounds_ns[place]:
            place += 1
        self.counts[place] += 1
        self.sum_ns += duration_ns
        return 0

    def stats(self):
        cdef int place
        return {
            "reconnects": self.reconnects,
            "latency": {
                "bounds_us": list(BOUNDS_US),
                "counts": [self.counts[place] for place in range(BOUNDS + 1)],
                "sum_us": self.sum_ns / 1e3,
            },
        }
