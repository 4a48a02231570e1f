"""Containers of a reply, built as their values arrive: the base of `resp.Reader`."""

class Assembly:
    """The containers of one reply that are not whole, the outermost first. Belongs to one thread."""
