"""A pool in shared memory: its layout, the store that writes it, the reader that does not."""
