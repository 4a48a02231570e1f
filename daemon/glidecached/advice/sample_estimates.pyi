"""Estimates from a sample, for the whole pool, and for pools of other bounds, TTLs and policies."""

from glidecached.advice.key_sample import KeySample
from glidecached.advice.simulated_points import SimulatedPoint

class SampleEstimates:
    """Figures at one moment, to be used before the sample takes more events."""

    def __init__(self, sample: KeySample) -> None: ...
    points: list[SimulatedPoint]
    """The simulated pools, the real one's settings first. The lists below are in their order."""
    hit_rates: list[float]
    errors: list[float]
    """The standard errors of the hit rates that the choice of keys causes."""
    stale_reads: list[float | None]
    """The shares of all lookups that find an outdated value; None where ages are not known."""
    stale_errors: list[float | None]
    """Their standard errors: which keys are sampled, and how well the rates at which values change are known."""
    full_bytes: float
    """The charge of all entries in a pool without a bound."""
    bytes_error: float
    """The standard error of the sampled keys' bytes, as a share of these: large where few values have most of them."""
    own_error: float
    """The difference of the shares of sampled lookups that the real pool and its own simulation miss."""
    window_change: float
    """The difference of the real pool's miss rates in windows and over all the time."""
    lookups: float
    """Of the whole pool, while it was sampled."""
    sampled_lookups: float
    assumed_hits: float
    """Of these, the first hits on entries that are older than the sample."""
    sampled_keys: int
    sample_rate: float
    seconds: float
    time_share: float
    """The share of the time that was sampled."""
    changed_refreshes: float | None
    """The share of refreshes that found another payload; None without any."""
    known_stale_hits: float | None
    """The share of hits that found a value older than a write that is known; None without any hit."""

    def reused_within_bytes(self, size: float) -> float:
        """Return the number of sampled lookups that an LRU pool of so many bytes, without a TTL, would have hit."""

    def reused_within_ns(self, ttl_ns: float) -> float:
        """Return the number of sampled lookups that came so soon after the key's last."""

    def popularity(self) -> list[tuple[int, float]]:
        """Return, of each sampled key, its lookups, and what it and those that it represents are charged in bytes."""
