"""The side-by-side benchmark: what is measured (`groups`), against whom (`peers`), and how it is told.

`stand` starts the servers, `timing` lets all take turns, `rows` is what a group returns, `run` puts them together.
"""
