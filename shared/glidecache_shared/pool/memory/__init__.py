"""The memory of a pool: granules and their free runs, the hash index, entries, access records."""
