"""The screen of `glidecache top`: the caches and upstreams of a running daemon, live in a terminal.

`poller` asks the daemon from a thread of its own, `rates` computes rates from two answers. `cache_table` and
`sparklines` are the widgets, `app` is the screen. Only this part needs Textual.
"""
