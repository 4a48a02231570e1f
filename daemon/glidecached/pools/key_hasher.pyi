"""The hashes of keys, by the secret of a pool's present generation: each request hashes a key once."""

from glidecache_shared.pool.store import PoolStore

def scattered(key_hash: int) -> int:
    """Return a number whose last bits are good for a table of the daemon's own. For compiled code.

    Clients know the pool's secret, and could choose keys whose hashes end alike. They do not know this multiplier.
    """

class KeyHasher:
    """A pool's hash. For compiled code."""

    def use_secret_of(self, store: PoolStore) -> None:
        """Hash as this generation does from now on."""

    def hash(self, key: bytes) -> int:
        """Return the hash of a key."""

    def hash_all(self, keys: list[bytes]) -> bytes:
        """Return the hashes of many keys, as an array of 32-bit numbers."""
