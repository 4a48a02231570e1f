"""Redirects, losses and waiting: what happens to the commands, and that all of it is bounded."""

from __future__ import annotations

import pytest

from glidecache_shared.protocol import (
    ERROR_BUSY,
    ERROR_CONNECTION,
    ERROR_EXEC_ABORT,
    ERROR_REQUEST,
    ERROR_TIMEOUT,
    ReplyError,
)
from glidecached.upstream.cluster.routing import MultiNodeRoute, SlotRoute
from glidecached.upstream.cluster.topology import Topology
from glidecached.upstream.lane import BULK
from glidecached.upstream.target import UpstreamOptions
from support.fake_cluster import AT_A, AT_B, Play
from support.upstream_calls import NONE_YET, Recorded, RecordedBatch

MOVED = ReplyError("MOVED 5061 10.0.0.1:2")


def test_calls_wait_for_the_topology_and_keep_their_order(play: Play) -> None:
    calls = [play.submit(b"INCR", AT_A) for _ in range(3)]
    assert play.upstream.busy
    play.learn()
    assert [call.pack() for call in play.a.calls] == [call.pack() for call in calls]
    for number in range(3):
        play.a.answer(number)
    assert [call.outcome for call in calls] == [0, 1, 2]
    assert not play.upstream.busy


def test_without_any_topology_calls_fail_with_the_reasons(play: Play) -> None:
    call = play.submit(b"GET", AT_A)
    play.learn(ReplyError("NOPERM User x has no permissions"))
    assert call.outcome[0] == ERROR_CONNECTION
    assert "10.0.0.1:9: NOPERM" in call.outcome[1]
    assert "needs CLUSTER SLOTS" in call.outcome[1]
    assert play.upstream.last_error == call.outcome[1]


def test_a_silent_seed_ends_the_waiting_too(play: Play) -> None:
    call = play.submit(b"GET", AT_A)
    play.turn()
    play.turn(3_000)
    assert call.outcome == (ERROR_CONNECTION, "no node of the cluster has answered CLUSTER SLOTS in time")


def test_moved_is_followed_and_learnt(started: Play) -> None:
    call = started.submit(b"SET", AT_A, b"v")
    started.a.answer(MOVED)
    started.b.answer(b"OK")
    assert call.outcome == b"OK"
    started.submit(b"SET", AT_A, b"w")
    assert len(started.b.calls) == 1, "the map has been corrected"
    assert started.asks_for_topology()


def test_moved_to_where_the_map_points_anyway_starts_no_refresh(started: Play) -> None:
    call = started.submit(b"MYMODULE.DO", AT_A, AT_B)
    started.a.answer(ReplyError("MOVED 12182 10.0.0.1:2"))
    started.b.answer(b"OK")
    assert call.outcome == b"OK"
    assert not started.asks_for_topology()


def test_ask_is_followed_once_and_not_learnt(started: Play) -> None:
    call = started.submit(b"SET", AT_A, b"v")
    started.a.answer(ReplyError("ASK 5061 10.0.0.1:2"))
    assert started.b.answer(b"OK", b"OK").startswith(b"*1\r\n$6\r\nASKING\r\n*3\r\n$3\r\nSET")
    assert call.outcome == b"OK"
    started.submit(b"SET", AT_A, b"w")
    assert len(started.a.calls) == 1


def test_redirections_end(started: Play) -> None:
    call = started.submit(b"SET", AT_A, b"v")
    there, back = (ReplyError(f"MOVED 5061 10.0.0.1:{port}") for port in (2, 1))
    for _ in range(9):
        started.turn(500)
        node = started.a if started.a.calls else started.b
        node.answer(there if node is started.a else back)
    assert isinstance(call.outcome, ReplyError)
    assert str(call.outcome).startswith("MOVED")


def test_tryagain_is_tried_again_until_the_deadline(started: Play) -> None:
    patient = started.submit(b"MGET", AT_A, b"{bar}x")
    for _ in range(3):
        started.a.answer(ReplyError("TRYAGAIN Multiple keys request during rehashing of slot"))
        assert not started.a.calls
        started.turn(500)
    started.a.answer([b"1", b"2"])
    assert patient.outcome == [b"1", b"2"]
    hasty = started.submit(b"MGET", AT_A, b"{bar}x", timeout_ms=5)
    started.a.answer(ReplyError("TRYAGAIN Multiple keys"))
    assert hasty.outcome == (ERROR_REQUEST, "TRYAGAIN Multiple keys")


def test_waiting_is_bounded_however_late_the_deadline(started: Play) -> None:
    call = started.submit(b"SET", AT_A, b"v", timeout_ms=10**9)
    for _ in range(65):
        started.a.answer(ReplyError("CLUSTERDOWN The cluster is down"))
        started.turn(500)
    assert call.outcome == (ERROR_REQUEST, "CLUSTERDOWN The cluster is down")


def test_what_was_sent_is_repeated_only_if_it_reads(started: Play) -> None:
    write, read = started.submit(b"INCR", AT_A), started.submit(b"GET", AT_A, repeatable=True)
    started.a.lose(sent=True)
    started.a.lose(sent=True)
    assert write.outcome == (ERROR_CONNECTION, "lost")
    started.turn(500)
    started.a.answer(b"v")
    assert read.outcome == b"v"
    assert started.asks_for_topology()


def test_a_read_is_repeated_twice_at_most(started: Play) -> None:
    call = started.submit(b"GET", AT_A, repeatable=True)
    for _ in range(3):
        started.a.lose(sent=True)
        started.turn(500)
    assert call.outcome == (ERROR_CONNECTION, "lost")


def test_what_was_not_sent_goes_elsewhere_even_if_it_writes(started: Play) -> None:
    call = started.submit(b"INCR", AT_A)
    started.a.connected = False
    started.a.lose(sent=False)
    started.learn([[0, 16383, [b"10.0.0.1", 2]]])
    started.turn(500)
    started.b.answer(1)
    assert call.outcome == 1


@pytest.mark.parametrize("code", [ERROR_BUSY, ERROR_TIMEOUT])
def test_refusals_and_time_outs_are_final(started: Play, code: int) -> None:
    call = started.submit(b"GET", AT_A, repeatable=True)
    started.a.lose(sent=False, code=code)
    assert call.outcome == (code, "lost")


def test_a_transaction_that_was_redirected_goes_on_whole(started: Play) -> None:
    batch = RecordedBatch([b"SET", AT_A, b"1"], [b"GET", AT_A], atomic=True)
    started.upstream.submit_batch(batch)
    first = started.a.answer(b"OK", MOVED, MOVED, ReplyError("EXECABORT discarded"))
    assert started.b.answer("OK", "QUEUED", "QUEUED", ["OK", b"1"]) == first
    assert batch.outcome == ["OK", b"1"]


def test_a_transaction_asks_with_its_first_word(started: Play) -> None:
    batch = RecordedBatch([b"SET", AT_A, b"1"], atomic=True)
    started.upstream.submit_batch(batch)
    started.a.answer(b"OK", ReplyError("ASK 5061 10.0.0.1:2"), ReplyError("EXECABORT discarded"))
    assert b"ASKING\r\n*1\r\n$5\r\nMULTI" in started.b.answer("OK", "OK", "QUEUED", ["OK"])
    assert batch.outcome == ["OK"]


def test_a_transaction_that_was_wrong_is_not_repeated(started: Play) -> None:
    batch = RecordedBatch([b"SET", AT_A], atomic=True)
    started.upstream.submit_batch(batch)
    started.a.answer(b"OK", ReplyError("ERR wrong number"), ReplyError("EXECABORT discarded"))
    assert batch.outcome == (ERROR_EXEC_ABORT, "EXECABORT discarded (ERR wrong number)")


def test_a_pipeline_whose_part_is_lost_fails_once(started: Play) -> None:
    batch = RecordedBatch([b"INCR", AT_A], [b"INCR", AT_B], [b"GET", AT_B], atomic=False)
    started.upstream.submit_batch(batch)
    started.a.lose(sent=True)
    assert batch.outcome == (ERROR_CONNECTION, "lost")
    started.b.answer(1)
    started.b.answer(b"1")
    assert not started.upstream.busy


def test_a_batch_that_blocks_goes_in_one_pipeline_per_node(started: Play) -> None:
    batch = RecordedBatch([b"BLPOP", AT_A, b"0"], [b"INCR", AT_B], [b"INCR", AT_A], atomic=False)
    started.upstream.submit_blocking(batch)
    (pipeline,), (other,) = started.a.blocking, started.b.blocking
    assert pipeline.pack().count(b"*") == 2
    other.pack()
    assert other.receive(5)
    assert not pipeline.receive(None)
    assert pipeline.receive(ReplyError("MOVED 5061 10.0.0.1:2"))
    moved = started.b.blocking[1]
    moved.pack()
    moved.receive(6)
    assert batch.outcome == [None, 5, 6]


def test_a_replica_that_cannot_answer_leaves_it_to_the_primary(started: Play) -> None:
    call = Recorded(b"GET", AT_A)
    call.route = SlotRoute(5061, replica=True)
    started.upstream.submit(call)
    replica = started.upstreams[3]
    assert b"READONLY" in replica.answer(b"OK", ReplyError("MASTERDOWN Link with MASTER is down"))
    started.a.answer(b"v")
    assert call.outcome == b"v"


def test_all_nodes_answer_or_the_command_fails(started: Play) -> None:
    both, one = started.submit(b"DBSIZE"), started.submit(b"RANDOMKEY")
    for node in (started.a, started.b):
        node.answer(2)
    assert both.outcome == 4
    started.a.lose(sent=True)
    started.b.answer(b"k")
    assert one.outcome == b"k", "one node is enough for this"


def test_c23_no_call_overtakes_a_long_pipeline_that_is_being_split(started: Play) -> None:
    roomy = UpstreamOptions(max_waiting_requests=5_000)
    started.upstream._options = roomy
    started.upstream._dispatcher.max_open = roomy.max_waiting_requests
    batch = RecordedBatch(*([b"INCR", AT_A] for _ in range(1_000)), atomic=False)
    batch.lane = BULK
    started.upstream.submit_batch(batch)
    later = Recorded(b"SET", AT_A, b"v")
    later.lane = BULK
    started.upstream.submit(later)
    assert not started.a.calls, "neither has been sent yet"


def test_waiting_calls_are_bounded(started: Play) -> None:
    calls = [started.submit(b"GET", AT_A) for _ in range(22)]
    assert [call.outcome for call in calls[-2:]] == [
        (ERROR_BUSY, "20 requests already wait for this cluster")
    ] * 2
    assert calls[19].outcome == NONE_YET


def test_nodes_that_are_gone_are_closed_when_nobody_waits_for_them(started: Play) -> None:
    waiting = started.submit(b"GET", AT_B)
    without_b = [[0, 16383, [b"10.0.0.1", 1]]]
    for expected in (None, "10.0.0.1:2 is not in the cluster any more"):
        started.upstream.request_refresh()
        started.learn(without_b)
        assert started.b.closed == expected
    assert waiting.outcome == NONE_YET, "it was not sent: it goes on to the node that serves its slot now"
    started.turn(500)
    started.a.answer(b"v")
    assert waiting.outcome == b"v"


def test_closing_fails_everything_that_is_open(play: Play, started: Play) -> None:
    sent, waiting = started.submit(b"GET", AT_A), started.submit(b"GET", AT_B)
    started.b.answer(ReplyError("TRYAGAIN x"))
    started.upstream.close("stopping")
    later = started.submit(b"GET", AT_A)
    assert [call.outcome for call in (sent, waiting, later)] == [(ERROR_CONNECTION, "stopping")] * 3
    assert not play.upstream.busy


def test_a_check_is_content_with_any_node(started: Play) -> None:
    call = Recorded(b"PING")
    call.route = MultiNodeRoute.RANDOM
    started.upstream.submit(call)
    assert len(started.a.calls) + len(started.b.calls) == 1
    started.a.connected = False
    for _ in range(10):
        call = Recorded(b"PING")
        call.route = MultiNodeRoute.RANDOM
        started.upstream.submit(call)
    assert len(started.b.calls) >= 10


def test_a_node_that_is_gone_gets_no_more_requests_by_the_same_topology(started: Play) -> None:
    before = started.a
    started.submit(b"GET", AT_A)
    before.answer(b"v")
    started.upstream._nodes.keep_only(Topology([(8192, 16383, [started.b.address])]))
    assert before.closed is not None
    call = started.submit(b"GET", AT_A)
    assert not before.calls
    assert started.a is not before
    started.a.answer(b"v")
    assert call.outcome == b"v"
