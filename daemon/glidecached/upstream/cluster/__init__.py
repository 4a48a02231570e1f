"""Clusters: many servers as one upstream.

`slots` and `keys` say which slot a command is about, `route` and `routing` where it goes, `combine` how several replies
become one. `topology` is what is known of the cluster, and `refresh` keeps it up to date. A `leg` is one command on its
way to a `node`, a `transaction` travels as one, a `convoy` is several in a row; `journeys` sends them, and on after
redirections and losses; `sinks` take the replies, `replica_reads` finds replicas that may answer. `upstream` makes one
of all that; `straight` is how most calls pass it, those with one key, on their way to the primary that serves it.
"""
