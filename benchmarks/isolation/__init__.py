"""What one client can do to another, measured: each module is one measure of `benchmarks/isolation_bench.py`."""
