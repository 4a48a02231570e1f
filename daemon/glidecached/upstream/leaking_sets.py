"""What libvalkey keeps of the sets that it parses, given back.

Up to version 4.2.1 its reader adds each member to the set and does not give up its own reference: the members of every
set that a RESP3 server ever sent stay in memory. Whether the installed one does so is tried when this is imported, with
a set of one member: nothing is given back that was not kept.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import libvalkey

AGGREGATES = frozenset({set, list, dict})
"""The types of replies in which there may be a set."""

_decref = ctypes.pythonapi.Py_DecRef
_decref.argtypes = [ctypes.py_object]
_decref.restype = None


def _keeps_members() -> bool:
    reader = libvalkey.Reader()
    reader.feed(b"~1\r\n$10\r\nparsed one\r\n")
    parsed: set[bytes] = reader.gets()
    (member,) = parsed
    (other,) = {bytes(bytearray(10))}
    parsed.clear()
    return sys.getrefcount(member) > sys.getrefcount(other)


SETS_LEAK = _keeps_members()
"""Whether `release` is needed with the installed libvalkey; where it is not, it must not be called."""


def release(reply: Any) -> None:
    """Give back what the reader has kept of the sets in a reply: once, just after it was parsed."""
    if type(reply) is set:
        for member in reply:
            _decref(member)
        return
    parts = reply.values() if type(reply) is dict else reply
    if AGGREGATES.isdisjoint(map(type, parts)):
        return
    for part in parts:
        if type(part) in AGGREGATES:
            release(part)
