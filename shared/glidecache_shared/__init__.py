"""What daemon and client share: the compiled pool, the wire protocol, leases, and where they meet."""

__version__ = "0.1.0"
"""The version of the distribution, as in pyproject.toml. (A look into the installed metadata takes milliseconds.)"""
