"""How both clients deal with the daemon: instances, sessions, losses, deadlines (architecture, failure model)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClosingError,
    ConfigurationError,
    ConnectionError,
    DaemonUnavailableError,
    NodeAddress,
    RequestError,
    TimeoutError,
)
from glidecache.sync import GlideClient as BlockingGlideClient
from glidecache_shared import protocol
from support.valkey_server import free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]

ATTEMPTS = (protocol.HELLO, protocol.ATTACH, protocol.COMMAND)


def test_hello_then_attach_then_the_command(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect()
    assert client.call("echo", "x") == b"x"
    assert [operation for operation, _ in daemon.operations(*ATTEMPTS)] == list(ATTEMPTS)
    assert daemon.operations(protocol.COMMAND) == [(protocol.COMMAND, [1, [b"ECHO", b"x"]])]


def test_a_later_daemon_is_attached_to_unseen(
    make_daemon: Callable[..., FakeDaemon], connect: Connect
) -> None:
    first = make_daemon(1)
    client = connect()
    client.call("echo", "x")
    first.stop()
    second = make_daemon(2)
    assert client.call("echo", "y") == b"y"
    assert [operation for operation, _ in second.operations(*ATTEMPTS)] == list(ATTEMPTS)
    assert "follows" not in second.operations(protocol.ATTACH)[0][1][0]


@pytest.mark.parametrize("code", [protocol.ERROR_UNKNOWN_SESSION, protocol.ERROR_STALE_INSTANCE])
def test_what_was_not_run_is_attached_for_and_sent_again(
    daemon: FakeDaemon, connect: Connect, code: int
) -> None:
    client = connect()
    daemon.refusals.append((code, "not run"))
    assert client.call("incr", "n") == b"n"
    assert [body[0] for _, body in daemon.operations(protocol.COMMAND)] == [1, 2]
    again = daemon.operations(protocol.ATTACH)[1][1][0]
    assert again["lazy_connect"] is True
    assert again["follows"] == 1


def test_a_daemon_that_never_knows_the_session_is_not_asked_for_ever(
    daemon: FakeDaemon, connect: Connect
) -> None:
    client = connect()
    daemon.refusals += [(protocol.ERROR_UNKNOWN_SESSION, "no such session")] * 20
    with pytest.raises(RequestError, match="no such session"):
        client.call("incr", "n")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (protocol.ERROR_REQUEST, RequestError),
        (protocol.ERROR_TIMEOUT, TimeoutError),
        (protocol.ERROR_OVERDUE, TimeoutError),
        (protocol.ERROR_CONNECTION, ConnectionError),
        (protocol.ERROR_CLOSING, ClosingError),
        (protocol.ERROR_CONFIGURATION, ConfigurationError),
        (protocol.ERROR_FORBIDDEN, RequestError),
        (protocol.ERROR_BUSY, RequestError),
        (99, RequestError),
    ],
)
def test_codes_become_errors(daemon: FakeDaemon, connect: Connect, code: int, error: type[Exception]) -> None:
    client = connect()
    daemon.refusals.append((code, "the reason"))
    with pytest.raises(error, match="the reason"):
        client.call("incr", "n")


def lose_during_the_next(daemon: FakeDaemon, operation: int) -> None:
    """The daemon dies when it has got the next request of this operation."""
    before = len(daemon.operations(operation))
    daemon.answers.pop(operation)

    def kill() -> None:
        wait_until(lambda: len(daemon.operations(operation)) > before, "the request arrives")
        daemon.stop()

    threading.Thread(target=kill).start()


def test_a_write_whose_daemon_dies_may_have_run(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect(request_timeout=5_000)
    lose_during_the_next(daemon, protocol.COMMAND)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="may have run"):
        client.call("incr", "n")
    assert time.monotonic() - began < 4, "the loss is noticed, not waited out"


def test_a_read_whose_daemon_dies_is_sent_to_the_next(
    make_daemon: Callable[..., FakeDaemon], connect: Connect
) -> None:
    first = make_daemon(1)
    client = connect(request_timeout=10_000)
    lose_during_the_next(first, protocol.COMMAND)

    def replace() -> None:
        wait_until(lambda: first._stopping.is_set() and not first._thread.is_alive(), "the first has ended")
        wait_until(lambda: first._socket.closed, "its socket is closed")
        make_daemon(2)

    threading.Thread(target=replace).start()
    assert client.call("strlen", "k") == b"k"


def test_no_daemon_is_found_within_the_time_out(
    daemon: FakeDaemon, connect: Connect, runtime_dir: Path
) -> None:
    client = connect(request_timeout=300)
    daemon.stop()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(DaemonUnavailableError, match=str(runtime_dir)):
            client.call("incr", "n")
        assert 0.25 < time.monotonic() - began < 1.5


def test_a_daemon_without_words_is_a_time_out(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect(request_timeout=200)
    daemon.answers.pop(protocol.COMMAND)
    with pytest.raises(TimeoutError, match="within 200 ms; the command may have run"):
        client.call("incr", "n")
    with pytest.raises(TimeoutError, match=r"within 200 ms$"):
        client.call("strlen", "k")


def test_a_late_reply_is_nobodys(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect(request_timeout=400)
    echo = daemon.answers.pop(protocol.COMMAND)
    with pytest.raises(TimeoutError):
        client.call("echo", "slow")
    daemon.answers[protocol.COMMAND] = echo
    daemon.send_late()
    assert [client.call("echo", str(number)) for number in range(3)] == [b"0", b"1", b"2"]


def test_what_cannot_be_read_ends_the_connection(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect()
    daemon.garbage = True
    with pytest.raises(TimeoutError, match="may have run"):
        client.call("incr", "n")
    daemon.garbage = False
    assert client.call("echo", "x") == b"x"


def test_long_messages_are_refused_before_they_are_sent(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect()
    with pytest.raises(RequestError, match="max_message_bytes of the daemon's configuration allows 100000"):
        client.call("set", "k", b"x" * 100_001)
    assert daemon.operations(protocol.COMMAND) == []


def test_a_daemon_of_another_protocol_is_named(
    daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = (protocol.STATUS_ERROR, (protocol.ERROR_PROTOCOL, "this is protocol 2"))
    monkeypatch.setattr(daemon, "_reply", lambda *_: refusal)
    with pytest.raises(ConfigurationError, match="refuses this client: this is protocol 2"):
        connect()


@pytest.mark.parametrize("late", [protocol.HELLO, protocol.ATTACH])
def test_a_daemon_that_reads_too_late_who_comes_has_been_handed_nothing(
    make_daemon: Callable[..., FakeDaemon], connect: Connect, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    first = make_daemon(1)
    client = connect()
    first.stop()
    second = make_daemon(2)
    reply = second._reply

    def overdue(operation: int, *rest: Any) -> tuple[int, Any]:
        if operation == late:
            return protocol.STATUS_ERROR, (protocol.ERROR_OVERDUE, "the deadline had passed")
        in_time: tuple[int, Any] = reply(operation, *rest)
        return in_time

    monkeypatch.setattr(second, "_reply", overdue)
    with pytest.raises(DaemonUnavailableError, match="does not answer"):
        client.call("incr", "n")
    assert second.operations(protocol.COMMAND) == []
    monkeypatch.undo()
    assert client.call("echo", "x") == b"x"


def test_the_upstreams_time_out_is_the_clients(daemon: FakeDaemon, connect: Connect) -> None:
    daemon.request_timeout_ms = 120
    client = connect()
    daemon.answers.pop(protocol.COMMAND)
    with pytest.raises(TimeoutError, match="within 120 ms"):
        client.call("incr", "n")


def test_a_blocking_command_is_waited_for(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect(request_timeout=100)

    def slowly(_body: list[Any]) -> list[bytes]:
        time.sleep(0.4)
        return [b"l", b"x"]

    daemon.answers[protocol.COMMAND] = slowly
    assert client.call("blpop", ["l"], 1) == [b"l", b"x"]


def test_batches_decode_each_reply(daemon: FakeDaemon, connect: Connect) -> None:
    from glidecache import Batch, ExecAbortError

    replies: list[Any] = [b"OK", protocol.ReplyError("WRONGTYPE no list"), [b"f", b"v"]]
    daemon.answers[protocol.BATCH] = lambda _body: replies
    client = connect()
    batch = Batch(is_atomic=False).set("k", "v").lpush("k", ["x"]).hgetall("h")
    results = client.call("exec", batch, raise_on_error=False)
    assert (results[0], results[2]) == ("OK", {b"f": b"v"})
    assert isinstance(results[1], RequestError)
    with pytest.raises(RequestError, match="WRONGTYPE no list"):
        client.call("exec", batch, raise_on_error=True)
    assert daemon.operations(protocol.BATCH)[0][1] == [
        1,
        False,
        [[b"SET", b"k", b"v"], [b"LPUSH", b"k", b"x"], [b"HGETALL", b"h"]],
    ]
    daemon.answers[protocol.BATCH] = lambda _body: None
    assert client.call("exec", Batch(is_atomic=True).get("k"), raise_on_error=True) is None
    assert client.call("exec", Batch(is_atomic=True), raise_on_error=True) == []
    with pytest.raises(TypeError, match="batch must be a Batch or a ClusterBatch, not list"):
        client.call("exec", [], raise_on_error=True)
    assert issubclass(ExecAbortError, RequestError)


def test_a_script_is_sent_whole_where_it_is_unknown(daemon: FakeDaemon, connect: Connect) -> None:
    from glidecache import Script

    client = connect()
    daemon.refusals.append((protocol.ERROR_REQUEST, "NOSCRIPT No matching script"))
    assert client.call("invoke_script", Script("return 1"), args=["x"]) == b"x"
    assert [body[1][0] for _, body in daemon.operations(protocol.COMMAND)] == [b"EVALSHA", b"EVAL"]
    daemon.refusals.append((protocol.ERROR_REQUEST, "ERR something else"))
    with pytest.raises(RequestError, match="something else"):
        client.call("invoke_script", Script("return 1"))


def test_a_configuration_of_the_other_mode(connect: Connect) -> None:
    assert connect
    with pytest.raises(
        TypeError, match=r"GlideClient\.create needs a GlideClientConfiguration, not NoneType"
    ):
        BlockingGlideClient.create(None)  # type: ignore[arg-type]


def test_without_a_daemon_a_blocking_command_fails_as_soon_as_any_other(
    daemon: FakeDaemon, connect: Connect
) -> None:
    client = connect(request_timeout=200)
    daemon.stop()
    with pytest.raises(DaemonUnavailableError, match="is not running"):
        client.call("custom_command", ["BLPOP", "k", "0"])


@pytest.mark.parametrize("options", [{}, {"fallback": "error"}], ids=["default", "error"])
@pytest.mark.parametrize("missing", ["no socket", "no answer", "another version"])
def test_a_lazy_client_is_made_before_its_daemon_and_attaches_by_itself(
    make_daemon: Callable[..., FakeDaemon],
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, Any],
    missing: str,
) -> None:
    if missing != "no socket":
        first = make_daemon(1)
        if missing == "no answer":
            first.answers.pop(protocol.HELLO)
        else:
            about = {"protocol_version": protocol.PROTOCOL_VERSION + 1, "daemon_version": "9.0.0", "pid": 1}
            first.answers[protocol.HELLO] = first.answers[protocol.PING] = lambda _body: about
        with pytest.raises(DaemonUnavailableError):
            connect(request_timeout=100, **options)
    client = connect(request_timeout=100, lazy_connect=True, **options)
    (warning,) = caplog.records
    assert warning.getMessage().endswith("; until it answers, commands fail")
    for call in (("echo", "x"), ("get", "k"), ("get_many", ["k"])):
        with pytest.raises((DaemonUnavailableError, TimeoutError), match="glidecached"):
            client.call(*call)
    if missing != "no socket":
        first.stop()
    make_daemon(2)
    assert client.call("echo", "x") == b"x"
    assert len(caplog.records) == 1


def test_a_lazy_client_that_may_ask_the_servers_is_made_without_them(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    servers = {"addresses": [NodeAddress("127.0.0.1", free_port())], "request_timeout": 100}
    with pytest.raises(ClosingError, match="the servers cannot be asked directly"):
        connect(**servers)
    caplog.clear()
    client = connect(lazy_connect=True, **servers)
    assert [record.getMessage().rpartition("; ")[2] for record in caplog.records] == [
        "meanwhile commands go to the servers directly, uncached"
    ]
    with pytest.raises(ConnectionError):
        client.call("echo", "x")
