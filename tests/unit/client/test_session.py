"""How both clients deal with the daemon: instances, sessions, losses, deadlines (architecture, failure model)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClientSideCache,
    ClosingError,
    ConfigurationError,
    DaemonUnavailableError,
    GlideClient,
    GlideClientConfiguration,
    RequestError,
    TimeoutError,
)
from glidecache.sync import GlideClient as BlockingGlideClient
from glidecache_shared import lease, protocol
from glidecache_shared.kinds import STRING
from support.clients import AsyncioClient
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]

ATTEMPTS = (protocol.HELLO, protocol.ATTACH, protocol.COMMAND)


def cached() -> ClientSideCache:
    return ClientSideCache.create(64, 0, enable_metrics=True)


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


async def arrival(daemon: FakeDaemon) -> None:
    """Wait until the daemon has got a command."""
    await asyncio.to_thread(wait_until, lambda: daemon.operations(protocol.COMMAND), "the command arrives")


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
    client = connect(request_timeout=150)
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


def test_hits_come_from_the_pool_and_misses_are_reads(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.pool.store.insert(b"k", STRING, b"v")
    assert client.get("k") == client.call("custom_command", ["get", "k"]) == b"v"
    assert daemon.operations(protocol.READ, protocol.COMMAND) == []
    assert client.get("other") is None
    assert daemon.operations(protocol.READ) == [(protocol.READ, [1, STRING, b"other"])]
    assert client.metrics().entry_count == 1


def test_c17_many_are_looked_up_and_the_rest_is_asked_for_at_once(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    daemon.answers[protocol.GET_MANY] = lambda body: [b"<" + key + b">" for key in body[1]]
    client = connect(client_side_cache=cached())
    daemon.pool.store.insert(b"b", STRING, b"hit")
    assert client.call("get_many", ["a", "b", b"c", "a"]) == [b"<a>", b"hit", b"<c>", b"<a>"]
    assert client.call("get_many", ["b"]) == [b"hit"]
    assert client.call("get_many", []) == []
    assert [body[1] for _, body in daemon.operations(protocol.GET_MANY)] == [[b"a", b"c", b"a"]]


def test_a_retired_pool_is_replaced_in_passing(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    first = daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.pool = make_pool(2)
    daemon.pool.store.insert(b"k", STRING, b"v")
    first.store.retire()
    assert client.get("k") is None, "the daemon's answer to the lookup that brought the new pool"
    assert client.get("k") == b"v"
    assert len(daemon.operations(protocol.ATTACH)) == 2
    assert not lease.has_holders(first.lease)
    assert lease.has_holders(daemon.pool.lease)


def test_a_pool_that_stays_retired_is_not_asked_for_with_each_miss(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.pool.store.retire()
    for _ in range(10):
        client.get("k")
    assert len(daemon.operations(protocol.ATTACH)) == 2


def test_a_pool_that_ends_while_attaching_is_attached_again(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    gone, daemon.pool = make_pool(1), make_pool(2)
    attach = daemon.answers[protocol.ATTACH]
    gone_handout = gone.handout()
    gone.lease_path.unlink()

    def once_gone(body: list[Any]) -> Any:
        daemon.answers[protocol.ATTACH] = attach
        return {**attach(body), "pool": gone_handout}

    daemon.answers[protocol.ATTACH] = once_gone
    client = connect(client_side_cache=cached())
    daemon.pool.store.insert(b"k", STRING, b"v")
    assert client.get("k") == b"v"


def test_a_pool_that_cannot_be_seen_is_a_clear_error(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    with Path(daemon.pool.store.pool_path).open("r+b") as file:
        file.write(b"\0" * 4096)
    with pytest.raises(ConfigurationError, match="cannot read the cache's pool"):
        connect(client_side_cache=cached())
    assert not lease.has_holders(daemon.pool.lease)


def test_closing_detaches_and_lets_the_pool_go(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    assert lease.has_holders(daemon.pool.lease)
    client.close()
    client.close()
    assert daemon.operations(protocol.DETACH) == [(protocol.DETACH, [1])]
    assert not lease.has_holders(daemon.pool.lease)
    for call in (("get", "k"), ("set", "k", "v"), ("get_many", ["k"]), ("custom_command", ["GET", "k"])):
        with pytest.raises(ClosingError, match="the client is closed"):
            client.call(*call)


def test_the_farewell_is_told(daemon: FakeDaemon, connect: Connect) -> None:
    assert daemon
    client = connect()
    client.call("close", "shutting down")
    with pytest.raises(ClosingError, match="the client is closed: shutting down"):
        client.get("k")


def test_an_unclosed_blocking_client_lets_the_pool_go(
    daemon: FakeDaemon, runtime_dir: Path, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), client_side_cache=cached())
    gc.disable()
    try:
        client = BlockingGlideClient.create(config)
        assert lease.has_holders(daemon.pool.lease)
        del client
        assert not lease.has_holders(daemon.pool.lease), "without the help of the cycle collector"
    finally:
        gc.enable()


def test_a_forked_child_goes_on_and_leaves_the_parents_session(
    daemon: FakeDaemon, runtime_dir: Path, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    daemon.pool.store.insert(b"k", STRING, b"v")
    config = GlideClientConfiguration(
        runtime_dir=str(runtime_dir), client_side_cache=cached(), request_timeout=5_000
    )
    client = BlockingGlideClient.create(config)
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            if client.get("k") == b"v" and client.echo("child") == b"child":
                client.close()
                status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert client.echo("parent") == b"parent"
    client.close()
    assert len(daemon.operations(protocol.ATTACH)) == 1
    assert daemon.operations(protocol.DETACH) == [(protocol.DETACH, [1])]


def test_threads_have_channels_of_their_own(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    wrong = []
    with BlockingGlideClient.create(config) as client:

        def work(name: str) -> None:
            for number in range(50):
                text = f"{name}{number}".encode()
                if client.echo(text) != text:
                    wrong.append(text)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(daemon.operations(protocol.HELLO)) == 5
    assert len(daemon.operations(protocol.ATTACH)) == 1


async def test_one_client_in_two_event_loops(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    client = await GlideClient.create(config)

    async def work(name: str) -> list[bytes]:
        return list(await asyncio.gather(*(client.echo(f"{name}{number}") for number in range(50))))

    theirs: list[bytes] = []
    thread = threading.Thread(target=lambda: theirs.extend(asyncio.run(work("t"))))
    thread.start()
    ours = await work("m")
    await asyncio.to_thread(thread.join)
    assert ours == [f"m{number}".encode() for number in range(50)]
    assert theirs == [f"t{number}".encode() for number in range(50)]
    assert len(daemon.operations(protocol.HELLO)) == 2
    await client.close()


async def test_c23_what_is_not_awaited_keeps_its_order(
    make_daemon: Callable[..., FakeDaemon], runtime_dir: Path
) -> None:
    first = make_daemon(1)
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    async with await GlideClient.create(config) as client:
        first.stop()
        second = make_daemon(2)
        # All of them find the daemon gone, and none overtakes another while one of them attaches.
        await asyncio.gather(*(client.append("k", str(number)) for number in range(100)))
        sent = [body[1][2] for _, body in second.operations(protocol.COMMAND)]
    assert sent == [str(number).encode() for number in range(100)]


async def test_a_cancelled_call_leaves_no_trace(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=60_000)
    async with await GlideClient.create(config) as client:
        echo = daemon.answers.pop(protocol.COMMAND)
        task = asyncio.create_task(client.echo("slow"))
        await arrival(daemon)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client._session._channels.current()._replies == {}  # type: ignore[attr-defined]
        daemon.answers[protocol.COMMAND] = echo
        daemon.send_late()
        assert await client.echo("x") == b"x"


async def test_cancelling_while_connecting_is_safe(
    make_daemon: Callable[..., FakeDaemon], runtime_dir: Path
) -> None:
    first = make_daemon(1)
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    async with await GlideClient.create(config) as client:
        first.stop()
        tasks = [asyncio.create_task(client.echo(str(number))) for number in range(5)]
        await asyncio.sleep(0.05)
        for task in tasks[:3]:
            task.cancel()
        make_daemon(2)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results[:3]] == [asyncio.CancelledError] * 3
        assert results[3:] == [b"3", b"4"]


async def test_open_requests_are_bounded(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(
        runtime_dir=str(runtime_dir), inflight_requests_limit=3, request_timeout=200
    )
    async with await GlideClient.create(config) as client:
        daemon.answers.pop(protocol.COMMAND)
        results = await asyncio.gather(*(client.incr("n") for _ in range(5)), return_exceptions=True)
    limited = [result for result in results if "inflight_requests_limit" in str(result)]
    assert len(limited) == 2
    assert sum(isinstance(result, TimeoutError) for result in results) == 3


async def test_closing_fails_what_still_waits(daemon: FakeDaemon, runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=60_000)
    client = await GlideClient.create(config)
    daemon.answers.pop(protocol.COMMAND)
    task = asyncio.create_task(client.incr("n"))
    await arrival(daemon)
    await client.close()
    with pytest.raises(ClosingError):
        await task


def test_a_call_inside_a_call(daemon: FakeDaemon, runtime_dir: Path) -> None:
    """A signal handler may use the client that it has interrupted: both calls get their own reply."""
    import signal

    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), request_timeout=5_000)
    inner: list[bytes] = []
    with BlockingGlideClient.create(config) as client:
        echo = daemon.answers[protocol.COMMAND]

        def slowly(body: list[Any]) -> Any:
            if body[1][1] == b"outer":
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(0.1)
            return echo(body)

        daemon.answers[protocol.COMMAND] = slowly
        previous = signal.signal(signal.SIGUSR1, lambda *_: inner.append(client.echo("inner")))
        try:
            assert client.echo("outer") == b"outer"
        finally:
            signal.signal(signal.SIGUSR1, previous)
    assert inner == [b"inner"]


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
    with pytest.raises(TypeError, match="batch must be a Batch, not list"):
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


def test_metrics_may_be_awaited_or_not(
    daemon: FakeDaemon, connect: Connect, make_pool: Callable[[int], Any]
) -> None:
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    rate = client.client.get_cache_hit_rate()
    assert isinstance(rate, float)
    assert f"{rate:.2%}" == "0.00%"
    if isinstance(client, AsyncioClient):

        async def awaited() -> Any:
            return await rate, await client.client.get_cache_total_lookups()

        assert client.run(awaited()) == (0.0, 0)


def test_c14_metrics_without_a_cache(daemon: FakeDaemon, connect: Connect) -> None:
    assert daemon
    with pytest.raises(RequestError) as raised:
        connect().metrics()
    assert str(raised.value) == "Client-side caching is not enabled"


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


@pytest.mark.usefixtures("daemon")
def test_a_blocking_command_may_be_a_threads_first(runtime_dir: Path) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir))
    with BlockingGlideClient.create(config) as client, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.custom_command, ["BLPOP", "k", "0"])
        assert answer.result() == b"0"
