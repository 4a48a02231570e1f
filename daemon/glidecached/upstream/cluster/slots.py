# cython: boundscheck=False, wraparound=False
"""Hash slots: the part of a cluster's 16,384 that a key belongs to, and the slot of a command that has one key."""

from __future__ import annotations

from typing import Any

import cython

from glidecache_shared.command_table import irregular_names, names_of_keys_alone

SLOTS = 16_384
"""The number of hash slots in every cluster."""

_LAST_SLOT = cython.declare(cython.int, 16_383)
_POLYNOMIAL = cython.declare(cython.int, 0x1021)
_OPENING = cython.declare(cython.uchar, 0x7B)
_CLOSING = cython.declare(cython.uchar, 0x7D)
_IRREGULAR = cython.declare(frozenset, irregular_names())
# The name of the last command that was found to have one key, whatever else it has: the next one is often the same.
_regular = cython.declare(bytes, b"GET")
_NAME_AND_KEY = cython.declare(cython.Py_ssize_t, 2)
_KEYS_ALONE = cython.declare(frozenset, names_of_keys_alone())


def _effect_of(byte: cython.int) -> cython.int:
    """Return what a byte does to a checksum that it is shifted into."""
    checksum: cython.int = byte << 8
    for _ in range(8):
        checksum = checksum << 1 ^ (_POLYNOMIAL if checksum & 0x8000 else 0)
    return checksum & 0xFFFF


_effects = cython.declare(cython.ushort[256], [_effect_of(byte) for byte in range(256)])


def key_slot(key: bytes) -> cython.int:
    """Return the slot of a key: CRC-16 (XMODEM) of its hash tag, or else of the whole key.

    The hash tag is the text in its first braces.
    """
    begin: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t = len(key)
    at: cython.Py_ssize_t = 0
    checksum: cython.uint = 0
    if _OPENING in key:
        # All places are below `end`, the key's length: nothing reads beyond the key.
        while key[at] != _OPENING:
            at += 1
        begin = at + 1
        at = begin
        while at < end and key[at] != _CLOSING:
            at += 1
        if begin < at < end:
            end = at
        else:
            begin = 0
    for at in range(begin, end):
        checksum = checksum << 8 & 0xFFFF ^ _effects[checksum >> 8 ^ key[at]]
    return checksum & _LAST_SLOT


def slot_of_one_key(arguments: Any) -> cython.int:
    """Return the slot of a command whose first argument is its one key; -1 for any other, or if uncertain."""
    if type(arguments) is not tuple and type(arguments) is not list:
        return -1
    global _regular  # noqa: PLW0603 - one word for all
    words: cython.Py_ssize_t = len(arguments)
    if words < _NAME_AND_KEY or type(arguments[0]) is not bytes or type(arguments[1]) is not bytes:
        return -1
    called: bytes = arguments[0]
    if called != _regular:
        name = called.upper()
        if name not in _IRREGULAR:
            _regular = called
        elif words > _NAME_AND_KEY or name not in _KEYS_ALONE:
            return -1
    return key_slot(arguments[1])
