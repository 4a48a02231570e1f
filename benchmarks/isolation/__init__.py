"""Measures of what one client can do to another: each module is one measure of `benchmarks/isolation_bench.py`."""
