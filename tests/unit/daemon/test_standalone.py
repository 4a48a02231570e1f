"""The standalone upstream: connecting on first use, failing clearly, healing by itself; nothing runs twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION
from support.upstream_calls import NONE_YET, Recorded

if TYPE_CHECKING:
    import pytest

    from support.network import Network


def test_it_connects_on_first_use_and_once(network: Network) -> None:
    assert network.attempts == 0
    first, second = Recorded(b"A"), Recorded(b"B")
    network.submit(first, second)
    assert network.attempts == 1
    network.accept()
    assert network.upstream.proved
    network.reply(b"+OK\r\n+a\r\n+b\r\n", lambda: second.over)
    assert (first.outcome, second.outcome) == ("a", "b")


def test_what_waits_fails_with_the_attempts_reason(network: Network) -> None:
    call = Recorded(b"A")
    network.submit(call)
    network.refuse("h:1: nobody there")
    assert call.outcome == (ERROR_CONNECTION, "h:1: nobody there")
    assert network.upstream.last_error == "h:1: nobody there"


def test_while_it_is_down_calls_wait_only_if_they_live_to_see_the_next_attempt(network: Network) -> None:
    network.submit(Recorded(b"A"))
    network.refuse("down")
    hasty, patient = Recorded(b"B", timeout_ms=1), Recorded(b"C")
    network.submit(hasty, patient)
    assert hasty.outcome == (ERROR_CONNECTION, "down")
    assert patient.outcome == NONE_YET
    network.turns(lambda: network.open)
    network.accept()
    network.reply(b"+OK\r\n+c\r\n", lambda: patient.over)
    assert patient.outcome == "c"
    assert network.upstream.last_error is None


def test_attempts_go_on_while_there_are_sessions_and_only_then(network: Network) -> None:
    network.submit(Recorded(b"A"))
    for _ in range(3):
        network.refuse()
        network.turns(lambda: network.open)
    network.upstream.sessions = 0
    network.refuse()
    network.turns()
    time.sleep(0.06)
    network.turns()
    assert network.open == []
    network.submit(Recorded(b"B"))
    assert len(network.open) == 1


def test_a_lost_connection_repeats_reads_and_fails_what_may_have_run(network: Network) -> None:
    network.submit(Recorded(b"FIRST"))
    network.accept()
    network.received()
    read, write, unsent = Recorded(b"READ", repeatable=True), Recorded(b"WRITE"), Recorded(b"LATER")
    network.submit(read, write)
    network.turns()
    network.age_connection()
    network.hang_up()
    network.submit(unsent)
    assert write.outcome[0] == ERROR_CONNECTION
    assert "may have run" in write.outcome[1]
    assert read.outcome == NONE_YET
    network.turns(lambda: network.open)
    network.accept()
    sent = network.received()
    assert sent.index(b"READ") < sent.index(b"LATER")
    assert b"WRITE" not in sent
    network.reply(b"+OK\r\n+r\r\n+l\r\n", lambda: unsent.over)
    assert (read.outcome, unsent.outcome) == ("r", "l")


def test_a_read_is_not_repeated_for_ever(network: Network) -> None:
    read = Recorded(b"READ", repeatable=True)
    network.submit(read)
    for _ in range(3):
        network.turns(lambda: network.open)
        network.accept()
        assert b"READ" in network.received()
        network.hang_up()
    assert read.outcome[0] == ERROR_CONNECTION


def test_a_server_that_hangs_up_at_once_is_not_tried_without_pause(network: Network) -> None:
    network.submit(Recorded(b"A"))
    network.accept()
    network.hang_up()
    assert network.open == []
    network.turns(lambda: network.open)


def test_late_replies_are_dropped(network: Network) -> None:
    late, timely = Recorded(b"A", timeout_ms=20), Recorded(b"B")
    network.submit(late)
    network.accept()
    late.succeed("timed out, as the request's own deadline says")
    late.succeed = lambda _reply: None  # type: ignore[method-assign]
    network.submit(timely)
    network.turns()
    network.reply(b"+OK\r\n+late\r\n+b\r\n", lambda: timely.over)
    assert timely.outcome == "b"


def test_a_connection_without_replies_is_given_up(network: Network) -> None:
    call = Recorded(b"A")
    network.submit(call)
    network.accept()
    network.turns(lambda: call.over)
    assert "no reply for" in call.outcome[1]


def test_i4_a_connection_that_only_sends_pushes_is_given_up(network: Network) -> None:
    call = Recorded(b"A")
    network.submit(call)
    network.accept()
    network.reply(b"+OK\r\n", lambda: network.upstream.stats()["in_flight"] == 1)

    def push_and_see() -> bool:
        if network.upstream.connected and network.server is not None:
            network.server.sendall(b">1\r\n+push\r\n")
        return call.over

    network.turns(push_and_see)
    assert "no reply for" in call.outcome[1]


def test_i4_where_no_marker_passes_the_log_says_so_once(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        for _ in range(2):
            network.submit(Recorded(b"A"))
            network.turns(lambda: network.open)
            network.accept(marker=None)
            network.age_connection()
            network.hang_up()
    assert caplog.text.count("neither ECHO nor PING") == 1


def test_waiting_calls_are_bounded(network: Network) -> None:
    calls = [Recorded(b"A") for _ in range(12)]
    network.submit(*calls)
    assert [call.over and call.outcome[0] for call in calls] == [False] * 10 + [ERROR_BUSY] * 2


def test_refused_credentials_are_proved_no_longer(network: Network) -> None:
    network.submit(Recorded(b"A"))
    network.accept()
    network.age_connection()
    network.hang_up()
    network.turns(lambda: network.open)
    assert network.upstream.proved
    network.refuse("password changed", refused=True)
    assert not network.upstream.proved


def test_closing_fails_everything_that_is_open_and_later_calls(network: Network) -> None:
    sent, waiting, later = Recorded(b"A"), Recorded(b"B"), Recorded(b"C")
    network.submit(sent)
    network.accept()
    network.submit(waiting)
    network.upstream.close("stopping")
    network.submit(later)
    assert [call.outcome for call in (sent, waiting, later)] == [(ERROR_CONNECTION, "stopping")] * 3
    network.upstream.close("again")
