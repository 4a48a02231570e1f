"""Which entries leave first, by the cache's policy, and which were read most."""
