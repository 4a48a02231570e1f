"""Warm restart: taking over a pool that an earlier daemon left."""
