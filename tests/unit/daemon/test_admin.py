"""What operators ask for: who may, and what they are told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import (
    ERROR_CONFIGURATION,
    ERROR_FORBIDDEN,
    ERROR_PROTOCOL,
    PROTOCOL_VERSION,
    STRING,
)
from glidecached.cli.report import report
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.admin import AdminHandlers
from glidecached.pools.metadata import PoolKey, PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glidecached.pools.manager import PoolManager

ADMIN_UID = 4_242
STRANGER_UID = 4_343
ABOUT = {"daemon_version": "1.2.3", "instance_id": 7}


@pytest.fixture
def registry(make_registry: Callable[..., PoolManager], upstream: Any) -> PoolManager:
    registry = make_registry()
    pool = registry.join(
        PoolKey("catalog", None), upstream.target.identity, PoolSettings(max_cache_kb=64, entry_ttl_ms=0)
    )
    pool.entries.insert(b"k", STRING, b"v", 1)
    return registry


@pytest.fixture
def admin(registry: PoolManager) -> AdminHandlers:
    return AdminHandlers(ABOUT, lambda: {"caches": registry.stats()}, registry, frozenset({ADMIN_UID}))


@pytest.mark.parametrize("uid", [0, os.geteuid(), ADMIN_UID])
def test_admins_flush_and_drop(
    admin: AdminHandlers,
    registry: PoolManager,
    requests: Any,
    uid: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    flush, drop = requests(uid=uid), requests(uid=uid)
    admin.flush(flush, ["catalog"])
    assert requests.value(flush) == 1
    admin.drop(drop, ["catalog"])
    assert requests.value(drop) is None
    assert len(registry) == 0
    logged = [(record.getMessage(), record.__dict__) for record in caplog.records]
    assert [
        (event, fields["cache"], fields["uid"]) for event, fields in logged if event.startswith("cache ")
    ] == [("cache flushed", "catalog", uid), ("cache dropped", "catalog", uid)]
    assert next(fields["entries"] for event, fields in logged if event == "cache flushed") == 1


def test_others_do_not(admin: AdminHandlers, registry: PoolManager, requests: Any) -> None:
    for operation in (admin.flush, admin.drop):
        request = requests(uid=STRANGER_UID)
        operation(request, ["catalog"])
        assert requests.error(request)[0] == ERROR_FORBIDDEN
    assert len(registry) == 1


def test_unknown_caches_are_named(admin: AdminHandlers, requests: Any) -> None:
    for operation, *more in ((admin.flush,), (admin.drop,), (admin.hottest, 5)):
        request = requests(uid=0)
        operation(request, ["nobody's", *more])
        code, message = requests.error(request)
        assert code == ERROR_CONFIGURATION
        assert "catalog" in message


def test_another_protocol_is_told_both_versions(admin: AdminHandlers, requests: Any) -> None:
    right, wrong = requests(), requests()
    admin.hello(right, [PROTOCOL_VERSION, "1"])
    assert requests.value(right) == ABOUT
    admin.hello(wrong, [PROTOCOL_VERSION + 1, "9.9"])
    code, message = requests.error(wrong)
    assert code == ERROR_PROTOCOL
    assert "1.2.3" in message
    assert "9.9" in message


def test_the_report_shows_every_cache_and_upstream(registry: PoolManager) -> None:
    upstream = {
        "name": None,
        "addresses": ["h:1"],
        "connected_to": None,
        "last_error": "refused",
        "latency": {"bounds_us": [100], "counts": [0, 0], "sum_us": 0},
        **dict.fromkeys(("sessions", "requests", "failed", "in_flight", "queued"), 3),
    }
    daemon = {
        "version": "1.2.3",
        "refused": {"busy": 4},
        **dict.fromkeys(("pid", "uptime_seconds", "sessions", "accepted_requests", "open_requests"), 5),
    }
    text = "\n".join(report({"daemon": daemon, "upstreams": [upstream], "caches": registry.stats()}))
    for part in (
        "1.2.3",
        "4 busy",
        "h:1",
        "not connected: refused",
        "catalog",
        "of 64.0 KB",
    ):
        assert part in text
    (row,) = (line for line in text.splitlines() if "catalog" in line)
    assert row.split()[-1] == "0", "no process is attached"


def test_admins_see_the_hottest_keys_and_others_do_not(
    admin: AdminHandlers, registry: PoolManager, requests: Any
) -> None:
    registry.find("catalog").entries.insert(b"K" * 300, STRING, b"v", 2)
    allowed, refused = requests(uid=ADMIN_UID), requests(uid=STRANGER_UID)
    admin.hottest(allowed, ["catalog", 10])
    told = requests.value(allowed)
    assert told["eviction_policy"] == "LRU"
    assert [(entry["key"], entry["key_bytes"]) for entry in told["entries"]] == [(b"K" * 256, 300), (b"k", 1)]
    admin.hottest(refused, ["catalog", 10])
    assert requests.error(refused)[0] == ERROR_FORBIDDEN


def test_admins_learn_what_files_are_called_and_others_do_not(
    registry: PoolManager, requests: Any, tmp_path: Path
) -> None:
    """A file without a list can be opened by the daemon's whole group: by those who know its name."""
    admin = AdminHandlers(ABOUT, lambda: {"caches": registry.stats()}, registry, frozenset({ADMIN_UID}))
    told, untold = requests(uid=ADMIN_UID), requests(uid=STRANGER_UID)
    admin.stats(told, [])
    admin.stats(untold, [])
    (cache,) = requests.value(told)["caches"]
    assert (tmp_path / f"{cache['file_id']}.{cache['generation']}.pool").exists()
    assert cache["file_id"] not in repr(requests.value(untold))


def test_numbers_of_before_a_cache_was_dropped_leave_it_out(registry: PoolManager, requests: Any) -> None:
    """All STATS of one turn of the loop share their numbers, and a DROP may come between two of them."""
    numbers = {"caches": registry.stats()}
    admin = AdminHandlers(ABOUT, lambda: numbers, registry, frozenset({ADMIN_UID}))
    registry.drop("catalog")
    request = requests(uid=ADMIN_UID)
    admin.stats(request, [])
    assert requests.value(request)["caches"] == []


@pytest.mark.parametrize("count", [0, 101, "5", True])
def test_a_number_of_hottest_keys_that_is_none_is_refused(
    admin: AdminHandlers, requests: Any, count: object
) -> None:
    with pytest.raises(MalformedError, match="count is"):
        admin.hottest(requests(uid=0), ["catalog", count])
