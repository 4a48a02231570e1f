"""The daemon: it owns the upstream connections and is the only writer of the cache (docs/architecture.md)."""
