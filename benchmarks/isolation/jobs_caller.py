"""A process of callers: `python -m isolation.jobs_caller RUNTIME_DIR PORT NAME JOURNAL KIND`.

It has two lanes. Each begins a blocking call at a list of its own, and ends it in one of the ways that a caller has.
The call is cancelled, interrupted by an exception, ended by closing its client, by the server's time-out, or by a job.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
import time
from typing import Any, NoReturn

import glidecache
import glidecache.sync

_PATIENCE_MS = 2_000
_LONGEST_S = 0.6
_REST_S = 0.02
"""The pause after a refusal."""


class Interrupted(BaseException):
    """The exception that a signal handler raises."""


class Journal:
    """A journal whose lines outlive a kill: each is one write."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, *words: object) -> None:
        """Write one line."""
        os.write(self._file, (" ".join(map(str, words)) + " .\n").encode())

    def got(self, name: str, reply: Any) -> None:
        """Record the job of a reply, if there is one."""
        if reply:
            job = reply[-1] if isinstance(reply, list) else reply
            job = next(iter(job.values()))[0] if isinstance(job, dict) else job
            self.add("got", name, job.decode())


def call_of(chance: random.Random, name: str, seconds: float) -> list[Any]:
    """Return one of the commands that wait at a list."""
    wait = f"{seconds:g}"
    return chance.choice(
        [
            ["BLPOP", name, wait],
            ["BRPOP", name, wait],
            ["BLMOVE", name, f"taken:{name}", "LEFT", "RIGHT", wait],
            ["BLMPOP", wait, "1", name, "LEFT"],
        ]
    )


def configuration(runtime_dir: str, port: str) -> glidecache.GlideClientConfiguration:
    """Return the configuration of all clients here."""
    return glidecache.GlideClientConfiguration(
        [glidecache.NodeAddress("127.0.0.1", int(port))],
        runtime_dir=runtime_dir,
        request_timeout=_PATIENCE_MS,
        fallback="error",
    )


async def lane(number: int, runtime_dir: str, port: str, name: str, journal: Journal) -> None:
    """Run asyncio calls that are cancelled, timed out by the loop, closed, or served."""
    chance = random.Random(f"{name}{number}")
    rounds = 0
    while True:
        client = await glidecache.GlideClient.create(configuration(runtime_dir, port))
        for _ in range(6):
            rounds += 1
            own = f"jobs:{name}:{number}:{rounds}"
            way = chance.choice(["cancelled", "timed-out", "time-out", "closed"])
            seconds = chance.uniform(0.05, _LONGEST_S)
            journal.add("begin", own, time.monotonic())
            call = asyncio.ensure_future(
                client.custom_command(list(call_of(chance, own, seconds if way == "time-out" else 30)))
            )
            try:
                if way == "timed-out":
                    journal.got(own, await asyncio.wait_for(call, seconds))
                elif way == "time-out":
                    journal.got(own, await call)
                else:
                    await asyncio.wait([call], timeout=seconds)
                    if way == "closed":
                        await client.close()
                    if call.done():
                        journal.got(own, call.result())
                    else:
                        call.cancel()
                        journal.got(own, await call)
            except (asyncio.CancelledError, TimeoutError):
                pass
            except glidecache.GlideError:
                await asyncio.sleep(_REST_S)
            journal.add("end", own, time.monotonic(), way)
            if way == "closed":
                break
        await client.close()


def run_blocking(runtime_dir: str, port: str, name: str, journal: Journal) -> None:
    """Call in the main thread, where signal handlers raise; close the client of a second thread."""
    threading.Thread(target=closing_lane, args=(runtime_dir, port, name, journal), daemon=True).start()
    chance = random.Random(name)
    client = glidecache.sync.GlideClient.create(configuration(runtime_dir, port))
    signal.signal(signal.SIGALRM, interrupt)
    rounds = 0
    while True:
        rounds += 1
        own = f"jobs:{name}:0:{rounds}"
        way = chance.choice(["interrupted", "time-out"])
        seconds = chance.uniform(0.05, _LONGEST_S)
        command = call_of(chance, own, seconds if way == "time-out" else 30)
        journal.add("begin", own, time.monotonic())
        try:
            if way == "interrupted":
                signal.setitimer(signal.ITIMER_REAL, seconds)
            reply = client.custom_command(command)
            signal.setitimer(signal.ITIMER_REAL, 0)
            journal.got(own, reply)
        except Interrupted:
            pass
        except glidecache.GlideError:
            time.sleep(_REST_S)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        journal.add("end", own, time.monotonic(), way)


def closing_lane(runtime_dir: str, port: str, name: str, journal: Journal) -> None:
    """Call with a client that another thread closes while it waits."""
    chance = random.Random(f"{name}closing")
    rounds = 0
    while True:
        rounds += 1
        own = f"jobs:{name}:1:{rounds}"
        client = glidecache.sync.GlideClient.create(configuration(runtime_dir, port))
        closer = threading.Timer(chance.uniform(0.05, _LONGEST_S), client.close)
        journal.add("begin", own, time.monotonic())
        closer.start()
        try:
            journal.got(own, client.custom_command(list(call_of(chance, own, 30))))
        except glidecache.GlideError:
            time.sleep(_REST_S)
        closer.join()
        journal.add("end", own, time.monotonic(), "closed")


def interrupt(*_: object) -> NoReturn:
    """Raise from the signal handler."""
    raise Interrupted


def main() -> None:
    """Run until this process is killed."""
    runtime_dir, port, name, path, kind = sys.argv[1:]
    journal = Journal(path)
    if kind == "blocking":
        run_blocking(runtime_dir, port, name, journal)

    async def lanes() -> None:
        await asyncio.gather(*(lane(number, runtime_dir, port, name, journal) for number in range(2)))

    asyncio.run(lanes())


if __name__ == "__main__":
    main()
