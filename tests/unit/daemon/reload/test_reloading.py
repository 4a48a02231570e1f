"""Reloads run one at a time, and each reports its end, with or without success."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from glidecached.config.diff import ConfigDiff
from glidecached.config.load import ConfigError
from glidecached.config.model import Config
from glidecached.config.schema import File
from glidecached.reloader import Reloading
from support.log_events import event_lines

PATIENCE_S = 30


class Source:
    """A file that is read as the test says."""

    path = "/etc/f.toml"

    def __init__(self, outcome: Any = None) -> None:
        self.outcome = outcome or (ConfigDiff(form=File()), Config())
        self.reads = 0

    def prepare(self, _current: Config) -> Any:
        self.reads += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Desk:
    """The loop, the daemon's parts, and what the service manager hears."""

    def __init__(self, source: Source | None) -> None:
        self.heard: list[str] = []
        self.settled: list[Any] = []
        self.came: queue.Queue[Any] = queue.Queue()
        self.source = source
        self.parts = SimpleNamespace(
            pools=SimpleNamespace(changes=SimpleNamespace(when_settled=self.settled.append)),
            begun=lambda: self.heard.append("reloading"),
            done=lambda: self.heard.append("ready"),
        )
        loop: Any = SimpleNamespace(call_from_thread=lambda *call: self.came.put(call))
        self.reloading = Reloading(loop, Config(), source, self.parts)  # type: ignore[arg-type]

    def come_back(self) -> None:
        """The helper thread is done."""
        callback, *arguments = self.came.get(timeout=PATIENCE_S)
        callback(*arguments)

    def settle(self) -> None:
        self.settled.pop()()


def test_without_a_file_the_end_is_told_at_once() -> None:
    desk = Desk(None)
    desk.reloading.request()
    assert desk.heard == ["reloading", "ready"]


@pytest.mark.parametrize("fault", [ConfigError(["f: wrong"]), RuntimeError("strange")])
def test_a_file_that_cannot_be_used_ends_the_reload_as_well(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(Source(fault))
    desk.reloading.request()
    desk.come_back()
    desk.settle()
    assert desk.heard == ["reloading", "ready"]
    reason = "f: wrong" if isinstance(fault, ConfigError) else "/etc/f.toml: RuntimeError: strange"
    assert event_lines(caplog.records)[-2:] == [
        f'event="configuration fault" fault="{reason}"',
        'event="reload refused, the previous configuration stays" path=/etc/f.toml faults=1',
    ]


def test_a_part_that_fails_keeps_no_other_from_changing(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Source())
    done: list[str] = []
    desk.parts.sessions = SimpleNamespace(end=lambda _concerned: done.append("sessions"))
    desk.parts.metrics = SimpleNamespace(start=lambda _settings: done.append("metrics"))
    desk.reloading.request()
    desk.come_back()  # the other parts here cannot be changed
    desk.settle()
    assert done == ["sessions", "metrics"]
    assert desk.heard == ["reloading", "ready"]
    assert "part of the reload failed" in caplog.messages
    assert (
        event_lines(caplog.records)[-1]
        == 'event="reload incomplete, restart the daemon to complete it" failed_parts=3'
    )


def test_without_a_thread_to_read_the_file_in_nothing_changes_and_the_next_one_may(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    source = Source(ConfigError(["f: wrong"]))
    desk = Desk(source)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        desk.reloading.request()
    desk.settle()
    assert event_lines(caplog.records)[0] == (
        """event="configuration fault" fault="the file cannot be read now: can't start new thread\""""
    )
    desk.reloading.request()
    desk.come_back()
    desk.settle()
    assert source.reads == 1
    assert desk.heard == ["reloading", "ready"] * 2


def test_requests_during_a_reload_are_one_more_reload() -> None:
    source = Source(ConfigError(["f: wrong"]))
    desk = Desk(source)
    for _ in range(4):
        desk.reloading.request()
    desk.come_back()
    assert source.reads == 1
    desk.settle()
    desk.come_back()
    desk.settle()
    assert source.reads == 2
    assert desk.heard == ["reloading", "ready"] * 2


def test_a_daemon_that_stops_reloads_no_more() -> None:
    source = Source(ConfigError(["f: wrong"]))
    desk = Desk(source)
    desk.reloading.request()
    desk.reloading.stop()
    desk.come_back()
    desk.reloading.request()
    assert desk.settled == []
    assert source.reads == 1
    assert desk.heard == ["reloading"]
