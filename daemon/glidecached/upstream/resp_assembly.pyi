"""Containers of a reply, put together as their values come: what `resp.Reader` is built on."""

class Assembly:
    """The containers of one reply that are not whole, the outermost first. Belongs to one thread."""
