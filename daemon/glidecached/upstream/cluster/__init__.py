"""Clusters: many servers as one upstream.

`slots` finds the slot of a key, `routing` the nodes of a command, `response_policy` combines replies.
`topology` holds what is known of the cluster, `topology_refresh` keeps it up to date. A `node_request` is one command
for one of the `nodes`; a `transaction` or one of the `multi_requests` is several in one write. `redirects` sends them,
and sends them again after redirections and losses. `sinks` take the replies, `replica_reads` finds replicas that may
answer. `cluster_upstream` combines all of it. `fast_path` is for most calls: one key, to its primary.
"""
