"""The sample of one pool's keys: see key_sample.pyi."""

from glidecached.advice.sample_event cimport (
    SAMPLE_FLUSH, SAMPLE_FORGET, SAMPLE_KNOWN, SAMPLE_LOOKUP_HIT, SAMPLE_LOOKUP_MISS, SAMPLE_PAUSE, SAMPLE_RESUME,
    SAMPLE_STORE, SAMPLE_WRITE, sample_event,
)

LOOKUP_HIT = SAMPLE_LOOKUP_HIT
LOOKUP_MISS = SAMPLE_LOOKUP_MISS
STORE = SAMPLE_STORE
KNOWN = SAMPLE_KNOWN
WRITE = SAMPLE_WRITE
FORGET = SAMPLE_FORGET
FLUSH = SAMPLE_FLUSH
PAUSE = SAMPLE_PAUSE
RESUME = SAMPLE_RESUME


cdef class KeySample:
    """At most 8,192 keys of a pool, and simulations on them."""

    def __init__(self, max_bytes, ttl_ns, policy, server_ttl=False):
        pass

    @property
    def threshold(self):
        return 1 << 32

    cdef void feed(self, const sample_event *events, Py_ssize_t count) noexcept:
        pass

    def feed_events(self, events):
        pass

    def count(self, lookups, misses, seconds):
        pass

    def set_pool(self, max_bytes, ttl_ns, policy):
        pass

    def report(self, sizes_kb=None, ttls_ms=None, lost=0):
        return {}
