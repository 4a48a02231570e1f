"""A pool's files: creating, mapping, and giving memory back."""
