"""The pools: their creation, their clients, and their end (contract C18 to C20).

`pool` is one pool with its files and its lease, `table` all of them. `manager` has the rules by which clients join and
pools end, `reconfigure` applies a changed configuration. `pool_dir` is the directory of the files. `warm_restart`
finds the pools of an earlier daemon, `previous_dir` ends those that it had in another directory. `generation_copy` and
`background` resize and refill a pool.
"""
