"""The common parts of daemon and client: the compiled pool, the wire protocol, leases, and the runtime directory."""
