"""The screen of `glidecache top`: what a running daemon does, live in a terminal.

`poller` asks the daemon from a thread of its own, `rates` computes rates from two answers. `sparkline_history` keeps
what the sparklines draw, `cache_table` and `sparklines` are the widgets, `app` is the screen. Only this part needs
Textual.
"""
