"""Which pools there are, whom they belong to, and when they end (contract C18 to C20).

`settings` are what a pool is made with, `pool` is one pool with its files and its lease, `directory` the place of the
files, `registry` the rules by which clients join and pools end.
"""
