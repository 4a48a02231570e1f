"""Forgets that no daemon has taken: kept within bounds, and never dropped by the end of an older attempt."""

from __future__ import annotations

import os
import time

import pytest

from glidecache.django.undelivered_forgets import MOST_BYTES, MOST_KEYS, UndeliveredForgets


def test_a_key_that_is_kept_again_outlives_the_attempt_before() -> None:
    kept = UndeliveredForgets(60_000)
    kept.keep([b"a", b"b"], None)
    kept.keep_prefix(b"p:")
    attempt = kept.attempt()
    assert attempt is not None
    kept.keep([b"a"], None)
    kept.delivered(attempt)
    assert (kept.has(b"a"), kept.has(b"b"), kept.has(b"p:k"), kept.is_empty) == (True, False, False, False)
    again = kept.attempt()
    assert again is not None
    kept.delivered(again)
    assert kept.is_empty


@pytest.mark.parametrize(
    "keys", [[b"p:%d" % number for number in range(MOST_KEYS + 1)], [b"p:" + bytes(MOST_BYTES)]]
)
def test_beyond_the_bound_the_prefix_is_kept(keys: list[bytes]) -> None:
    kept = UndeliveredForgets(60_000)
    kept.keep(keys, b"p:")
    assert kept.has(b"p:never written")
    assert not kept.has(b"q")
    assert kept.attempt() == ({}, {b"p:": kept._prefixes[b"p:"]})


def test_beyond_the_bound_without_a_prefix_nothing_is_cached_for_the_ttl() -> None:
    keys = [b"%d" % number for number in range(MOST_KEYS + 1)]
    kept, forever = UndeliveredForgets(50), UndeliveredForgets(0)
    for each in (kept, forever):
        each.keep(keys, None)
        assert each.has(b"any")
        assert each.attempt() is None
    time.sleep(0.06)
    assert not kept.has(b"any")
    assert kept.is_empty
    assert forever.has(b"any")


def test_an_attempt_that_took_long_is_not_repeated_at_once() -> None:
    kept = UndeliveredForgets(60_000)
    kept.keep([b"a"], None)
    kept.failed(time.monotonic_ns() - 50_000_000)
    assert kept.attempt() is None
    assert kept.has(b"a")
    kept.failed(time.monotonic_ns())
    time.sleep(0.001)
    assert kept.attempt() is not None


def test_a_fork_does_not_inherit_a_held_lock() -> None:
    kept = UndeliveredForgets(60_000)
    with kept.lock:
        child = os.fork()
        if child == 0:
            kept.keep([b"a"], None)
            os._exit(0 if kept.has(b"a") else 1)
    assert os.waitpid(child, 0)[1] == 0
