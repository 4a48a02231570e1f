"""Clusters: many servers as one upstream.

`cluster_upstream` takes a client's calls. A call with one key and no route takes the fast path: `node_request` makes it
a request for one of the nodes, and sends it. The others are planned: `routing` finds the nodes of a command by the
`slots` of its keys. A transaction is one of the `node_batches`, like a pipeline that may block. `reply_collector` keeps
the replies, and `response_policy` combines them. `redirects` sends requests again after redirects and losses.
`replica_reads` finds replicas that may answer, `multi_node_watch` watches keys. `topology` holds what is known of the
cluster, `topology_refresh` keeps it up to date, `nodes` holds the nodes in use.
"""
