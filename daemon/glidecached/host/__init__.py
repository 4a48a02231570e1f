"""The service of a host: the files that make an installed `glidecached` one, laid down, removed and enabled.

`glidecached --install-units` and `make install` use it. It needs nothing but the standard library, so that
`scripts/install` can use it in a checkout, without an environment (`python -m glidecached.host.host_command`).
"""
