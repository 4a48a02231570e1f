"""Hash slots: which of the cluster's 16,384 parts a key belongs to."""

from __future__ import annotations

from binascii import crc_hqx

SLOTS = 16_384
"""How many hash slots every cluster has."""


def key_slot(key: bytes) -> int:
    """The slot of a key: CRC-16 (XMODEM) of its hash tag, the text in its first braces, or else of the whole key."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS
