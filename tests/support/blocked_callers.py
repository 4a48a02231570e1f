"""A process whose callers wait in every command that can block, and end in one way when they are told to.

`python -m support.blocked_callers KIND END` with a JSON configuration on the first line of its input. It writes "ready"
once all calls are issued, ends its callers at the next line, writes "ended", and stays until its input ends: so it is
not the end of the process that lets the server forget them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import signal
import sys
import threading
import time
from typing import Any

COMMANDS = {
    "blpop": ["BLPOP", "{q}list", "0"],
    "brpop": ["BRPOP", "{q}list", "0"],
    "blmove": ["BLMOVE", "{q}list", "{q}taken", "LEFT", "RIGHT", "0"],
    "blmpop": ["BLMPOP", "0", "1", "{q}list", "LEFT"],
    "brpoplpush": ["BRPOPLPUSH", "{q}list", "{q}taken", "0"],
    "bzpopmin": ["BZPOPMIN", "{q}zset", "0"],
    "bzpopmax": ["BZPOPMAX", "{q}zset", "0"],
    "bzmpop": ["BZMPOP", "0", "1", "{q}zset", "MIN"],
    "xread": ["XREAD", "BLOCK", "0", "STREAMS", "{q}stream", "$"],
    "xreadgroup": ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "{q}stream", ">"],
    "wait": ["WAIT", "9", "0"],
    "waitaof": ["WAITAOF", "0", "9", "0"],
}
"""Every command that can block, without a time-out, by its name in `CLIENT LIST`."""

ASYNC_ENDS = ("cancel", "wait_for", "task_group", "close", "time-out", "loop closed", "dropped")
BLOCKING_ENDS = ("exception", "close", "time-out", "alarm", "greenlet time-out")
DEATHS = (signal.SIGKILL, signal.SIGTERM)
WATCH_ENDS_WITH = ("close", "loop closed", "exception", "dropped")
"""The ends after which no caller is left that could execute what is watched."""

BATCH_TIMEOUT_MS = 1_500


class InterruptedFromOutsideError(BaseException):
    """The exception of a soft time limit."""


def make_batch(cluster: bool, command: list[str]) -> Any:
    import glidecache

    batch = (glidecache.ClusterBatch if cluster else glidecache.Batch)(is_atomic=False)
    batch.custom_command(command)
    return batch


def options(cluster: bool) -> Any:
    import glidecache

    kind = glidecache.ClusterBatchOptions if cluster else glidecache.BatchOptions
    return kind(timeout=BATCH_TIMEOUT_MS)


def configuration(given: dict[str, Any]) -> Any:
    import glidecache

    kind = (
        glidecache.GlideClusterClientConfiguration
        if given["cluster"]
        else glidecache.GlideClientConfiguration
    )
    return kind(
        [glidecache.NodeAddress("127.0.0.1", given["port"])],
        runtime_dir=given["runtime_dir"],
        fallback="error",
        request_timeout=5_000,
    )


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def run_blocking(given: dict[str, Any], end: str) -> Any:  # noqa: C901 - one way to end after the other
    from glidecache.sync import GlideClient, GlideClusterClient

    cluster = given["cluster"]
    if end == "greenlet time-out":
        return time_out_greenlets(given)
    client: Any = (GlideClusterClient if cluster else GlideClient).create(configuration(given))
    if end == "alarm":
        say("ready")
        sys.stdin.readline()
        interrupt_each(client)
        return client
    threads = []

    def call(name: str) -> None:
        try:
            if name == "watch":
                client.watch(["{q}watched"])
                while True:
                    time.sleep(0.01)
            elif end == "time-out":
                client.exec(make_batch(cluster, COMMANDS[name]), True, options(cluster))
            else:
                client.custom_command(COMMANDS[name])
        except (Exception, InterruptedFromOutsideError):  # noqa: BLE001, S110 - the end itself is all that matters
            pass

    names = [*COMMANDS, "watch"] if end in WATCH_ENDS_WITH else [*COMMANDS]
    for name in names:
        threads.append(threading.Thread(target=call, args=(name,), daemon=True))
        threads[-1].start()
    say("ready")
    sys.stdin.readline()
    if end == "close":
        client.close()
    elif end == "exception":
        for thread in threads:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident or 0), ctypes.py_object(InterruptedFromOutsideError)
            )
    if end != "none":
        for thread, name in zip(threads, names, strict=True):
            if name != "watch" or end == "exception":
                thread.join(10)
                assert not thread.is_alive(), name
    return client


def time_out_greenlets(given: dict[str, Any]) -> Any:
    """Issue each call in a greenlet of its own, ended by gevent's time limit."""
    import gevent
    import gevent.event
    import gevent.monkey

    gevent.monkey.patch_all()
    from glidecache.sync import GlideClient, GlideClusterClient

    client: Any = (GlideClusterClient if given["cluster"] else GlideClient).create(configuration(given))
    go = gevent.event.Event()

    def end(caller: Any) -> None:
        go.wait()
        caller.throw(gevent.Timeout(1))

    def call(command: list[str]) -> None:
        ending = gevent.spawn(end, gevent.getcurrent())
        with contextlib.suppress(gevent.Timeout):
            client.custom_command(command)
        ending.kill()

    greenlets = [gevent.spawn(call, command) for command in COMMANDS.values()]
    gevent.sleep(0.1)
    say("ready")
    gevent.get_hub().threadpool.apply(sys.stdin.readline)
    go.set()
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    return client


def interrupt_each(client: Any) -> None:
    """Issue one call after the other in the main thread; a signal handler's exception ends each."""

    def limit(*_: object) -> None:
        raise InterruptedFromOutsideError

    signal.signal(signal.SIGALRM, limit)
    for command in COMMANDS.values():
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        try:
            client.custom_command(command)
        except InterruptedFromOutsideError:
            continue
        message = f"{command} was not interrupted"
        raise AssertionError(message)


async def issue(  # noqa: C901 - one way to end after the other
    given: dict[str, Any], end: str, go: asyncio.Future[None]
) -> Any:
    """Issue all calls, and end them when `go` returns; return what must stay alive."""
    from glidecache import GlideClient, GlideClusterClient

    cluster = given["cluster"]
    client: Any = await (GlideClusterClient if cluster else GlideClient).create(configuration(given))
    if end in WATCH_ENDS_WITH:
        await client.watch(["{q}watched"])

    def call(command: list[str]) -> Any:
        if end == "time-out":
            return client.exec(make_batch(cluster, command), True, options(cluster))
        return client.custom_command(command)

    calls = [call(command) for command in COMMANDS.values()]
    if end == "task_group":
        tasks = [asyncio.ensure_future(in_a_group(calls, go))]
    elif end == "wait_for":
        tasks = [asyncio.ensure_future(asyncio.wait_for(each, 1.5)) for each in calls]
    else:
        tasks = [asyncio.ensure_future(each) for each in calls]
    await asyncio.sleep(0.1)
    say("ready")
    await go
    if end == "loop closed":
        return client, tasks
    if end == "dropped":
        client._session._connections.current().drop()
        return client, tasks
    if end == "cancel":
        for task in tasks:
            task.cancel()
    elif end == "close":
        await client.close()
    await asyncio.wait(tasks, timeout=10)
    assert all(task.done() for task in tasks), tasks
    for task in tasks:
        if not task.cancelled():
            task.exception()
    return client, tasks


async def in_a_group(calls: list[Any], go: asyncio.Future[None]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for each in calls:
                group.create_task(each)
            await go
            raise InterruptedFromOutsideError
    except BaseExceptionGroup:
        pass


def run_asyncio(given: dict[str, Any], end: str) -> Any:
    loop = asyncio.new_event_loop()
    go: asyncio.Future[None] = loop.create_future()

    def wait_for_the_word() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(go.set_result, None)

    threading.Thread(target=wait_for_the_word, daemon=True).start()
    alive = loop.run_until_complete(issue(given, end, go))
    if end == "loop closed":
        loop.close()
    return alive, loop


def main() -> None:
    kind, end = sys.argv[1:]
    given = json.loads(sys.stdin.readline())
    alive = (run_asyncio if kind == "asyncio" else run_blocking)(given, end)
    say("ended")
    sys.stdin.read()
    del alive


if __name__ == "__main__":
    main()
