"""The listener of a real daemon: figures that are right, health, and what is refused."""

from __future__ import annotations

import json
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from glidecache import ClientSideCache, ClosingError
from glidecached.cli.daemon import _EXIT_FAILURE
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.pages import SeenDaemon
    from support.valkey_server import ValkeyServer

PASSWORD = "correct-horse-battery-staple"


def value(text: str, name: str, **labels: str) -> float:
    """One series' value."""
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")) == labels:
            return float(found[2])
    message = f"{name} {labels} is not in:\n{text}"
    raise AssertionError(message)


def attach(connect: Connector, seen: SeenDaemon) -> AnyClient:
    """A client of the daemon's own cache."""
    return connect(
        ClientSideCache.named("catalog"), runtime_dir=str(seen.daemon.runtime_dir), upstream="default"
    )


def test_figures_follow_the_traffic(
    start_seen: Callable[..., SeenDaemon], start_valkey: Callable[..., ValkeyServer], connect: Connector
) -> None:
    server = start_valkey()
    server.admin.set("k", "v" * 100)
    seen = start_seen(server)
    client = attach(connect, seen)
    for _ in range(5):
        client.get("k")
    client.get("nothing")
    lookups = 'glidecached_cache_lookups_total{cache="catalog",named="yes"} 6.0'
    wait_until(lambda: lookups in seen.ask("/metrics").text, "the figures are fresh", 20)
    text = seen.ask("/metrics").text
    cache = {"cache": "catalog", "named": "yes"}
    assert value(text, "glidecached_cache_hits_total", **cache) == 4
    assert value(text, "glidecached_cache_misses_total", **cache, cause="absent") == 2
    assert value(text, "glidecached_cache_attached_processes", **cache) == 1
    used = value(text, "glidecached_cache_bytes", **cache)
    assert 0 < used <= value(text, "glidecached_cache_max_bytes", **cache) == 64 * 1024
    assert value(text, "glidecached_upstream_connected", upstream="default") == 1
    duration = "glidecached_upstream_request_duration_seconds"
    replies = value(text, f"{duration}_count", upstream="default")
    assert 2 <= replies <= value(text, "glidecached_upstream_requests_total", upstream="default")
    assert value(text, f"{duration}_sum", upstream="default") > 0
    assert value(text, f"{duration}_bucket", upstream="default", le="+Inf") == replies
    assert value(text, "process_start_time_seconds") > 0
    openmetrics = seen.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("# EOF\n")
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")


def counters(seen: SeenDaemon) -> dict[tuple[str, str], float]:
    """Every counter, and every place of the histograms, by name and labels; those of the process itself left out."""
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(seen.ask("/metrics").text)
        if family.type in {"counter", "histogram"} and family.name.startswith("glidecached_")
        for sample in family.samples
    }


def test_no_counter_falls_when_caches_and_upstreams_are_changed(
    start_seen: Callable[..., SeenDaemon], start_valkey: Callable[..., ValkeyServer], connect: Connector
) -> None:
    """Prometheus would take the rest of it for new events."""
    server = start_valkey()
    server.admin.set("k", "v" * 100)
    seen = start_seen(server)
    client = attach(connect, seen)
    for number in range(1_000):
        client.get("k")
        client.get(f"nothing-{number % 50}")
    lookups = ("glidecached_cache_lookups_total", str([("cache", "catalog"), ("named", "yes")]))
    wait_until(lambda: counters(seen)[lookups] == 2_000, "the figures are fresh", 20)
    before = counters(seen)
    for kb, timeout_ms in ((256, 9_000), (16, 8_000)):
        text = seen.daemon.configuration.read_text()
        text = re.sub(r"max_cache_kb = \d+", f"max_cache_kb = {kb}", text)
        text = re.sub(
            r"(\[upstreams.default\])(\nrequest_timeout_ms = \d+)?",
            rf"\1\nrequest_timeout_ms = {timeout_ms}",
            text,
        )
        seen.daemon.configuration.write_text(text)
        known = len(seen.daemon.log_text())
        seen.daemon.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda at=known: "reload finished" in seen.daemon.log_text()[at:], "the reload is over", 60
        )
        client.get("k")
        bound = f'glidecached_cache_max_bytes{{cache="catalog",named="yes"}} {kb * 1024:.1f}'
        wait_until(lambda line=bound: line in seen.ask("/metrics").text, "the figures are fresh", 20)
        after = counters(seen)
        assert {
            key: (value, after.get(key)) for key, value in before.items() if after.get(key, -1) < value
        } == {}
        before = after
    assert before[lookups] == 2_002


def test_reconnections_are_counted(
    start_seen: Callable[..., SeenDaemon], start_valkey: Callable[..., ValkeyServer], connect: Connector
) -> None:
    server = start_valkey()
    seen = start_seen(server)
    client = attach(connect, seen)
    client.get("k")
    server.admin.client_kill_filter(_type="normal", skipme=True)

    def reconnected() -> bool:
        client.call("custom_command", ["GETRANGE", "k", "0", "1"])
        return seen.daemon.stats()["upstreams"][0]["reconnects"] == 1

    wait_until(reconnected, "the connection is made again", 20)


def test_an_upstream_that_is_down_is_told_and_not_unhealthy(
    start_seen: Callable[..., SeenDaemon], connect: Connector
) -> None:
    seen = start_seen()
    with pytest.raises(ClosingError):
        attach(connect, seen)
    wait_until(lambda: "not connected" in seen.ask("/healthz").text, "the failure is told", 20)
    page = seen.ask("/healthz")
    assert page.status == 200
    assert page.text.startswith("ok: the loop turned ")
    assert re.search(r"^upstream default: not connected: .*refused", page.text, re.MULTILINE)


def test_neither_passwords_nor_users_nor_keys_are_told(
    start_seen: Callable[..., SeenDaemon],
    start_valkey: Callable[..., ValkeyServer],
    tmp_path: Path,
    connect: Connector,
) -> None:
    server = start_valkey(f"user teller on >{PASSWORD} ~* &* +@all")
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    seen = start_seen(server, username="teller", password_file=str(secret))
    attach(connect, seen).get("a-key-of-somebody")
    wait_until(lambda: '"samples":[{' in seen.ask("/stats.json").text, "a sample is taken", 20)
    for path in ("/metrics", "/stats.json", "/healthz"):
        text = seen.ask(path).text
        for hidden in (PASSWORD, "teller", "a-key-of-somebody"):
            assert hidden not in text, path


def test_what_is_asked_wrongly_is_refused_clearly(start_seen: Callable[..., SeenDaemon]) -> None:
    seen = start_seen()
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        page = seen.ask("/metrics", method)
        assert (page.status, page.headers["Allow"]) == (405, "GET, HEAD")
    page = seen.ask("/nowhere")
    assert page.status == 404
    assert "/metrics" in page.text
    page = seen.ask("/stats.json", Host="evil.example")
    assert page.status == 403
    assert "allowed_hosts" in page.text
    assert "catalog" not in page.text
    page = seen.ask("/stats.json?after=-1")
    assert page.status == 400
    assert "number of the last sample" in page.text
    for path in ("/../pyproject.toml", "/status.css/..", "/%2e%2e/__init__.py"):
        assert seen.ask(path).status == 404


def test_head_has_the_headers_and_no_content(start_seen: Callable[..., SeenDaemon]) -> None:
    seen = start_seen()
    for path in ("/", "/metrics", "/healthz", "/stats.json"):
        head = seen.ask(path, "HEAD")
        assert (head.status, head.text) == (200, "")
        assert int(head.headers["Content-Length"]) > 0
        assert head.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert head.headers["X-Content-Type-Options"] == "nosniff"
        assert head.headers["Server"] == "glidecached"


def test_samples_are_told_once(start_seen: Callable[..., SeenDaemon]) -> None:
    seen = start_seen()
    wait_until(lambda: '"samples":[{' in seen.ask("/stats.json").text, "a sample is taken", 20)
    (first, *_) = json.loads(seen.ask("/stats.json").text)["samples"]
    later = json.loads(seen.ask(f"/stats.json?after={first['number']}").text)["samples"]
    assert first["number"] not in [sample["number"] for sample in later]


def test_an_address_that_cannot_be_had_is_an_error_at_the_start(start_daemon: Callable[..., Daemon]) -> None:
    with socket.create_server((HOST, 0)) as taken:
        listen = f"{HOST}:{taken.getsockname()[1]}"
        daemon = start_daemon(launch_only=True, metrics={"listen": listen})
        wait_until(lambda: not daemon.running, "the daemon ends", 20)
    assert daemon.process.returncode == _EXIT_FAILURE
    assert f'[metrics] listen = "{listen}": Address already in use' in daemon.log_text()
    assert "Traceback" not in daemon.log_text()
    assert not daemon.pool_files(), "it was not undone"


def test_stopping_does_not_wait_for_a_client_that_says_nothing(start_seen: Callable[..., SeenDaemon]) -> None:
    seen = start_seen()
    with socket.create_connection((HOST, seen.port)) as silent:
        silent.sendall(b"GET /metrics HTTP/1.1\r\n")
        seen.daemon.stop()
        silent.settimeout(20)
        assert silent.recv(1) == b""
