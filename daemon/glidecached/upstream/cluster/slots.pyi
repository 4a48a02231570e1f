"""Hash slots: which of the cluster's 16,384 parts a key belongs to."""

SLOTS: int
"""The number of hash slots in every cluster."""

def key_slot(key: bytes) -> int:
    """Return the slot of a key: CRC-16 (XMODEM) of its hash tag, or else of the whole key.

    The hash tag is the text in its first braces.
    """
