"""The deadlines of a client's requests: how long it waits for a reply, and a request whose deadline is later."""

from __future__ import annotations

import cython

from glidecache_shared import protocol

_MS = cython.declare(cython.longlong, 1_000_000)

_INTEGER_BYTES = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}
"""Lengths of msgpack's unsigned integers, by their first byte; smaller numbers are that byte alone."""


def reply_deadline_ns(deadline_ns: cython.longlong, now_ns: cython.longlong) -> cython.longlong:
    """Return until when to wait for a reply: the daemon's own answer about a deadline comes a little after it.

    The daemon's timers are up to 5 ms late, and up to a hundredth of longer time-outs.
    """
    return deadline_ns + 25 * _MS + max(0, deadline_ns - now_ns) // 50


def with_deadline(frame: bytes, deadline_ns: int) -> bytes:
    """Return a request's message with another deadline in it."""
    start = 2
    for _ in ("request_id", "instance_id"):
        start += _INTEGER_BYTES.get(frame[start], 1)
    end = start + _INTEGER_BYTES.get(frame[start], 1)
    return b"".join((frame[:start], protocol.pack((deadline_ns,))[1:], memoryview(frame)[end:]))
