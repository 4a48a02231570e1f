"""The shares of reads that would be stale, in the simulated pools of a sample.

Stale hits of sampled keys are added up. How many hits all other keys have is known, from all hits; and how many each of the
hottest of them has, from surveys. The rest are like the sampled keys that surveys do not find. Without surveys, a key that
is as hot as all those together cannot be among them; and where they have more hits than keys like these would, few hot keys
have the rest, and each of these may be like any key.

The error has these parts: how well each key's rate of change is known, how unlike keys are, how many hits the surveys have
seen of a hot key, and what no number of keys lowers.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from glidecached.advice.change_rates cimport RATES, ChangeRates, StaleShare, stale_curve
from glidecached.advice.hot_keys cimport HOT_NONE, hot_find, hot_hits, hot_path
from glidecached.advice.hot_sample cimport HotFindings
from glidecached.advice.key_sample cimport KeySample
from glidecached.advice.mini_pool cimport mini_pool
from glidecached.advice.sampled_key cimport KEY_IN_USE

# The standard error that all keys' rates of change share, and so no number of keys lowers, as a part of what they say.
cdef double MODEL_ERROR = 0.1
# Nor is a share of all reads that is smaller than twice this told from none.
cdef double LEAST_ERROR = 0.0005
# Hot keys count by themselves with so many hits in surveys of so many.
cdef uint32_t LEAST_HOT_HITS = 16
cdef uint32_t LEAST_SURVEYED = 1_000
# The part of the age that its entry would have without evictions at which a hot key counts as not evicted.
cdef double LEAST_OF_AGE = 0.75
# The mean time between refreshes up to which a hot key counts as refreshed as soon as it may be, as a part of the TTL.
cdef double MOST_OF_TTL = 1.5


cdef class StaleReads:
    def __init__(self, KeySample sample not None, list hit_rates, double looked_up):
        cdef uint32_t index
        memset(self.pools, 0, sizeof(self.pools))
        self.sample = sample
        self.changes = ChangeRates()
        self.share_of_keys = sample.threshold / 4294967296.0
        self.now_ns = sample.now_ns + sample.away_ns
        self.known_count = 0
        stale_curve(1, self.hot_curve)
        for index in range(sample.pool_count):
            if sample.points[index].ages and sample.refreshes > 0 and hit_rates[index] is not None:
                self.pools[index].hit_rate = hit_rates[index]
                self.known[self.known_count] = index
                self.known_count += 1
        self.surveyed = sample.hot.keys.surveyed if sample.hot.keys != NULL else 0
        if self.surveyed < LEAST_SURVEYED:
            self.surveyed = 0
        if self.known_count:
            self.changes.fit(sample.keys, sample.room, sample.hot, sample.threshold)
            self.count_hits(looked_up)
            if self.surveyed and self.share_of_keys < 1:
                self.add_hot_keys(<double>(hit_rates[0] or 0.0) * looked_up)
            self.add_sampled_keys()
        self.shares = [None] * sample.pool_count
        self.errors = [None] * sample.pool_count
        for index in self.known[:self.known_count]:
            self.shares[index], self.errors[index] = self.share_in(index)

    cdef void count_hits(self, double looked_up) noexcept:
        """Count the hits of the sampled keys in each pool, so that those of all others are known."""
        cdef KeySample sample = self.sample
        cdef PoolReads *reads
        cdef uint32_t key, number, index
        for number in range(self.known_count):
            index = self.known[number]
            reads = &self.pools[index]
            reads.spread = age_spread(sample, index)
            stale_curve(reads.spread, reads.curve)
            reads.retired = sample.retired_lookups - sample.retired_by_pool[index]
            reads.hits = reads.retired
            for key in range(sample.room):
                if sample.keys[key].flags & KEY_IN_USE:
                    reads.hits += max(<double>sample.keys[key].lookups - sample.pools[index].misses[key], 0)
            if self.share_of_keys < 1:
                reads.others = max(reads.hit_rate * looked_up - reads.hits, 0)

    cdef void add_hot_keys(self, double real_hits) noexcept:
        """Add the hot keys that are not sampled, to each of which surveys give its part of the hits in the real pool."""
        cdef KeySample sample = self.sample
        cdef double weights[RATES]
        cdef double own, age
        cdef StaleShare share
        cdef PoolReads *reads
        cdef uint32_t place, number, seen
        for place in range(sample.hot.keys.in_use):
            seen = hot_hits(sample.hot.keys, place)
            if <uint32_t>sample.hot.keys.keys[place].hash < sample.threshold or seen < LEAST_HOT_HITS:
                continue
            self.changes.weigh(&sample.hot.findings[place].key, weights)
            for number in range(self.known_count):
                own = seen * real_hits / self.surveyed
                age = hot_age(sample, self.known[number], place, &own)
                share = self.share_of_hot(weights, self.known[number], place, age, 1, self.hot_curve)
                reads = &self.pools[self.known[number]]
                add_key(&reads.hot, own, share.expected, 1.0 / seen)
                reads.doubt += own * own * doubt_of(share)

    cdef void add_sampled_keys(self) noexcept:
        cdef KeySample sample = self.sample
        cdef double weights[RATES]
        cdef double own, age
        cdef StaleShare share
        cdef PoolReads *reads
        cdef uint32_t key, number, index, place
        cdef bint is_hot
        for key in range(sample.room):
            if not sample.keys[key].flags & KEY_IN_USE:
                continue
            place = hot_find(sample.hot.keys, sample.keys[key].hash) if self.surveyed else <uint32_t>HOT_NONE
            is_hot = place != HOT_NONE and hot_hits(sample.hot.keys, place) >= LEAST_HOT_HITS
            self.changes.weigh(&sample.keys[key], weights)
            for number in range(self.known_count):
                index = self.known[number]
                reads = &self.pools[index]
                own = <double>sample.keys[key].lookups - sample.pools[index].misses[key]
                if own <= 0:
                    continue
                age = real_age(sample, index, sample.pools[index].ages[key] / own)
                if place != HOT_NONE:
                    share = self.share_of_hot(weights, index, place, age, reads.spread, reads.curve)
                else:
                    share = self.changes.share_of(weights, age, reads.curve)
                reads.stale += own * share.expected
                reads.doubt += own * own * doubt_of(share)
                reads.weight += sqrt(own)
                reads.weighted += sqrt(own) * share.expected
                reads.weighted_squares += sqrt(own) * share.squared
                if not is_hot if self.surveyed else own <= reads.others:
                    add_key(&reads.alike, own, share.expected, 1)

    cdef StaleShare share_of_hot(
        self, const double *weights, uint32_t index, uint32_t place, double mean_age, double spread, const float *curve
    ) noexcept:
        """Return the share of a hot key's hits that are stale: where that is known, as it was found to have changed."""
        cdef KeySample sample = self.sample
        cdef const HotFindings *found = &sample.hot.findings[place]
        cdef double since_s = (self.now_ns - found.key.stored_ns) * 1e-9
        cdef const hot_path *path
        cdef uint32_t longer
        for longer in range(sample.hot.longer_count):
            path = &found.paths[longer]
            # An entry that is evicted earlier is hit at lesser ages.
            if sample.hot.longer[longer] == index and path.total_s > 0 and (
                mean_age > LEAST_OF_AGE * path.ages / path.total_s
            ):
                return self.changes.share_on_path(weights, &found.key, path, since_s)
        # Where long times pass between refreshes, hits are few in these, and not spread over them.
        if sample.pools[index].ttl_ns <= sample.pools[0].ttl_ns and not found.key.written and (
            0 < found.key.changed_s + found.key.unchanged_s
            and found.key.changed_s * 1e9 <= MOST_OF_TTL * found.key.changed * sample.pools[0].ttl_ns
        ):
            return self.changes.share_within(weights, &found.key, since_s, mean_age, spread)
        return self.changes.share_of(weights, mean_age, curve)

    cdef tuple share_in(self, uint32_t index):
        """Return the share of stale reads in one simulated pool, and its standard error."""
        cdef const PoolReads *reads = &self.pools[index]
        cdef double all_hits = reads.hits + reads.others, stale = reads.stale
        cdef double mean, each, others, usual, rest, variance, error, odds
        if reads.hits <= 0 or reads.weight <= 0:
            return 0.0, None
        # Of keys that have left nothing is known but their hits.
        if 0 < reads.retired < reads.hits:
            stale *= reads.hits / (reads.hits - reads.retired)
        if reads.hot.hits > 0:
            stale += reads.hot.stale * min(reads.others / reads.hot.hits, 1)
        others = max(reads.others - reads.hot.hits, 0)
        odds = (1 - self.share_of_keys) / self.share_of_keys
        mean = reads.weighted / reads.weight
        each = reads.alike.stale / reads.alike.hits if reads.alike.hits > 0 else mean
        usual = others if self.surveyed else min(others, reads.alike.hits * odds)
        rest = others - usual
        stale += usual * each + rest * mean
        variance = max(reads.weighted_squares / reads.weight - mean * mean, 0)
        error = reads.doubt + spread_of(&reads.hot, each) + spread_of(&reads.alike, each) * odds
        error += rest * rest * variance
        error += max(MODEL_ERROR * stale, LEAST_ERROR * all_hits / max(reads.hit_rate, 1e-9)) ** 2
        return reads.hit_rate * stale / all_hits, reads.hit_rate * sqrt(error) / all_hits


cdef double doubt_of(StaleShare share) noexcept:
    """Return the variance of a key's share."""
    return max(share.squared - share.expected * share.expected, 0)


cdef void add_key(StaleSum *to, double hits, double share, double part) noexcept:
    to.hits += hits
    to.stale += hits * share
    to.squares += part * hits * hits
    to.products += part * hits * hits * share
    to.stale_squares += part * hits * hits * share * share


cdef double spread_of(const StaleSum *of, double share) noexcept:
    """Return the sum of the squares of what each key's stale hits differ from those at a share that all have."""
    return max(of.stale_squares - 2 * share * of.products + share * share * of.squares, 0)


cdef double hot_age(KeySample sample, uint32_t index, uint32_t place, double *hits) noexcept:
    """Return the mean age at which a hot key would be hit in a simulated pool, in s; take its misses there from `hits`.

    It is never evicted. It is stored again with its first lookup after its end.
    """
    cdef double life = sample.pools[index].ttl_ns * 1e-9, all_time = max(sample.seconds, 1e-3)
    cdef double real_time = max(sample.all_seconds, all_time)
    if sample.server_ttl and sample.hot.findings[place].key.life_ns > 0:
        life = min(life, sample.hot.findings[place].key.life_ns * 1e-9)
    # Hits are those of the windows, ages are of all the time.
    hits[0] /= 1 + all_time / max(hits[0] * min(life, real_time), 1e-9)
    return min(life, real_time) / 2


cdef double real_age(KeySample sample, uint32_t index, double age) noexcept:
    """Return a mean age by the real clock, of one by the simulations', which is stopped between windows.

    An entry that is evicted has its age. One that lives as long as it may, or as there have been windows, is older.
    """
    cdef double ttl = sample.pools[index].ttl_ns * 1e-9
    cdef double within = min(ttl, sample.seconds), real = min(ttl, sample.all_seconds)
    return age * real / within if 0 < within < real and age > LEAST_OF_AGE * within / 2 else age


cdef double age_spread(KeySample sample, uint32_t index) noexcept:
    """Return the half range of the ages at which a key's entry is hit, as a share of their mean, over all keys."""
    cdef const mini_pool *pool = &sample.pools[index]
    cdef double means = sample.retired_age_means[index], squares = pool.age_squares
    cdef double hits
    cdef uint32_t key
    if pool.ages == NULL:
        return 1
    for key in range(sample.room):
        if sample.keys[key].flags & KEY_IN_USE:
            hits = <double>sample.keys[key].lookups - pool.misses[key]
            if hits > 0:
                means += pool.ages[key] * <double>pool.ages[key] / hits
    if means <= 0:
        return 1
    # The variance of a uniform distribution is a third of its half range's square.
    return min(sqrt(max(3 * (squares / means - 1), 0)), 1)
