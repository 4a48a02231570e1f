"""`glidecache doctor`: what a host, a configuration and a daemon need to fit each other, looked at from outside.

`patient` gathers what is looked at, each other module holds the checks of one concept, `examination` is the list of
them.
"""
