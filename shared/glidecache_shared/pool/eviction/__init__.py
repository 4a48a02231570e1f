"""The entries that are evicted first, by the cache's policy, and those that were read most."""
