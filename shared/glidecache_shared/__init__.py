"""The common parts of daemon and client: the compiled pool, the wire protocol, leases, and the runtime directory."""

__version__ = "0.2.0"
"""The version of the distribution, as in pyproject.toml. (A look into the installed metadata takes milliseconds.)"""
