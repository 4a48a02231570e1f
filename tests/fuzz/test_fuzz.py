"""A short campaign, always the same: `make fuzz` has the long ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fuzz.campaign import DAEMON_TABLES, LOOKS, SLACK_BYTES, Campaign, Report
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MESSAGES = 20_000
SEED = 7
SORTS_OF_MESSAGES = 15


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def daemon(server: ValkeyServer, tmp_path: Path) -> Iterator[Daemon]:
    upstream = {"upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}}}
    daemon = Daemon(tmp_path / "daemon", DAEMON_TABLES | upstream)
    daemon.start()
    yield daemon
    daemon.discard()


def test_hostile_messages_disturb_nobody(daemon: Daemon, server: ValkeyServer) -> None:
    report = Campaign(daemon, server.port, messages=MESSAGES, seed=SEED, settle=False).run()
    assert report.sent.total() >= MESSAGES
    assert len(report.sent) == SORTS_OF_MESSAGES, report
    # Neither was everything refused before it reached an operation, nor was anything let through.
    assert report.answered["result"] > 100, report
    assert report.answered["error 10"] > 100, report
    daemon.stop()


@pytest.mark.parametrize(("grows_by", "flat"), [(0, True), (SLACK_BYTES // 5, False)])
def test_a_leak_would_be_seen(grows_by: int, *, flat: bool) -> None:
    report = Report(
        seed=0, own_bytes=[30 << 20 if not look else (34 << 20) + look * grows_by for look in range(LOOKS)]
    )
    assert report.is_flat == flat
