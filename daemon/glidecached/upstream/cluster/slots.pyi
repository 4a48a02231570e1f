"""Hash slots: which of the cluster's 16,384 parts a key belongs to."""

SLOTS: int
"""How many hash slots every cluster has."""

def key_slot(key: bytes) -> int:
    """The slot of a key: CRC-16 (XMODEM) of its hash tag, the text in its first braces, or else of the whole key."""
