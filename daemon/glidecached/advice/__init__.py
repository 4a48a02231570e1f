"""Advice from a sample of the traffic (docs/design/0028-advice.md)."""
