"""Node requests, reply collectors and their counts: in every case one outcome, and nothing is left behind."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from glidecache_shared.protocol import ERROR_CONNECTION, ERROR_REQUEST, ReplyError
from glidecached.upstream.cluster.node_request import NodeCommand, NodeRequest
from glidecached.upstream.cluster.reply_collector import AggregatedReply, ReplyCollector, SingleReply
from glidecached.upstream.cluster.routing import Part, SlotRoute
from glidecached.upstream.replicas import Freshness
from support.fake_cluster import AT_A, AT_B, FakeUpstream, Play
from support.upstream_calls import NONE_YET, Recorded

FAR_NS = 2**62


class RecordingCollector(ReplyCollector):
    """A collector in Python: the compiled requests' calls reach it."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self.heard: list[Any] = []

    def is_wanted(self, now_ns: int) -> bool:
        return self.wanted and now_ns < FAR_NS

    def abandon(self) -> None:
        self.heard.append("abandoned")

    def collect(self, place: int, reply: Any) -> None:
        self.heard.append((place, reply))

    def fail(self, place: int, code: int, message: str) -> None:
        self.heard.append((place, code, message))


class Failing(Recorded):
    """A call whose reply cannot be handed on."""

    def succeed(self, reply: Any) -> None:
        super().succeed(reply)
        message = "no room for a reply"
        raise RuntimeError(message)


def request_of(play: Play, collector: ReplyCollector, *, place: int = 0, where: Any = 5061) -> NodeCommand:
    play.upstream._dispatcher.open += 1
    return NodeCommand(
        play.upstream._dispatcher,
        Part([b"GET", AT_A], where),
        collector,
        place,
        FAR_NS,
        resendable=False,
        blocking=False,
    )


def open_counts(play: Play) -> list[int]:
    return [play.upstream._dispatcher.open, *(node.open for node in play.upstream._nodes)]


def test_fast_and_planned_calls_are_counted_alike(started: Play) -> None:
    before = started.upstream._dispatcher.submitted
    routed = Recorded(b"GET", AT_A)
    routed.route = SlotRoute(5061, replica=False)
    started.upstream.submit(routed)
    fresh = Recorded(b"GET", AT_B)
    started.upstream.submit_read(fresh, 1, primary_too=False)
    calls = [started.submit(b"GET", AT_A), started.submit(b"MGET", AT_A, AT_B), routed, fresh]
    assert started.upstream._dispatcher.submitted == before + 4
    assert started.upstream._dispatcher.open == 5
    assert [len(node.calls) for node in (started.a, started.b)] == [3, 2]
    started.a.answer(b"1")
    started.a.answer(b"2")
    started.a.answer([b"3"])
    started.b.answer(b"4")
    started.b.answer([b"5"])
    assert [call.outcome for call in calls] == [b"2", [b"3", b"5"], b"1", b"4"]
    assert not any(open_counts(started))


@pytest.mark.parametrize(
    "way",
    [
        lambda node: node.answer(b"v"),
        lambda node: node.answer(ReplyError("ERR wrong")),
        lambda node: node.answer(ReplyError("MOVED 5061 10.0.0.1:2")),
        lambda node: node.answer(ReplyError("ASK 5061 10.0.0.1:2")),
        lambda node: node.answer(ReplyError("TRYAGAIN later")),
        lambda node: node.lose(sent=True),
        lambda node: node.lose(sent=False),
        lambda node: node.calls.pop(0).abandon(),
    ],
    ids=["value", "error", "moved", "asked", "later", "lost", "never sent", "unwanted"],
)
def test_whatever_happens_all_counts_come_back(started: Play, way: Any) -> None:
    call = started.submit(b"SET", AT_A, b"v")
    assert open_counts(started).count(1) == 2, "one request, at one node"
    way(started.a)
    started.turn(500)
    for node in (started.a, started.b):
        while node.calls:
            node.answer(*[b"OK"] * (2 if getattr(node.calls[0], "asking", False) else 1))
    assert call.outcome != NONE_YET
    assert not any(open_counts(started))
    assert not started.upstream.busy


def test_a_reply_that_cannot_be_handed_on_ends_its_request(started: Play) -> None:
    call = Failing(b"GET", AT_A)
    started.upstream.submit(call)
    with pytest.raises(RuntimeError, match="no room"):
        started.a.answer(b"v")
    assert call.outcome == b"v"
    assert not any(open_counts(started))


def test_requests_reach_collectors_of_python(started: Play) -> None:
    wanted, unwanted = RecordingCollector(), RecordingCollector(wanted=False)
    requests = [request_of(started, wanted, place=place) for place in range(3)]
    assert [request.is_wanted(1) for request in requests] == [True] * 3
    assert not request_of(started, unwanted).is_wanted(1)
    for request in requests:
        started.upstream._dispatcher.send(request)
    started.a.answer(b"v")
    started.a.lose(sent=True)
    started.a.calls.pop(0).abandon()
    assert wanted.heard == [(0, b"v"), (1, ERROR_CONNECTION, "lost"), "abandoned"]


def test_a_request_goes_where_it_is_told(started: Play) -> None:
    collectors = [RecordingCollector() for _ in range(5)]
    places = (5061, 5061, 5061, 12182, None)
    requests = [
        request_of(started, collector, where=where)
        for collector, where in zip(collectors, places, strict=True)
    ]
    requests[1].replica = True
    requests[2].freshness = requests[3].freshness = Freshness(0, primary_too=False)
    for request in requests:
        started.upstream._dispatcher.send(request)
    replica = started.upstreams[3]
    for collector in collectors[1:3]:
        assert replica.answer(b"OK", b"from the replica").startswith(b"*1\r\n$8\r\nREADONLY")
        assert collector.heard == [(0, b"from the replica")]
    assert requests[0] in started.a.calls
    assert requests[3] in started.b.calls, "the primary answers where there is no replica"
    assert requests[4] in (started.a.calls + started.b.calls)


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (lambda collector: collector.collect(0, b"v"), b"v"),
        (lambda collector: collector.fail(0, ERROR_REQUEST, "no"), (ERROR_REQUEST, "no")),
        (lambda collector: collector.abandon(), "abandoned"),
    ],
    ids=["value", "failure", "abandoned"],
)
def test_the_first_outcome_counts(first: Any, outcome: Any) -> None:
    call = Recorded(b"GET", AT_A)
    collector = SingleReply(call)
    assert collector.is_wanted(1)
    first(collector)
    assert not collector.is_wanted(1)
    collector.collect(1, b"later")
    collector.fail(1, ERROR_CONNECTION, "later")
    collector.abandon()
    assert call.outcome == outcome


def test_parts_that_do_not_go_together_are_an_error() -> None:
    recording = RecordingCollector()
    parts = [Part([b"GET", AT_A], 1), Part([b"GET", AT_B], 2)]
    aggregated = AggregatedReply(parts, lambda _addresses, replies: sum(replies), recording, 7)
    for place, reply in enumerate((1, b"x")):
        aggregated.collect(place, reply)
    ((place, error),) = recording.heard
    assert place == 7
    assert isinstance(error, ReplyError)
    assert "do not go together" in str(error)


def test_a_place_beyond_the_parts_is_refused() -> None:
    aggregated = AggregatedReply(
        [Part([b"GET", AT_A], 1)], lambda _addresses, replies: list(replies), RecordingCollector(), 0
    )
    with pytest.raises(IndexError):
        aggregated.collect(1, b"v")


@pytest.mark.parametrize("wrong", [None, "a call", object()])
def test_wrong_types_are_refused(started: Play, wrong: Any) -> None:
    dispatcher: Any = started.upstream._dispatcher
    part = Part([b"GET", AT_A], 5061)
    for make in (
        lambda: started.upstream.submit(wrong),
        lambda: SingleReply(wrong),
        lambda: AggregatedReply([part], lambda _addresses, replies: list(replies), wrong, 0),
        lambda: NodeRequest(wrong, part, FAR_NS, resendable=False, blocking=False),
        lambda: NodeCommand(wrong, part, RecordingCollector(), 0, FAR_NS, resendable=False, blocking=False),
        lambda: NodeCommand(dispatcher, part, wrong, 0, FAR_NS, resendable=False, blocking=False),
        lambda: dispatcher.send(wrong),
    ):
        with pytest.raises(TypeError):
            make()


def test_what_subclasses_have_to_say_is_asked_for(started: Play) -> None:
    request = NodeRequest(
        started.upstream._dispatcher, Part([b"GET"], None), FAR_NS, resendable=False, blocking=False
    )
    for ask in (
        request.pack,
        lambda: request.receive(b"v"),
        lambda: ReplyCollector().is_wanted(0),
        lambda: ReplyCollector().collect(0, b"v"),
    ):
        with pytest.raises(NotImplementedError):
            ask()


@pytest.mark.parametrize("answered", [True, False])
def test_nothing_keeps_calls_that_are_over_or_forgotten(started: Play, answered: bool) -> None:
    call = started.submit(b"GET", AT_A)
    left = weakref.ref(call)
    if answered:
        started.a.answer(b"v")
        assert call.outcome == b"v"
    else:
        # What is open goes with its upstream, round as it is: requests know their nodes, nodes their requests.
        upstream = weakref.ref(started.upstream)
        FakeUpstream.by_port = {}
        started.loop.forget()
        vars(started).clear()
        gc.collect()
        assert upstream() is None
    del call
    gc.collect()
    assert left() is None
