"""The hashes of keys, by the secret of a pool's present generation: each request hashes a key once."""

from glidecache_shared.pool.store import PoolStore

class KeyHasher:
    """A pool's hash. For compiled code."""

    def use_secret_of(self, store: PoolStore) -> None:
        """Hash as this generation does from now on."""

    def hash(self, key: bytes) -> int:
        """Return the hash of a key."""

    def hash_all(self, keys: list[bytes]) -> bytes:
        """Return the hashes of many keys, as an array of 32-bit numbers."""
