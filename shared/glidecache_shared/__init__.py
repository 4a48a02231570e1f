"""What daemon and client share: the compiled pool, the wire protocol, leases, and where they meet."""
