"""Turns of a loop's calls, messages whose clock starts late, and loops that are not asyncio's."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClosingError, GlideClient, GlideClientConfiguration, TimeoutError
from glidecache.aio.loop_lock import LoopLock
from glidecache.core.request_deadlines import with_deadline
from glidecache.core.transport_errors import NoDaemonError, own_fault
from glidecache_shared import protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]

FAR_NS = 2**62


def in_a_second_ns() -> int:
    return time.monotonic_ns() + 1_000_000_000


@pytest.mark.parametrize("request_id", [1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("instance_id", [0, 1, 200, 2**20, 2**62])
@pytest.mark.parametrize("deadline_ns", [1, 300, 2**31, 2**40, FAR_NS])
def test_c28_a_message_gets_another_deadline(request_id: int, instance_id: int, deadline_ns: int) -> None:
    for body in ((), (7, [b"SET", b"k", bytes(70_000)])):
        frame = protocol.pack((protocol.COMMAND, request_id, instance_id, deadline_ns, *body))
        for later_ns in (5, 2**35, FAR_NS + 1):
            changed = protocol.unpack(with_deadline(frame, later_ns))
            assert changed == [protocol.COMMAND, request_id, instance_id, later_ns, *body]


def test_turns_are_taken_in_the_order_of_asking() -> None:
    async def run() -> list[int]:
        lock = LoopLock(asyncio.get_running_loop())
        order: list[int] = []

        async def call(number: int) -> None:
            await lock.acquire(in_a_second_ns())
            order.append(number)
            await asyncio.sleep(0)
            lock.release()

        await asyncio.gather(*(call(number) for number in range(10)))
        assert not lock.has_waiters
        return order

    assert asyncio.run(run()) == list(range(10))


@pytest.mark.parametrize("seed", range(30))
def test_c23_order_is_kept_whatever_calls_find_to_do(seed: int) -> None:
    """A connection that is lost at random, and calls that are cancelled at random, beside new calls."""
    chance = random.Random(seed)

    async def run() -> tuple[list[int], int]:
        lock = LoopLock(asyncio.get_running_loop())
        order: list[int] = []
        connected = busy = False
        turns = 0

        async def call(number: int) -> None:
            nonlocal busy, connected, turns
            await lock.acquire(in_a_second_ns(), lambda: connected)
            try:
                assert not busy
                order.append(number)
                if not connected:
                    busy = True
                    turns += 1
                    await asyncio.sleep(0)
                    busy = False
                    connected = True
                if chance.random() < 0.05:
                    connected = False
            finally:
                busy = False
                lock.release()

        calls = []
        for number in range(200):
            calls.append(asyncio.ensure_future(call(number)))
            if chance.random() < 0.1:
                await asyncio.sleep(0)
            if chance.random() < 0.1:
                chance.choice(calls).cancel()
        async with asyncio.timeout(5):
            await asyncio.wait(calls)
        assert not lock.has_waiters
        assert order == sorted(order)
        assert {number for number, task in enumerate(calls) if not task.cancelled()} <= set(order)
        for task in calls:
            assert task.cancelled() or task.exception() is None
        return order, turns

    order, turns = asyncio.run(run())
    assert turns < len(order) / 2


def test_c28_calls_that_find_nothing_to_do_share_a_turn_of_the_loop() -> None:
    async def run() -> None:
        lock = LoopLock(asyncio.get_running_loop())
        done = []

        async def call(number: int) -> None:
            await lock.acquire(in_a_second_ns(), lambda: True)
            done.append(number)
            lock.release()

        await lock.acquire(in_a_second_ns())
        calls = [asyncio.ensure_future(call(number)) for number in range(100)]
        await asyncio.sleep(0)
        lock.release()
        await asyncio.sleep(0)
        assert done == list(range(100))
        await asyncio.gather(*calls)

    asyncio.run(run())


def test_i15_a_task_that_ended_without_leaving_has_lost_its_turn() -> None:
    async def run() -> None:
        lock = LoopLock(asyncio.get_running_loop())
        await asyncio.ensure_future(lock.acquire(in_a_second_ns()))
        assert not lock.has_waiters
        holder = asyncio.ensure_future(asyncio.sleep(0.05))

        async def hold() -> None:
            await lock.acquire(in_a_second_ns())
            await holder

        ends_later = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        assert lock.has_waiters
        await asyncio.wait_for(lock.acquire(in_a_second_ns()), 0.9)
        assert ends_later.done()

    asyncio.run(run())


def test_i15_a_call_that_is_cancelled_as_its_turn_comes_hands_it_on() -> None:
    async def run() -> None:
        lock = LoopLock(asyncio.get_running_loop())
        await lock.acquire(in_a_second_ns())
        waiting = [asyncio.ensure_future(lock.acquire(in_a_second_ns())) for _ in range(3)]
        await asyncio.sleep(0)
        lock.release()
        waiting[0].cancel()  # it has the turn already, and does not know yet
        waiting[2].cancel()
        await asyncio.wait(waiting)
        assert [task.cancelled() for task in waiting] == [True, False, True]
        await asyncio.wait_for(lock.acquire(in_a_second_ns()), 0.9)

    asyncio.run(run())


def test_c28_only_time_in_which_the_loop_runs_counts_for_a_turn() -> None:
    async def run() -> None:
        lock = LoopLock(asyncio.get_running_loop())
        await lock.acquire(in_a_second_ns())
        waiting = asyncio.ensure_future(lock.acquire(time.monotonic_ns() + 200_000_000))
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251
        assert lock.lag_ns > 400_000_000
        await asyncio.sleep(0.02)
        assert not waiting.done()
        with pytest.raises(NoDaemonError):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(run())


def test_outside_of_asyncio_the_error_says_what_to_use() -> None:
    coroutine = GlideClient.create(GlideClientConfiguration(fallback="error"))
    with pytest.raises(RuntimeError, match=r"trio or curio.*glidecache\.sync"):
        coroutine.send(None)


def test_c28_an_overdue_request_that_left_in_time_is_the_daemons(
    daemon: FakeDaemon, connect: Connect
) -> None:
    client = connect()
    client.call("echo", "x")
    daemon.refusals += [(protocol.ERROR_OVERDUE, "too late")] * 2
    with pytest.raises(TimeoutError):
        client.call("echo", "x")
    assert len(daemon.refusals) == 1


def test_c28_an_overdue_request_that_left_late_is_sent_again(
    daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect()
    client.call("echo", "x")
    monkeypatch.setattr("glidecache.core.session._PROMPT_NS", -1)
    daemon.refusals += [(protocol.ERROR_OVERDUE, "too late")] * 2
    assert client.call("echo", "x") == b"x"
    daemon.refusals += [(protocol.ERROR_OVERDUE, "too late")] * 20
    with pytest.raises(TimeoutError):
        client.call("echo", "x")


def test_i1_a_cancelled_call_is_cancelled_at_the_daemon(daemon: FakeDaemon, runtime_dir: Path) -> None:
    """Only that call is cancelled; the others still wait, until the client is closed."""
    del daemon.answers[protocol.COMMAND]
    daemon.answers[protocol.CANCEL] = lambda _body: None

    async def run() -> None:
        client = await GlideClient.create(
            GlideClientConfiguration(runtime_dir=str(runtime_dir), fallback="error", request_timeout=5_000)
        )
        calls = [asyncio.ensure_future(client.echo(str(number))) for number in range(3)]
        await asyncio.sleep(0.1)
        calls[1].cancel()
        await asyncio.sleep(0.1)
        ((_, (cancelled,)),) = daemon.operations(protocol.CANCEL)
        assert len(daemon.operations(protocol.COMMAND)) == len(calls)
        session: Any = client._session
        assert cancelled not in session._connections.current().exchange.open_calls
        await client.close()
        for call in (calls[0], calls[2]):
            with pytest.raises(ClosingError):
                await call

    asyncio.run(run())


@pytest.mark.parametrize(
    ("number", "name"), [(24, "EMFILE"), (23, "ENFILE"), (12, "ENOMEM"), (105, "ENOBUFS")]
)
def test_i16_what_this_process_lacks_is_named(number: int, name: str) -> None:
    assert name in own_fault(OSError(number, "text"), "connection")
