"""A cluster's upstream, with its nodes in the test's hands."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.upstream.cluster import nodes as node_module
from support.fake_cluster import AT_A, AT_B, FakeUpstream, Play


@pytest.fixture
def play(loop: Any, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(node_module, "StandaloneUpstream", FakeUpstream)
    return Play(loop)


@pytest.fixture
def started(play: Play) -> Play:
    """One that knows its topology, and has talked to both primaries."""
    first = [play.submit(b"GET", key) for key in (AT_A, AT_B)]
    play.learn()
    for node in (play.a, play.b):
        node.answer(b"v")
    assert [call.outcome for call in first] == [b"v", b"v"]
    return play
