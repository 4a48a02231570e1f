"""Fronts: the clients of valkey-py and redis-py, with cached reads (docs/design/0025-fronts.md)."""
