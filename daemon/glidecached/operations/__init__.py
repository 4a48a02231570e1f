"""What the daemon does on request: one module per group of the protocol's operations."""
