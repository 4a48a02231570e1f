"""`glidecache top`: what a running daemon does, live in a terminal.

`watcher` asks the daemon from a thread of its own, `figures` makes rates of two answers, `history` keeps what the
sparklines draw, `listing` and `trends` are the widgets, and `app` is the screen. The only part that needs Textual.
"""
