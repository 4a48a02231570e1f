"""Clusters: many servers as one upstream.

`slots` says which slot a key is in, `route` and `routing` where a command goes, `response_policy` how several replies
become one. `topology` is what is known of the cluster, `topology_refresh` keeps it up to date. A `node_request` is one
command on its way to one of the `nodes`; a `transaction` or one of the `multi_requests` is several in one write. The
`dispatcher` sends them, and again after redirections and losses. `sinks` take the replies, `replica_reads` finds
replicas that may answer. `upstream` is all of it, `fast_path` the way of most calls: one key, to its primary.
"""
