"""What holds without a daemon around it: a loop that hangs, slow clients, too many of them, another address."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.config.model import Config
from glidecached.config.schema import MetricsSettings
from glidecached.doctor.self_examination import SelfExamination
from glidecached.metrics import http_server
from glidecached.metrics.endpoint import MetricsListener
from glidecached.process.loop import Loop
from glidecached.stats import snapshots as snapshots_module
from support.pages import ask
from support.valkey_server import HOST, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DAEMON = {
    "version": "1",
    "pid": 1,
    "started_at": 1.0,
    "uptime_seconds": 1.0,
    "sessions": 0,
    "open_requests": 0,
    "accepted_requests": 0,
    "max_total_cache_kb": 1,
    "refused": {},
    "pool_dir": "/dev/shm",  # noqa: S108 - only looked at
}


NUMBERS: dict[str, Any] = {"daemon": DAEMON, "caches": [], "upstreams": []}
EXAMINATION = SelfExamination(Config, "/")


class Running:
    """A loop in a thread, with a listener; `stats` counts how often it was asked."""

    def __init__(self, **settings: Any) -> None:
        self.loop = Loop()
        self.asked = 0
        self.listener = MetricsListener(self.loop, self.stats, grace_ms=100, examination=EXAMINATION)
        self.port = free_port()
        self.listener.start(MetricsSettings(listen=f"{HOST}:{self.port}", **settings))
        self._thread = threading.Thread(target=self.loop.run)
        self._thread.start()

    def stats(self) -> dict[str, Any]:
        self.asked += 1
        return NUMBERS

    def end(self) -> None:
        self.loop.call_from_thread(self.loop.stop)
        self._thread.join()
        self.listener.stop()
        self.loop.close()


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running(allowed_hosts=["cache.internal"])
    yield made
    made.end()


def test_health_is_told_while_the_loop_hangs(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots_module, "_PATIENCE_SECONDS", 0.05)
    assert ask(running.port, "/healthz").status == 200
    go_on = threading.Event()
    running.loop.call_from_thread(go_on.wait)
    try:
        wait_until(lambda: ask(running.port, "/healthz").status == 503, "the silence is noticed", 20)
        page = ask(running.port, "/healthz")
        assert page.text.startswith("unwell: the loop has not turned for ")
        wait_until(lambda: ask(running.port, "/metrics").status == 503, "the last snapshot is old", 20)
        assert "loop has not turned" in ask(running.port, "/stats.json").text
    finally:
        go_on.set()
    wait_until(lambda: ask(running.port, "/healthz").status == 200, "it is well again", 20)
    assert ask(running.port, "/metrics").status == 200


def test_many_scrapers_are_one_question_to_the_loop(running: Running) -> None:
    ask(running.port, "/metrics")
    before, began = running.asked, time.monotonic()
    threads = [threading.Thread(target=ask, args=(running.port, "/metrics")) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):
        ask(running.port, "/metrics")
    # One a second, and one every two for the history.
    assert running.asked - before <= 2 + 1.5 * (time.monotonic() - began)


def test_a_name_of_the_configuration_is_admitted(running: Running) -> None:
    assert ask(running.port, "/healthz", Host="cache.internal:9464").status == 200
    assert ask(running.port, "/healthz", Host="other.internal").status == 403


def test_slow_clients_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even those that send a little now and then, which no limit of silence ends."""
    monkeypatch.setattr(http_server, "_CONNECTION_SECONDS", 0.3)
    monkeypatch.setattr(http_server._Handler, "timeout", 60)
    running = Running()
    try:
        with socket.create_connection((HOST, running.port), timeout=20) as slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            assert slow.recv(100) == b""
    finally:
        running.end()


def test_i9_health_is_answered_whatever_scrapers_do(running: Running) -> None:
    """Some scrapers are silent, some slow, and some ask for figures and do not read."""
    held = []
    try:
        for number in range(5 * http_server._MAX_CONNECTIONS):
            connection = socket.create_connection((HOST, running.port), timeout=20)
            held.append(connection)
            if number % 3 == 1:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: loc")
            if number % 3 == 2:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if number % 10 == 0:
                assert ask(running.port, "/healthz").status == 200
        assert ask(running.port, "/metrics").status == 503
    finally:
        for connection in held:
            connection.close()


def test_connections_beyond_the_bound_are_told_so(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 2)
    held = [socket.create_connection((HOST, running.port), timeout=20) for _ in range(2)]
    try:
        with socket.create_connection((HOST, running.port), timeout=20) as third:
            assert third.recv(1_000).startswith(b"HTTP/1.0 503 ")
    finally:
        for connection in held:
            connection.close()

    def answered() -> bool:
        try:
            return ask(running.port, "/healthz").status == 200
        except ConnectionError:
            return False

    wait_until(answered, "there is room again", 20)


def test_lines_without_end_are_refused(running: Running) -> None:
    with socket.create_connection((HOST, running.port), timeout=20) as endless:
        endless.sendall(b"GET /" + b"a" * 9_000)
        assert endless.recv(1_000).startswith(b"HTTP/1.0 414 ")


@pytest.mark.parametrize(
    "header",
    [b"X-Long: " + b"a" * 60_000 + b"\r\n", b"X-Many: a\r\n" * 3_000, b" folded\r\n" * 3_000],
    ids=["one long", "many", "folded"],
)
def test_what_a_request_may_cost_in_memory_is_bounded(running: Running, header: bytes) -> None:
    with socket.create_connection((HOST, running.port), timeout=20) as hostile:
        hostile.sendall(b"GET /healthz HTTP/1.1\r\n" + header)
        assert received(hostile).startswith(b"HTTP/1.0 431 ")


def test_a_client_that_sends_more_than_it_is_asked_for_gets_its_answer_whole(running: Running) -> None:
    """A connection that is closed with something unread is reset, which may take the answer with it."""
    with socket.create_connection((HOST, running.port), timeout=20) as talkative:
        talkative.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n")
        answer = received(talkative)
        for _ in range(4):
            talkative.sendall(b"x" * 10_000)
    assert answer.startswith(b"HTTP/1.0 405 ")
    assert answer.endswith(b"nothing can be changed here\n")


def test_a_second_request_on_a_connection_is_not_answered(running: Running) -> None:
    with socket.create_connection((HOST, running.port), timeout=20) as pipelining:
        pipelining.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        assert received(pipelining).count(b"HTTP/1.0 200 ") == 1


def test_a_client_that_has_said_all_is_answered(running: Running) -> None:
    with socket.create_connection((HOST, running.port), timeout=20) as half_closed:
        half_closed.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        half_closed.shutdown(socket.SHUT_WR)
        assert b"\r\n\r\nok: the loop turned" in received(half_closed)


@pytest.mark.parametrize(
    "request_line",
    [b"\x16\x03\x01\x02\x00\x01", b"GET", b"GET / HTTP/9.9", b"GET / FTP/1.0", b"<b> / HTTP/1.1"],
    ids=["TLS", "one word", "version", "protocol", "method"],
)
def test_what_is_no_request_is_refused_in_plain_text(running: Running, request_line: bytes) -> None:
    with socket.create_connection((HOST, running.port), timeout=20) as odd:
        odd.sendall(request_line + b"\r\n\r\n")
        head, _, content = received(odd).partition(b"\r\n\r\n")
    assert head.partition(b" ")[2][:1] in {b"4", b"5"}
    assert b"Content-Type: text/plain; charset=utf-8" in head
    assert b"<html" not in content.lower()


def test_where_no_thread_can_be_had_the_connection_is_closed_and_its_place_free(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as scarce:
        scarce.setattr(http_server.threading.Thread, "start", start)
        for _ in range(2 * http_server._MAX_CONNECTIONS):
            with socket.create_connection((HOST, running.port), timeout=20) as refused:
                assert received(refused) == b""
    assert ask(running.port, "/healthz").status == 200


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=nonsense", "a;q=;", "x" * 5_000])
def test_no_wish_makes_an_error(running: Running, accept: str) -> None:
    page = ask(running.port, "/metrics", Accept=accept)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes, which must not be by a reset."""
    content = b""
    while part := connection.recv(65_536):
        content += part
    return content


def test_the_address_can_change_and_go(running: Running) -> None:
    """As a reload does it: what cannot be had leaves the old one."""
    other = free_port()
    with socket.create_server((HOST, 0)) as taken:
        settings = MetricsSettings(listen=f"{HOST}:{taken.getsockname()[1]}")
        with pytest.raises(OSError, match="Address already in use"):
            running.listener.start(settings)
    assert ask(running.port, "/healthz").status == 200
    running.listener.start(MetricsSettings(listen=f"{HOST}:{other}"))
    assert ask(other, "/healthz").status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(running.port, "/healthz")
    running.listener.start(MetricsSettings(listen=f"{HOST}:{other}", allowed_hosts=["new.internal"]))
    assert ask(other, "/healthz", Host="new.internal").status == 200
    running.listener.start(MetricsSettings())
    with pytest.raises(ConnectionRefusedError):
        ask(other, "/healthz")


def test_ipv6_addresses_are_listened_at() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("this host has no IPv6")
    listener = MetricsListener(loop := Loop(), lambda: NUMBERS, grace_ms=5_000, examination=EXAMINATION)
    listener.start(MetricsSettings(listen=f"[::1]:{port}"))
    try:
        with socket.create_connection(("::1", port), timeout=20) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 200 ")
    finally:
        listener.stop()
        loop.close()
