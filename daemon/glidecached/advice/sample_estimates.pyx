"""Estimates from a sample for the whole pool: see sample_estimates.pyi.

Misses are estimated, not hits: a hot key has most of the hits, but few more misses than others, so it matters little
whether it is sampled. How often the real pool was looked up and missed is known exactly; so the simulation of the real
pool's own settings shows by how much the sample's keys are unlike all keys. The other simulations are corrected by that
(a regression estimate; Cochran, Sampling Techniques, chapter 7).
"""

from libc.math cimport sqrt
from libc.stdint cimport uint32_t

from glidecached.advice.key_sample cimport MOST_SIMULATIONS, KeySample
from glidecached.advice.mini_pool cimport mini_pool
from glidecached.advice.reuse_curves cimport reuse_until
from glidecached.advice.sampled_key cimport KEY_IN_USE
from glidecached.advice.stale_reads cimport StaleReads

from glidecached.advice.simulated_points import UNBOUNDED_POINT

cdef uint32_t UNBOUNDED = UNBOUNDED_POINT

# A correction by so few keys would be noise.
cdef uint32_t LEAST_REGRESSED = 64


cdef class SampleEstimates:
    """Figures at one moment."""

    cdef KeySample sample
    cdef readonly list points, hit_rates, errors, stale_reads, stale_errors
    cdef readonly double full_bytes, bytes_error, window_change, own_error
    cdef readonly double lookups, sampled_lookups, assumed_hits, sample_rate, seconds, time_share
    cdef readonly uint32_t sampled_keys
    cdef readonly object changed_refreshes, known_stale_hits

    def __init__(self, KeySample sample not None):
        cdef double share = sample.threshold / 4294967296.0
        cdef double sampled_misses = sample.retired_misses, charged = 0, squares = 0
        cdef uint32_t key
        self.points = sample.points
        self.sampled_keys = sample.key_count
        self.sample_rate = share
        self.seconds = sample.all_seconds if sample.all_lookups > 0 else sample.seconds
        self.time_share = time_share(sample)
        self.sampled_lookups = sample.retired_lookups
        for key in range(sample.room):
            if sample.charges[key] <= sample.pools[0].bound_bytes:
                charged += sample.charges[key]
                squares += <double>sample.charges[key] * sample.charges[key]
            self.sampled_lookups += sample.keys[key].lookups
            sampled_misses += sample.keys[key].misses if sample.keys[key].flags & KEY_IN_USE else 0
        self.sample = sample
        self.assumed_hits = sample.assumed_hits
        self.bytes_error = sqrt((1 - share) * squares) / charged if charged > 0 else 0
        self.full_bytes = (sample.pools[UNBOUNDED].used_bytes + sample.retired_bytes) / share
        self.changed_refreshes = sample.changed_refreshes / sample.refreshes if sample.refreshes > 0 else None
        hits = self.sampled_lookups - sampled_misses
        self.known_stale_hits = sample.known_stale_hits / hits if hits > 0 else None
        self.hit_rates, self.errors = [], []
        # Before the pool's counters were read, the sample is all there is.
        looked_up = sample.exact_lookups if sample.exact_lookups > 0 else self.sampled_lookups / share
        missed = sample.exact_misses if sample.exact_lookups > 0 else sampled_misses / share
        self.lookups = sample.all_lookups if sample.all_lookups > 0 else looked_up
        if looked_up > 0:
            miss_rate = sample.all_misses / sample.all_lookups if sample.all_lookups > 0 else missed / looked_up
            self.window_change = abs(miss_rate - missed / looked_up)
            self.own_error = abs(own_misses(sample) - sampled_misses) / max(self.sampled_lookups, 1)
            self._rates(sample, share, looked_up, missed, miss_rate, sampled_misses)
        else:
            self.hit_rates = [None] * len(self.points)
            self.errors = [0.0] * len(self.points)
        reads = StaleReads(sample, self.hit_rates, looked_up)
        self.stale_reads, self.stale_errors = reads.shares, reads.errors

    def reused_within_bytes(self, size):
        return reuse_until(self.sample.reuse.by_bytes, size)

    def reused_within_ns(self, ttl_ns):
        return reuse_until(self.sample.reuse.by_time, ttl_ns)

    def popularity(self):
        cdef KeySample sample = self.sample
        cdef uint32_t key
        return [
            (sample.keys[key].lookups, sample.charges[key] / self.sample_rate)
            for key in range(sample.room) if sample.keys[key].flags & KEY_IN_USE and sample.keys[key].lookups > 1
        ]

    cdef void _rates(
        self, KeySample sample, double share, double looked_up, double missed, double miss_rate, double sampled_misses):
        """Fill in hit rates and their errors, from the numbers of lookups and misses while it was sampled.

        `miss_rate` is the real pool's over all the time.
        """
        cdef double sums[MOST_SIMULATIONS]
        cdef double squares[MOST_SIMULATIONS]
        cdef double products[MOST_SIMULATIONS]
        cdef double own, other, slope, misses, change, residual
        cdef uint32_t key, index, count = 0
        for index in range(sample.pool_count):
            sums[index] = squares[index] = products[index] = 0
        for key in range(sample.room):
            if not sample.keys[key].flags & KEY_IN_USE:
                continue
            count += 1
            own = sample.pools[0].misses[key]
            for index in range(sample.pool_count):
                other = sample.pools[index].misses[key]
                sums[index] += other
                squares[index] += other * other
                products[index] += own * other
        for index in range(sample.pool_count):
            slope = 1
            if index and count >= LEAST_REGRESSED and squares[0] > 0:
                # Through zero: each key is in the sample by its own chance, so their number varies too.
                slope = products[index] / squares[0]
            own = sums[0] + sample.retired_by_pool[0]
            other = sums[index] + sample.retired_by_pool[index]
            misses = (other + slope * (missed * share - own)) / share
            # Each key is sampled by its own chance; those that have retired vary as the others do.
            residual = squares[index] - 2 * slope * products[index] + slope * slope * squares[0]
            residual *= (count + sample.retired_count) / max(count, 1)
            change = misses - missed
            if self.lookups > looked_up and (index == UNBOUNDED or keeps_all(sample, index)):
                other = sums[UNBOUNDED] + sample.retired_by_pool[UNBOUNDED] + sample.missed_between
                # Between windows a store stands for each miss of the real pool.
                own = sampled_misses + sample.stored_between
                misses = (other + slope * (miss_rate * self.lookups * share - own)) / share
                change = (misses - miss_rate * self.lookups) * looked_up / self.lookups
            elif self.lookups > looked_up:
                change += change_between(sample, index, change, looked_up, missed, miss_rate * self.lookups)
                change *= looked_up / self.lookups
            self.hit_rates.append(1 - min(max(miss_rate + change / looked_up, 0), 1))
            self.errors.append(sqrt(max(residual, 0) * (1 - share)) / share / looked_up)
        for index in range(1, UNBOUNDED):
            self.hit_rates[index] = min(self.hit_rates[index], self.hit_rates[UNBOUNDED])


cdef bint keeps_all(KeySample sample, uint32_t index) noexcept:
    """Return whether a pool is as one without a bound: larger than the real one, and it has never evicted."""
    cdef const mini_pool *pool = &sample.pools[index]
    cdef const mini_pool *real = &sample.pools[0]
    return index != 0 and not pool.evicts and pool.bound_bytes >= real.bound_bytes and (
        pool.ttl_ns == real.ttl_ns and pool.is_lfu == real.is_lfu)


cdef double own_misses(KeySample sample) noexcept:
    """Return what the simulation of the real pool's own settings has missed."""
    cdef double misses = sample.retired_by_pool[0]
    cdef uint32_t key
    for key in range(sample.room):
        misses += sample.pools[0].misses[key]
    return misses


cdef double change_between(
    KeySample sample, uint32_t index, double change, double looked_up, double missed, double all_missed
) noexcept:
    """Return how many more misses than the real pool a simulation had between windows, as it had `change` in windows.

    It misses some of the real pool's hits, and hits some of its misses: both as often as in windows, but for the misses
    of new keys, of which there are more at some times, as in the beginning. These no pool would have hit.
    """
    cdef double share = sample.threshold / 4294967296.0
    cdef double won = max(sample.won[index] - sample.won[0], 0) / share
    cdef double hits = looked_up - missed, misses = missed - sample.new_misses / share
    cdef double misses_between = all_missed - missed
    cdef double hits_between = sample.all_lookups - looked_up - misses_between
    misses_between -= sample.new_misses_between / share
    return (change + won) * max(hits_between, 0) / max(hits, 1) - won * max(misses_between, 0) / max(misses, 1)


cdef double time_share(KeySample sample) noexcept:
    """Return the share of the time that was sampled."""
    cdef double sampled = sample.now_ns - sample.began_ns
    if sample.all_seconds > 0:
        return min(sample.seconds / sample.all_seconds, 1.0)
    return sampled / (sampled + sample.passed_over_ns) if sampled > 0 else 1
