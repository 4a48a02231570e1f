"""The pools: which there are, which clients use them, when they end (contract C18 to C20).

`pool` is one pool with its files and its lease, `table` all of them, `manager` the rules by which clients join and
pools end, `reconfigure` what a changed configuration does to them. `pool_dir` is the directory of the files.
`warm_restart` finds what an earlier daemon left, `generation_copy` and `background` resize and refill a pool.
"""
