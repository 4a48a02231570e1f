"""The side-by-side benchmark: the measures (`groups`), the peers to compare with (`peers`), and the report.

`stand` starts the servers, `timing` lets all take turns, `rows` is what a group returns, `run` combines them.
"""
