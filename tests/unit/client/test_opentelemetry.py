"""The switch for traces and metrics: what it refuses, and what a process that does not use it is spared."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import glidecache.sync
from glidecache import (
    ConfigurationError,
    OpenTelemetry,
    OpenTelemetryConfig,
    OpenTelemetryMetricsConfig,
    OpenTelemetryTracesConfig,
)
from support.process import child_environment
from support.telemetry import Telemetry

TRACES = OpenTelemetryTracesConfig(sample_percentage=100)

UNTRACED_PROGRAM = """
import sys
import glidecache, glidecache.sync
from glidecache.core.executor import CommandExecutor
from glidecache.core.settings import Settings
from glidecache.sync.fast_path import FastPath
from glidecache.aio.loop_fast_path import LoopFastPath

settings = Settings(glidecache.GlideClientConfiguration(runtime_dir="/nowhere"), "standalone")
blocking, awaited = glidecache.sync.GlideClient(settings), glidecache.GlideClient(settings)
assert type(blocking._executor) is type(awaited._executor) is CommandExecutor
assert {type(each.__self__) for each in (blocking._read_miss, blocking._run_fast, blocking._get_many)} == {FastPath}
assert type(awaited._fast_path) is type(awaited._read_miss.__self__) is LoopFastPath
loaded = [name for name in sys.modules if "opentelemetry" in name or "trac" in name and "glidecache" in name]
assert loaded == ["glidecache.opentelemetry"], loaded
assert "random" not in sys.modules
"""


@pytest.fixture(autouse=True)
def not_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_instance", "_config", "_tracer"):
        monkeypatch.setattr(OpenTelemetry, name, None)


def test_a_process_that_does_not_ask_for_it_has_none_of_it() -> None:
    """Neither OpenTelemetry's modules, nor the traced objects: its clients call what they always called."""
    finished = subprocess.run(
        [sys.executable, "-c", UNTRACED_PROGRAM],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_without_the_package_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"^OpenTelemetry .*: pip install 'glidecached\[otel\]' .*$"):
        OpenTelemetry.init()
    assert not OpenTelemetry.is_initialized()
    assert OpenTelemetry.get_sample_percentage() is None


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("yes", "needs an OpenTelemetryConfig, not str"),
        (OpenTelemetryConfig(), "at least one of traces and metrics"),
        (OpenTelemetryConfig(traces=True), "traces must be an OpenTelemetryTracesConfig, not bool"),  # type: ignore[arg-type]
        (OpenTelemetryConfig(metrics=TRACES), "metrics must be an OpenTelemetryMetricsConfig"),  # type: ignore[arg-type]
        (
            OpenTelemetryConfig(OpenTelemetryTracesConfig("http://c:4318")),
            "traces has the endpoint 'http://c:4318'",
        ),
        (
            OpenTelemetryConfig(None, OpenTelemetryMetricsConfig("grpc://c")),
            "metrics has the endpoint 'grpc://c'",
        ),
        (OpenTelemetryConfig(TRACES, flush_interval_ms=100), "flush_interval_ms is not used"),
        *(
            (
                OpenTelemetryConfig(OpenTelemetryTracesConfig(sample_percentage=each)),
                "between 0 and 100, not ",
            )
            for each in (-1, 101, float("nan"), "5", True)
        ),
    ],
)
def test_what_cannot_be_is_refused(config: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        OpenTelemetry.init(config)
    assert not OpenTelemetry.is_initialized()


def test_it_is_initialised_once(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    assert not OpenTelemetry.is_initialized()
    assert not OpenTelemetry.should_sample()
    with pytest.raises(ConfigurationError, match="traces not initialized"):
        OpenTelemetry.set_sample_percentage(5)
    telemetry.init(OpenTelemetryConfig(OpenTelemetryTracesConfig(sample_percentage=10)))
    assert OpenTelemetry.is_initialized()
    telemetry.init()
    assert "initialised already; the new configuration is ignored" in caplog.text
    assert OpenTelemetry.get_sample_percentage() == 10
    OpenTelemetry.set_sample_percentage(100)
    assert OpenTelemetry.should_sample()
    for percentage in (-1, 100.5, None):
        with pytest.raises(ConfigurationError, match="between 0 and 100"):
            OpenTelemetry.set_sample_percentage(percentage)  # type: ignore[arg-type]
    assert OpenTelemetry.get_sample_percentage() == 100
    telemetry.close()


def test_both_kinds_of_client_have_the_one_switch() -> None:
    assert glidecache.sync.OpenTelemetry is OpenTelemetry
