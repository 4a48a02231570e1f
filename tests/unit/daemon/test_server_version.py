"""What servers say that they are: by HELLO, by INFO, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.doctor.check_upstreams import check_upstreams
from glidecached.doctor.context import Configuration, Contact, DoctorContext
from glidecached.doctor.result import Status
from glidecached.upstream.server_version import ServerVersion, from_hello, from_info


@pytest.mark.parametrize(
    ("reply", "software"),
    [
        ({b"server": b"valkey", b"version": b"9.1.2", b"proto": 3}, ("valkey", "9.1.2")),
        ({b"server": b"x" * 100, b"version": b"\xff"}, ("x" * 40, "\ufffd")),
        ({b"proto": 3}, None),
        ({b"server": 1, b"version": b"7"}, None),
        (b"OK", None),
    ],
)
def test_what_hello_tells(reply: Any, software: tuple[str, str] | None) -> None:
    assert from_hello(reply) == software


@pytest.mark.parametrize(
    ("reply", "software"),
    [
        (b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n", ("redis", "7.0.15")),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\n", ("valkey", "8.1.0")),
        (b"# Server\r\nuptime_in_seconds:3\r\n", None),
        (b"redis_version:\r\n", None),
        (None, None),
    ],
)
def test_what_info_tells(reply: Any, software: tuple[str, str] | None) -> None:
    assert from_info(reply) == software


@pytest.mark.parametrize(
    ("name", "version", "oldest"),
    [
        ("valkey", "7.2", None),
        ("valkey", "7.1.9", "7.2"),
        ("redis", "6.2.0", None),
        ("redis", "6.0.20", "6.2"),
        ("redis", "10.0", None),
        ("redis", "5", "6.2"),
        ("something", "0.1", None),
        ("redis", "new", None),
    ],
)
def test_which_is_too_old(name: str, version: str, oldest: str | None) -> None:
    assert ServerVersion(name, version).oldest_supported == oldest


def examine(**upstream: Any) -> tuple[Status, str, str]:
    """What doctor says of one upstream that the daemon is connected to."""
    stats = {"upstreams": [{"name": "default", "connected_to": "h:1", "last_error": None, **upstream}]}
    context = DoctorContext(
        configuration=Configuration(path=None, config=None),
        runtime_dir="/nowhere",
        pool_dir="/nowhere",  # type: ignore[arg-type] # nobody looks
        contact=Contact(stats=stats),
    )
    (finding,) = check_upstreams(context)
    return finding.status, finding.seen, finding.advice


def test_a_server_that_is_too_old_is_warned_of() -> None:
    servers = [{"name": "valkey", "version": "9.1.2"}, {"name": "redis", "version": "6.0.9"}]
    status, seen, advice = examine(software=servers)
    assert status == Status.WARN
    assert seen == "default: connected to h:1, valkey 9.1.2, redis 6.0.9"
    assert advice.startswith("upgrade to redis 6.2 or later")


@pytest.mark.parametrize("told", [{}, {"software": []}])
def test_a_version_that_is_not_told_is_well(told: dict[str, Any]) -> None:
    assert examine(**told)[:2] == (
        Status.OK,
        "default: connected to h:1, version not reported",
    )


@pytest.mark.parametrize("host", ["x" * 64, "a..b", "none.invalid"])
def test_a_host_that_no_name_server_knows_is_a_fault_and_no_crash(host: str) -> None:
    status, seen, _ = examine(connected_to=None, addresses=[f"{host}:6379"], state="not connected")
    assert status is Status.WARN
    assert "not used yet, and accepts no connections" in seen
