"""The daemon's numbers: snapshots for other threads, their history, and how to read them."""
