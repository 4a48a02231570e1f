"""What the service manager is told, and when: a socket of the test's own stands for it."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.process.sd_notify import ServiceManager
from glidecached.process.watchdog import Supervision, allow_for_take_over
from support.log_events import event_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Listener:
    """A service manager that only listens."""

    def __init__(self, address: str) -> None:
        self.address = address.replace("\0", "@")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """What came since the last time."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(1_000).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(str(tmp_path / "notify"))
    yield listener
    listener.close()


def test_the_environment_says_who_listens_and_is_cleared_for_children() -> None:
    environment = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "6000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    manager = ServiceManager.from_environment(environment)
    assert manager.listens
    assert manager.watchdog_ms == 6_000
    assert environment == {"PATH": "/bin"}
    assert not ServiceManager.from_environment(environment).listens


@pytest.mark.parametrize(
    "watchdog",
    [
        {"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {},
    ],
    ids=["another process's", "not a number", "none", "not set"],
)
def test_no_watchdog_that_is_not_ours(watchdog: dict[str, str]) -> None:
    assert ServiceManager.from_environment({"NOTIFY_SOCKET": "/run/notify"} | watchdog).watchdog_ms is None


def test_it_is_told_by_path_and_by_abstract_name(listener: Listener) -> None:
    ServiceManager(listener.address).ready()
    assert listener.heard() == ["READY=1"]
    abstract = Listener(f"\0glidecached-test-{os.getpid()}")
    ServiceManager(abstract.address).stopping()
    assert abstract.heard() == ["STOPPING=1"]
    abstract.close()


def test_an_address_of_another_kind_is_said_once_and_not_tried(caplog: pytest.LogCaptureFixture) -> None:
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1000000"})
    manager.ready()
    assert not manager.listens
    assert manager.watchdog_ms is None
    assert event_lines(caplog.records) == [
        'event="NOTIFY_SOCKET is not a path or an abstract name, service manager not used" address=vsock:2:1234'
    ]


def test_a_manager_that_does_not_listen_holds_no_sign_of_life_up(
    listener: Listener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop sends these: it must not stand still until systemd has time."""
    manager = ServiceManager(listener.address)
    for _ in range(10_000):
        if not manager.show("fine"):
            break
    else:
        pytest.fail("the queue takes everything")
    waits: list[float | None] = []
    settimeout = socket.socket.settimeout

    def noted(self: socket.socket, seconds: float | None) -> None:
        waits.append(seconds)
        settimeout(self, seconds)

    monkeypatch.setattr(socket.socket, "settimeout", noted)
    manager.alive()
    assert waits == [0.0]
    (line,) = [line for line in event_lines(caplog.records) if "WATCHDOG=1" in line]
    assert line.startswith('event="service manager not reachable" notification="WATCHDOG=1" reason=')
    listener.heard()
    assert manager.show("fine")


def test_a_reload_says_when_it_began(listener: Listener) -> None:
    before_us = time.monotonic_ns() // 1_000
    ServiceManager(listener.address).reloading()
    (message,) = listener.heard()
    state, _, began = message.partition("\n")
    assert state == "RELOADING=1"
    assert before_us <= int(began.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1_000


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager(str(tmp_path / "nobody")).ready()
    (line,) = event_lines(caplog.records)
    assert line.startswith('event="service manager not reachable" notification="READY=1" reason=')


def test_nothing_happens_without_a_manager(loop: Any, upstream: Any) -> None:
    supervision = Supervision(ServiceManager(), loop, lambda: [upstream], lambda: "fine")
    supervision.start()
    supervision.stop(3.0)
    assert not upstream.calls, "upstreams connect when they are first used"


@pytest.fixture
def supervise(loop: Any, listener: Listener) -> Callable[..., Supervision]:
    """A started supervision of these upstreams."""

    def supervise(*upstreams: Any, status: Callable[[], str] = lambda: "fine") -> Supervision:
        supervision = Supervision(
            ServiceManager(listener.address, watchdog_ms=9_000), loop, lambda: upstreams, status
        )
        supervision.start()
        return supervision

    return supervise


def test_ready_waits_for_each_upstream(
    supervise: Callable[..., Supervision], make_upstream: Any, listener: Listener
) -> None:
    reached, unreachable = make_upstream(), make_upstream()
    supervise(reached, unreachable)
    reached.calls[0].succeed("PONG")
    assert listener.heard() == ["WATCHDOG=1"]
    unreachable.calls[0].fail(1, "connection refused")
    assert listener.heard() == ["STATUS=fine", "READY=1"]


def test_ready_without_upstreams_comes_at_once(
    supervise: Callable[..., Supervision], listener: Listener
) -> None:
    supervise()
    assert "READY=1" in listener.heard()


def test_a_silent_upstream_keeps_ready_back_for_a_time_only(
    supervise: Callable[..., Supervision], upstream: Any, loop: Any, listener: Listener
) -> None:
    supervise(upstream)
    loop.pass_time(4_999)
    assert "READY=1" not in listener.heard()
    loop.pass_time(1)
    assert "READY=1" in listener.heard()
    upstream.calls[0].abandon()
    assert "READY=1" not in listener.heard(), "ready is said once"


def test_an_unreachable_upstream_that_nobody_uses_is_tried_again_until_it_is_there(
    supervise: Callable[..., Supervision], upstream: Any, loop: Any
) -> None:
    supervise(upstream)
    upstream.calls[0].fail(1, "connection refused")
    loop.pass_time(3_000)
    assert upstream.sent == [(b"PING",)] * 2
    upstream.busy = True
    loop.pass_time(3_000)
    assert len(upstream.calls) == 2, "one attempt at a time"
    upstream.busy, upstream.connected_to = False, "127.0.0.1:6379"
    loop.pass_time(3_000)
    assert len(upstream.calls) == 2, "it has come"
    upstream.connected_to, upstream.sessions = None, 1
    loop.pass_time(3_000)
    assert len(upstream.calls) == 2, "whoever uses it has it come back"


def test_signs_of_life_come_three_times_per_watchdog(
    supervise: Callable[..., Supervision], loop: Any, listener: Listener
) -> None:
    supervise()
    listener.heard()
    loop.pass_time(9_000)
    assert listener.heard() == ["WATCHDOG=1"] * 3


def test_the_status_is_told_when_it_changes(
    supervise: Callable[..., Supervision], loop: Any, listener: Listener
) -> None:
    states = iter(["one", "one", "two", "two", "two"])
    supervise(status=lambda: next(states))
    loop.pass_time(12_000)
    assert [message for message in listener.heard() if "STATUS" in message] == ["STATUS=one", "STATUS=two"]


def test_a_status_that_could_not_be_told_is_told_later(
    supervise: Callable[..., Supervision], loop: Any, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervise(status=lambda: "one")
    assert "STATUS=one" in listener.heard()
    states = iter(["two", "two"])
    with monkeypatch.context() as full:
        full.setattr(ServiceManager, "show", lambda _self, _status: False)
        supervise(status=lambda: next(states, "two"))
    assert "STATUS=two" not in listener.heard()
    loop.pass_time(3_000)
    assert "STATUS=two" in listener.heard()


def test_after_stopping_and_asking_for_time_only_signs_of_life(
    supervise: Callable[..., Supervision], upstream: Any, loop: Any, listener: Listener
) -> None:
    supervision = supervise(upstream)
    listener.heard()
    supervision.stop(60.0)
    upstream.calls[0].fail(1, "glidecached is stopping")
    loop.pass_time(9_000)
    assert listener.heard() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=70000000"] + ["WATCHDOG=1"] * 3


def test_time_to_start_is_asked_for_by_the_size_of_the_pools(listener: Listener, tmp_path: Path) -> None:
    allow_for_take_over(ServiceManager(listener.address), tmp_path)
    assert listener.heard() == [], "nothing is there to be taken over"
    with (tmp_path / "named-1.1.pool").open("wb") as file:
        file.truncate(5_000_000_000)
    allow_for_take_over(ServiceManager(listener.address), tmp_path)
    assert listener.heard() == ["EXTEND_TIMEOUT_USEC=130000000"]
