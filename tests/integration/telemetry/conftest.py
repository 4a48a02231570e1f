"""OpenTelemetry for the clients of one test: the switch is the process's, so it is set back afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache import OpenTelemetry
from support.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    """Providers in memory; the test switches them on."""
    for name in ("_instance", "_config", "_tracer"):
        monkeypatch.setattr(OpenTelemetry, name, None)
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()
