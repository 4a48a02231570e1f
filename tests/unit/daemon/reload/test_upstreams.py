"""Upstreams that a reload changes: connections that stand go on, new ones use what is new, and proof begins anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.process.loop import Loop
from glidecached.upstream import registry, standalone
from glidecached.upstream.cluster.cluster_upstream import ClusterUpstream
from glidecached.upstream.connector import ConnectError
from glidecached.upstream.registry import Upstreams
from glidecached.upstream.target import Address, Credentials, Target, UpstreamOptions
from support.upstream_calls import Recorded

if TYPE_CHECKING:
    from support.network import Network

OLD = Target(mode="standalone", addresses=(Address("h", 1),), credentials=Credentials(password="one"))
NEW = replace(OLD, credentials=Credentials(password="two"))
OPTIONS = UpstreamOptions()
OTHERS = UpstreamOptions(max_waiting_requests=1, max_blocking_connections=2, connect_timeout_ms=3)
SWEEP_MS = 10_000


class Kept:
    """An upstream that notes what it is told."""

    def __init__(self, _loop: Any, target: Target, options: UpstreamOptions) -> None:
        self.target = target
        self.options = options
        self.sessions = 0
        self.busy = False
        self.closed = False

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        self.target, self.options = target, options

    def close(self, _reason: str) -> None:
        self.closed = True


@pytest.fixture
def upstreams(loop: Any, monkeypatch: pytest.MonkeyPatch) -> Upstreams:
    monkeypatch.setattr(registry, "StandaloneUpstream", Kept)
    made = Upstreams(loop, 10)
    made.configure("main", OLD, OPTIONS)
    return made


def test_an_upstream_stays_the_same_under_its_new_target(upstreams: Upstreams) -> None:
    upstream = upstreams.get(OLD, OPTIONS)
    upstreams.reconfigure("main", OLD, NEW, OTHERS)
    assert upstreams.get(NEW, OPTIONS) is upstream
    assert (upstream.target, getattr(upstream, "options", None)) == (NEW, OTHERS)
    assert upstreams.get(OLD, OPTIONS) is not upstream, "whoever brings the old password proves it by himself"


def test_other_options_alone_reach_it(upstreams: Upstreams) -> None:
    upstreams.reconfigure("main", OLD, OLD, OTHERS)
    assert getattr(upstreams.get(OLD, OPTIONS), "options", None) == OTHERS


def test_a_clients_own_with_just_these_credentials_ends_when_it_is_not_used(
    upstreams: Upstreams, loop: Any
) -> None:
    own = upstreams.get(NEW, OPTIONS)
    own.sessions = 1
    upstreams.reconfigure("main", OLD, NEW, OPTIONS)
    assert upstreams.get(NEW, OPTIONS) is not own
    loop.pass_time(SWEEP_MS)
    assert own in list(upstreams)
    own.sessions = 0
    loop.pass_time(SWEEP_MS)
    assert own not in list(upstreams)
    assert getattr(own, "closed", False)


def test_a_target_that_two_names_share_stays_the_others(upstreams: Upstreams) -> None:
    upstreams.configure("twin", OLD, OPTIONS)
    shared = upstreams.get(OLD, OPTIONS)
    upstreams.reconfigure("twin", OLD, NEW, OPTIONS)
    assert upstreams.get(OLD, OPTIONS) is shared
    assert upstreams.get(NEW, OPTIONS) is not shared


def test_one_that_is_not_configured_any_more_ends_when_it_is_not_used(
    upstreams: Upstreams, loop: Any
) -> None:
    upstream = upstreams.get(OLD, OPTIONS)
    loop.pass_time(SWEEP_MS)
    assert upstream in list(upstreams)
    upstreams.unconfigure("main", OLD)
    loop.pass_time(SWEEP_MS)
    assert list(upstreams) == []


def test_c18_new_credentials_are_tried_out_while_the_connection_goes_on(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = network.upstream
    upstream.submit(Recorded(b"PING"))
    network.accept()
    assert upstream.proved
    other = replace(upstream.target, credentials=Credentials(password="two"))
    upstream.reconfigure(other, OTHERS)
    assert upstream.connected
    assert not upstream.proved
    network.open.pop()(ConnectError("WRONGPASS", refused=True))
    record = caplog.records[-1]
    assert record.getMessage() == "no connection with the new credentials; open ones stay"
    assert getattr(record, "reason", None) == "WRONGPASS"
    assert not upstream.proved
    assert upstream.connected
    upstream.reconfigure(other, OPTIONS)
    assert not network.open, "the same once more are not tried again"


def test_an_attempt_that_is_under_way_begins_again_with_the_new_credentials(network: Network) -> None:
    upstream = network.upstream
    upstream.submit(Recorded(b"PING"))
    assert (network.attempts, len(network.open)) == (1, 1)
    upstream.reconfigure(replace(upstream.target, credentials=Credentials(password="two")), OPTIONS)
    assert (network.attempts, len(network.open)) == (2, 1)


def test_other_bounds_hold_at_once(network: Network) -> None:
    upstream = network.upstream
    upstream.submit(Recorded(b"PING"))
    upstream.reconfigure(upstream.target, OTHERS)
    refused = Recorded(b"PING")
    upstream.submit(refused)
    assert "1 requests already wait" in refused.outcome[1]


def test_a_cluster_tells_all_its_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "Attempt", lambda *_arguments: None)
    loop = Loop()
    target = Target(mode="cluster", addresses=(Address("a", 1), Address("b", 2)))
    upstream = ClusterUpstream(loop, target, OPTIONS)
    known = upstream._nodes.at(Address("a", 1))
    other = replace(target, credentials=Credentials(password="two"))
    upstream.reconfigure(other, OTHERS)
    for node in (known, upstream._nodes.at(Address("c", 3))):
        assert node.upstream.target.credentials == other.credentials
        assert node.upstream.target.addresses == (node.address,)
    assert upstream._redirects.refresh.patience_ms == OTHERS.connect_timeout_ms
    upstream.close("the test is over")
    loop.close()
