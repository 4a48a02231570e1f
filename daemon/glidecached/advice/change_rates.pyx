"""The rates at which values change on the server, from what refreshes of sampled keys have found.

At a refresh the daemon knows for how long it had the last payload, and whether that has changed since; not when, nor how
often. With a rate of change r, a payload has not changed after a time t with probability exp(-r t). Each key has a rate of
its own. The shares of keys with each of a number of rates are those that make the findings of all keys likeliest (the
nonparametric maximum likelihood estimate of a mixture, by expectation maximisation). A key's own findings then say how
likely each rate is for it: a key with few is drawn towards the rest.
"""

from libc.math cimport exp, expm1, log, log10, pow
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from glidecached.advice.hot_keys cimport hot_path
from glidecached.advice.hot_sample cimport HotSample
from glidecached.advice.sampled_key cimport KEY_IN_USE, SampledKey

cdef enum:
    # The keys that the shares are estimated from, and the steps: more changes little.
    MOST_FITTED = 1024
    STEPS = 40
    # Of keys by the time between their changed refreshes, a tenth have a shorter one than the time that counts.
    SHORT_PART = 10

# The rates, besides 0: two and a half a factor of ten, from one a year.
cdef double LOWEST = 3e-8
cdef double RATES_OF_TEN = 2.5
# Stale shares are drawn from a rate times an age of a millionth on, with so many points a factor of ten.
cdef double CURVE_LOWEST = -6
cdef double CURVE_STEPS = 40
# A value that changes ten times between two refreshes looks like one that changes a thousand times. No rate that is
# so far beyond what refreshes can show is believed: it would make reads stale at TTLs that are much shorter.
cdef double MOST_CHANGES = 10
# A rate that is less likely for a key is left out.
cdef double LEAST_WEIGHT = 1e-4


cdef int shorter_first(const void *left, const void *right) noexcept nogil:
    cdef float a = (<const float *>left)[0]
    cdef float b = (<const float *>right)[0]
    return -1 if a < b else a > b


cdef double stale_share(double rate, double mean_age, double spread) noexcept nogil:
    """Return the share of hits that are stale, at ages that are uniform around a mean.

    `spread` is the ratio of the ages' half range and their mean: 1 where lookups come at any time.
    """
    cdef double low = rate * mean_age * (1 - spread)
    cdef double width = 2 * rate * mean_age * spread
    if rate == 0 or mean_age <= 0:
        return 0
    if width < 1e-6:
        return -expm1(-low)
    return 1 + exp(-low) * expm1(-width) / width


cdef void stale_curve(double spread, float *curve) noexcept nogil:
    """Fill in `stale_share` by the logarithm of the rate times the mean age: a line between the points is as good."""
    cdef uint32_t i
    for i in range(CURVE_POINTS):
        curve[i] = <float>stale_share(1, pow(10, i / CURVE_STEPS + CURVE_LOWEST), spread)


cdef inline void add_share(StaleShare *to, double weight, double share) noexcept nogil:
    to.expected += weight * share
    to.squared += weight * share * share


cdef class ChangeRates:
    """The shares of keys by their rates of change, a second."""

    def __cinit__(self):
        cdef uint32_t i
        self.rates[0] = 0
        self.shares[0] = 1
        for i in range(1, RATES):
            self.rates[i] = LOWEST * pow(10, (i - 1) / RATES_OF_TEN)
            self.logs[i] = log(self.rates[i])
            self.shares[i] = 0

    cdef void likelihoods(self, const SampledKey *key, double *of_rates) noexcept nogil:
        """Fill in how likely each rate makes what was found of a key, relative to the likeliest."""
        cdef double mean_s = key.changed_s / key.changed if key.changed else 0
        cdef double best = -1e300, mean_log = log(mean_s) if mean_s > 0 else 0, many
        cdef uint32_t i
        for i in range(RATES):
            of_rates[i] = -self.rates[i] * key.unchanged_s
            if key.changed:
                many = self.rates[i] * mean_s
                # The logarithm of 1 - exp(-many): for most rates that is as near without it.
                if i == 0:
                    of_rates[i] = -1e300
                elif many < 1e-3:
                    of_rates[i] += key.changed * (self.logs[i] + mean_log - many / 2)
                elif many < 30:
                    of_rates[i] += key.changed * log(-expm1(-many))
            if key.written:
                # Each of these is known: it counts as such, not as one or more.
                of_rates[i] += key.written * self.logs[i] if i else -1e300
            best = max(best, of_rates[i])
        for i in range(RATES):
            many = of_rates[i] - best
            of_rates[i] = 1 + many if many > -1e-3 else exp(many) if many > -60 else 0

    cdef void weigh(self, const SampledKey *key, double *of_rates) noexcept nogil:
        """Fill in the probability of each rate for a key."""
        cdef double total = 0
        cdef uint32_t i
        if not key.changed and key.unchanged_s == 0:
            memcpy(of_rates, self.shares, sizeof(self.shares))
            return
        self.likelihoods(key, of_rates)
        for i in range(RATES):
            of_rates[i] *= self.shares[i]
            total += of_rates[i]
        for i in range(RATES):
            of_rates[i] = of_rates[i] / total if total > 0 else self.shares[i]

    cdef StaleShare share_of(self, const double *weights, double mean_age, const float *curve) noexcept nogil:
        """Return the share of a key's hits that are stale, at ages that are uniform around a mean, by a `stale_curve`."""
        cdef StaleShare found = StaleShare(0, 0)
        cdef double place = CURVE_STEPS * (log10(LOWEST * mean_age) - CURVE_LOWEST) if mean_age > 0 else -1e9
        cdef double part
        cdef uint32_t i
        cdef int at
        for i in range(1, RATES):
            if weights[i] > LEAST_WEIGHT and place > 0:
                at = <int>place
                if at >= CURVE_POINTS - 1:
                    add_share(&found, weights[i], 1)
                else:
                    part = place - at
                    add_share(&found, weights[i], curve[at] + part * (curve[at + 1] - curve[at]))
            place += CURVE_STEPS / RATES_OF_TEN
        return found

    cdef StaleShare share_within(
        self, const double *weights, const SampledKey *key, double since_s, double mean_age, double spread) noexcept nogil:
        """Return what `share_of` does, for entries that end no later than the real one.

        Then it is known in which of the times between refreshes the value has changed, but for the last `since_s`.
        The key was refreshed, and no client of this host writes to it.
        """
        cdef StaleShare found = StaleShare(0, 0)
        cdef double known_s = key.changed_s + key.unchanged_s, usual
        cdef uint32_t i
        for i in range(1, RATES):
            if weights[i] > LEAST_WEIGHT:
                usual = stale_share(self.rates[i], mean_age, spread)
                add_share(&found, weights[i], (
                    key.changed_s * self.if_changed(i, key, usual) + since_s * usual) / (known_s + since_s))
        return found

    cdef StaleShare share_on_path(
        self, const double *weights, const SampledKey *key, const hot_path *path, double since_s) noexcept nogil:
        """Return what `share_of` does, for an entry that was followed through the refreshes of the real one."""
        cdef StaleShare found = StaleShare(0, 0)
        cdef double usual
        cdef uint32_t i
        for i in range(RATES):
            if weights[i] > LEAST_WEIGHT:
                usual = self.if_changed(i, key, stale_share(self.rates[i], key.changed_s / max(2.0 * key.changed, 1), 1))
                usual = path.stale_s + path.exposed_s * usual + since_s * (
                    path.stale + (1 - path.stale) * stale_share(self.rates[i], since_s / 2, 1))
                add_share(&found, weights[i], usual / (path.total_s + since_s))
        return found

    cdef double if_changed(self, uint32_t rate, const SampledKey *key, double share) noexcept nogil:
        """Return a stale share for the times between refreshes that have found a change: `share` is that of all."""
        if not key.changed or rate == 0:
            return share
        return min(share / -expm1(-self.rates[rate] * key.changed_s / key.changed), 1)

    cdef void fit(self, const SampledKey *keys, uint32_t count, HotSample hot, uint64_t threshold) noexcept:
        """Estimate the shares, from sampled keys and the hot ones beside them. Without any refresh no value changes."""
        cdef double *table = <double *>malloc(MOST_FITTED * RATES * sizeof(double))
        cdef double found[RATES]
        cdef double *row
        cdef double total
        cdef float times[MOST_FITTED]
        cdef const SampledKey *at
        cdef uint32_t key, others = 0, taken = 0, timed = 0, step, i, j, most = RATES
        if table == NULL:
            return
        if hot.keys != NULL:
            others = min(hot.keys.in_use, hot.room)
        for key in range(others + count):
            if taken == MOST_FITTED:
                break
            if key < others:
                at = &hot.findings[key].key
                if <uint32_t>hot.keys.keys[key].hash < threshold:
                    continue
            else:
                at = &keys[key - others]
                if not at.flags & KEY_IN_USE:
                    continue
            if at.changed or at.unchanged_s > 0:
                self.likelihoods(at, table + taken * RATES)
                taken += 1
                if at.written or at.changed:
                    times[timed] = at.unchanged_s / at.written if at.written else at.changed_s / at.changed
                    timed += 1
        if timed:
            qsort(times, timed, sizeof(float), shorter_first)
            while most > 2 and self.rates[most - 1] * times[timed // SHORT_PART] > MOST_CHANGES:
                most -= 1
        if taken:
            for i in range(RATES):
                self.shares[i] = 1.0 / most if i < most else 0
        for step in range(STEPS if taken else 0):
            for i in range(RATES):
                found[i] = 0
            for j in range(taken):
                row = table + j * RATES
                total = 0
                for i in range(most):
                    total += row[i] * self.shares[i]
                if total > 0:
                    total = 1 / total
                    for i in range(most):
                        found[i] += row[i] * self.shares[i] * total
            for i in range(RATES):
                self.shares[i] = found[i] / taken
        free(table)
