"""Writes of Django's cache to keys that are cached: counted with their names, and never followed by a stale hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.daemon import Daemon
    from support.django_caches import DjangoCaches

WRITES: dict[str, Callable[[DjangoCaches, Any], object]] = {
    "set": lambda caches, cache: caches.call(cache, "set", "cart:1", 2),
    "incr": lambda caches, cache: caches.call(cache, "incr", "cart:1"),
    "touch": lambda caches, cache: caches.call(cache, "touch", "cart:1", 50),
    "touch without end": lambda caches, cache: caches.call(cache, "touch", "cart:1", None),
    "delete": lambda caches, cache: caches.call(cache, "delete", "cart:1"),
    "set_many": lambda caches, cache: caches.call(cache, "set_many", {"cart:1": 2, "cart:2": 3}),
}


@pytest.mark.parametrize("way", WRITES)
def test_a_write_to_a_cached_key_is_counted_and_its_forget_leaves_no_stale_hit(
    caches: DjangoCaches, daemon: Daemon, unique_name: str, way: str
) -> None:
    cache = caches.made()
    caches.call(cache, "set", "cart:1", 1)
    assert caches.call(cache, "get", "cart:1") == 1
    assert caches.call(cache, "get", "cart:1") == 1
    WRITES[way](caches, cache)
    for _ in range(3):
        caches.call(cache, "get", "cart:1")
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        report = wire.request(protocol.ADVISE, unique_name, None, None)["caches"][unique_name]
    # A touch changes only when the key ends.
    assert report["cached_key_writes"] == (0 if way.startswith("touch") else 1)
    assert report["written_prefixes"] == ([] if way.startswith("touch") else [":1:cart:"])
    assert report["known_stale_hits"] in {0, None}
