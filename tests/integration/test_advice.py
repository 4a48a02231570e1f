"""Advice through a real daemon: whole and fresh, from all processes, of each kind of fault; off, and on again."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from glidecache import ClientSideCache
from glidecached.cli.operator import main
from glidecached.cli.options import ExitStatus
from support.advice_reports import advice_report
from support.caches import new_cache
from support.daemon import to_toml
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

PATIENCE_S = 60
KEYS = [f"cart:{number}" for number in range(40)]


@pytest.fixture
def kind() -> str:
    """One kind of client: what is sampled of each is its reader's."""
    return "blocking"


def advise(daemon: Daemon, *arguments: str) -> Result:
    result = CliRunner().invoke(main, ["advise", *arguments, "--runtime-dir", str(daemon.runtime_dir)])
    assert "Traceback" not in result.output
    return result


def report(daemon: Daemon, name: str, *arguments: str) -> dict[str, Any]:
    result = advise(daemon, name, "--json", *arguments)
    answer = json.loads(result.stdout)
    assert list(answer) == ["caches", "across"]
    found: dict[str, Any] = answer["caches"][name]
    assert result.exit_code == (ExitStatus.FAILED if found["advice"] else ExitStatus.DONE)
    return found


def test_an_answer_is_whole_and_has_every_lookup_before_it(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    valkey.admin.mset(dict.fromkeys(KEYS, "v"))
    client = connect(new_cache(name=unique_name))
    for rounds in range(1, 4):
        for key in KEYS:
            client.get(key)
        found = report(daemon, unique_name)
        assert found["lookups"] == rounds * len(KEYS)
    assert set(advice_report()) <= set(found)
    assert set(found["now"]) == set(advice_report()["now"])
    assert found["sampled_keys"] == len(KEYS)
    for name in ("by_size", "by_ttl"):
        assert {frozenset(each) for each in found[name]} <= {frozenset(advice_report()[name][0])}
    assert None in {each["max_cache_kb"] for each in found["by_size"]}
    assert set(found["by_policy"]) == {"LRU", "LFU"}


def test_points_that_are_asked_for_are_those_of_the_answer(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    valkey.admin.mset(dict.fromkeys(KEYS, "v"))
    client = connect(new_cache(name=unique_name))
    for key in KEYS * 3:
        client.get(key)
    found = report(daemon, unique_name, "--sizes", "64,8,100000", "--ttls", "0,5,100000")
    assert [each["max_cache_kb"] for each in found["by_size"]] == [64, 8, 100_000]
    assert [each["entry_ttl_ms"] for each in found["by_ttl"]] == [0, 5, 100_000]


def test_writes_to_cached_keys_are_counted_and_their_prefixes_named(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    valkey.admin.mset(dict.fromkeys(KEYS, "v"))
    client = connect(new_cache(name=unique_name))
    client.call("set", KEYS[0], "not cached yet")
    assert report(daemon, unique_name)["cached_key_writes"] == 0
    for key in KEYS:
        client.get(key)
        client.call("set", key, "w")
        client.get(key)
    found = report(daemon, unique_name)
    assert found["cached_key_writes"] == len(KEYS)
    assert found["written_prefixes"] == ["cart:"]
    assert found["known_stale_hits"] == pytest.approx(1.0), "each hit came after the write"
    (cache,) = [each for each in daemon.stats()["caches"] if each["name"] == unique_name]
    assert cache["cached_key_writes"] == len(KEYS)


def test_a_cache_without_metrics_has_no_advice(connect: Connector, daemon: Daemon, unique_name: str) -> None:
    connect(ClientSideCache.create(64, 0, name=unique_name))
    refused = advise(daemon, unique_name)
    assert (refused.exit_code, refused.stdout) == (ExitStatus.FAILED, "")
    assert f"{unique_name}: its traffic is not sampled, because enable_metrics is false" in refused.stderr
    # With others, of which the daemon may have many, it may be named on their line.
    assert "its traffic is not sampled, because enable_metrics is false" in advise(daemon).stderr


def test_an_unknown_cache_is_named_beside_those_that_there_are(daemon: Daemon) -> None:
    refused = advise(daemon, "no-such-cache")
    assert refused.exit_code == ExitStatus.FAILED
    assert "no cache 'no-such-cache'; there are: " in refused.stderr


def test_advice_is_off_and_on_by_a_reload(
    start_daemon: Callable[..., Daemon], valkey: ValkeyServer, connect: Connector
) -> None:
    tables = {
        "advice": {"enabled": False},
        "upstreams": {"default": {"addresses": [f"127.0.0.1:{valkey.port}"]}},
        "caches": {"catalog": {"max_cache_kb": 64, "entry_ttl_ms": 0, "enable_metrics": True}},
    }
    daemon = start_daemon(**tables)
    valkey.admin.set("k", "v")
    client = connect(
        ClientSideCache.named("catalog"),
        addresses=None,
        upstream="default",
        runtime_dir=str(daemon.runtime_dir),
    )
    for _ in range(3):
        client.get("k")

    def reload(*, enabled: bool) -> None:
        seen = len(daemon.log_text())
        content = {
            **tables,
            "advice": {"enabled": enabled},
            "daemon": {"pool_dir": str(daemon.pool_dir), "log_level": "debug"},
        }
        daemon.configuration.write_text(to_toml(content))
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload finished" in daemon.log_text()[seen:], "the reload is over", PATIENCE_S)

    for arguments in ([], ["catalog"], ["--json"]):
        refused = advise(daemon, *arguments)
        assert (refused.exit_code, refused.stdout) == (ExitStatus.FAILED, "")
        assert "[advice] enabled = false" in refused.stderr
    (cache,) = daemon.stats()["caches"]
    assert (cache["advice"], cache["cached_key_writes"]) == (None, None)
    reload(enabled=True)
    assert report(daemon, "catalog")["lookups"] == 0, "samples begin empty"
    client.get("k")
    assert report(daemon, "catalog")["lookups"] == 1
    wait_until(lambda: daemon.stats()["caches"][0]["advice"], "figures for everybody are made", PATIENCE_S)
    reload(enabled=False)
    assert advise(daemon).exit_code == ExitStatus.FAILED
    assert daemon.stats()["caches"][0]["advice"] is None
