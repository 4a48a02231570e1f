"""Jobs lost of a thousand that are pushed while their callers end in every way: the account of each.

Each caller waits at a list of its own, so the measure knows which caller a job was popped for. Jobs are pushed to
callers that wait, and to those that have just ended. The server's own events say when each was popped. The callers'
journals say what arrived, and when a caller ended.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isolation.measure import Measure, Place, at_most, plain
from support.clients import KINDS
from support.process import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable

_PLACES = 6
_HEARD_S = 1.0
"""The rule's time within which the server hears that a caller is gone."""
_TRANSIT_S = 0.05
"""A pop so shortly after the end crossed with the end on its way to the server."""
_PAUSE_S = 0.02


class Events(threading.Thread):
    """A thread that records when the server popped from which list, by its keyspace events."""

    def __init__(self, admin: Any) -> None:
        super().__init__(daemon=True)
        self._pubsub = admin.pubsub()
        self._pubsub.psubscribe("__keyspace@0__:jobs:*")
        self.popped: dict[str, list[float]] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Listen until the measure is over."""
        while not self.over.is_set():
            message = self._pubsub.get_message(timeout=0.1)
            if message and message["type"] == "pmessage" and message["data"] in {b"lpop", b"rpop"}:
                name = message["channel"].decode().partition(":")[2]
                self.popped.setdefault(name, []).append(time.monotonic())
        self._pubsub.close()


class Caller:
    """A process that makes one blocking call after the other, until it is killed."""

    def __init__(self, place: Place, number: int) -> None:
        self.name = f"p{number}"
        self.journal = place.directory / f"{self.name}.journal"
        self.killed_at = 0.0
        arguments = [
            place.runtime_dir,
            str(place.server.port),
            self.name,
            str(self.journal),
            KINDS[number % 2],
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "isolation.jobs_caller", *arguments], env=_environment()
        )

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.killed_at = time.monotonic()
        self.process.kill()
        self.process.wait()

    def lines(self) -> list[list[str]]:
        """Return the journal: `begin LIST MOMENT`, `got LIST JOB`, `end LIST MOMENT HOW`."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [line.split() for line in text.splitlines() if line.endswith(".")]


def measure(jobs: int, say: Callable[[str], object]) -> list[Measure]:
    """Push the given number of jobs."""
    chance = random.Random(5)
    callers: list[Caller] = []
    at_work: list[Caller] = []
    with Place() as place:
        events = Events(place.server.admin)
        events.start()
        try:
            for _ in range(_PLACES):
                at_work.append(Caller(place, len(callers)))
                callers.append(at_work[-1])
            pushed = _push(place, jobs, chance, callers, at_work, say)
            time.sleep(2 * _HEARD_S)
            still_blocked = int(place.server.admin.info("clients")["blocked_clients"]) - _waiting(at_work)
        finally:
            for caller in at_work:
                caller.kill()
        time.sleep(2 * _HEARD_S)
        left_over = int(place.server.admin.info("clients")["blocked_clients"])
        kept = {
            job.decode()
            for name in place.server.admin.keys("jobs:*")
            for job in place.server.admin.lrange(name, 0, -1)
        }
        events.over.set()
        events.join()
        return _account(pushed, kept, callers, events, max(left_over, still_blocked))


def _push(
    place: Place,
    jobs: int,
    chance: random.Random,
    callers: list[Caller],
    at_work: list[Caller],
    say: Callable[[str], object],
) -> dict[str, str]:
    """Push to callers that began recently, whatever their state. Kill a process now and then."""
    pushed: dict[str, str] = {}
    next_kill = time.monotonic() + 1
    limit = time.monotonic() + 60 + jobs * 0.2
    while len(pushed) < jobs and time.monotonic() < limit:
        lists = [
            line[1]
            for caller in callers[-2 * _PLACES :]
            for line in caller.lines()[-16:]
            if line[0] == "begin"
        ]
        if not lists:
            time.sleep(0.1)
            continue
        job = f"job-{len(pushed)}"
        pushed[job] = name = chance.choice(lists)
        place.server.admin.rpush(name, job)
        if len(pushed) % 200 == 0:
            say(f"  {len(pushed)} jobs pushed, {len(callers)} processes so far")
        if time.monotonic() > next_kill:
            index = chance.randrange(len(at_work))
            at_work[index].kill()
            at_work[index] = Caller(place, len(callers))
            callers.append(at_work[index])
            next_kill = time.monotonic() + chance.uniform(0.2, 0.8)
        time.sleep(chance.uniform(0, 2 * _PAUSE_S))
    return pushed


def _waiting(at_work: list[Caller]) -> int:
    """Return the number of callers that wait now: each process has several."""
    waiting = 0
    for caller in at_work:
        lines = caller.lines()
        ended = {line[1] for line in lines if line[0] == "end"}
        waiting += sum(line[0] == "begin" and line[1] not in ended for line in lines)
    return waiting


def _account(
    pushed: dict[str, str], kept: set[str], callers: list[Caller], events: Events, blocked: int
) -> list[Measure]:
    """Return the fate of each job."""
    got: set[str] = set()
    ended: dict[str, tuple[float, str]] = {}
    for caller in callers:
        for kind, name, value, *words in caller.lines():
            if kind == "got":
                got.add(value)
            elif kind == "end":
                ended[name] = (float(value), words[0])
            elif kind == "begin" and caller.killed_at:
                ended.setdefault(name, (caller.killed_at, "killed"))
    missing = set(pushed) - kept - got
    kinds: Counter[str] = Counter()
    lost: list[str] = []
    for job in sorted(missing):
        name = pushed[job]
        moment, how = ended.get(name, (float("inf"), "still waiting"))
        popped = max(events.popped.get(name, [0.0]))
        if popped <= moment + _TRANSIT_S:
            kinds[f"handed over before the caller was {how}"] += 1
        elif popped <= moment + _HEARD_S:
            kinds[f"popped within {_HEARD_S:g} s after the caller was {how}"] += 1
        else:
            lost.append(f"{job} of {name}: popped {popped - moment:.2f} s after the caller was {how}")
    within = sum(count for kind, count in kinds.items() if kind.startswith("popped"))
    ways = Counter(how for _, how in ended.values())
    return [
        at_most(f"jobs lost of {len(pushed):,}, to callers that had ended", len(lost) + within, "", 0, lost),
        plain("... of them within a second after the end", within, ""),
        plain("... already handed over by the server (not counted)", kinds.total() - within, "",
              [f"{count} {name}" for name, count in sorted(kinds.items())]),
        plain("... received by their callers", len(got & set(pushed)), ""),
        plain("... still in their lists", len(kept & set(pushed)), ""),
        plain("... callers that ended", sum(ways.values()), "", [f"{n} {how}" for how, n in sorted(ways.items())]),
        at_most("... waiters at the server when all callers were gone", blocked, "", 0),
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    environment = child_environment()
    environment["PYTHONPATH"] += f":{Path(__file__).resolve().parents[1]}"
    return environment
