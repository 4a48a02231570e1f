"""`glidecache doctor`: checks from outside whether a host, a configuration and a daemon fit each other.

`context` gathers what is checked, each `check_…` module holds the checks of one subject, `runner` lists them.
"""
