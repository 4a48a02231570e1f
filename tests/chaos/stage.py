"""The stage of a run: a daemon, a real Valkey, workers that call all the time, and what may be demanded of them."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from chaos.hostile import REFUSED, Jobs, Member
from chaos.journal import Account, audit_counter, audit_list, outcomes_of
from chaos.server import DurableServer, Writer
from chaos.tally import Count
from chaos.team import Team, Worker, make_caches
from chaos.values import make_keys
from chaos.versions import Versions
from chaos.worker import Orders
from glidecache import EvictionPolicy
from support.daemon import SHARED_MEMORY, Daemon
from support.raw_peer import RawPeer
from support.waiting import wait_until
from support.wire import WireClient, answers

if TYPE_CHECKING:
    from collections.abc import Callable

CALL_ALLOWANCE_S = 10.0
"""What a loaded machine may add to a call's time-outs before the call counts as hanging; the report has the longest."""
AGE_ALLOWANCE_S = 5.0
"""What it may add to the age of a value: from the server's answer to the daemon, and from the lookup to the check."""
HEALED_S = 10.0
"""The daemon may take so long to replace what has vanished: the rule says two seconds, a loaded machine more."""
RECOVERY_S = 60.0
"""How long a worker may take to come back before the run is given up; how long it took is for the report to tell."""

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The sizes of a run."""

    workers: int = 8
    lanes: int = 2
    keys: int = 300
    ttl_ms: int = 1_000
    max_cache_kb: int = 128
    grace_ms: int = 1_000
    request_timeout_ms: int = 400
    writes_per_second: float = 150
    forget_share: float = 0.25
    """The share of a lane's turns, each of some reads and two writes, that forget a key."""
    pause_s: float = 0.004
    """What each lane rests after some reads and two writes."""


class HangingError(AssertionError):
    """A call has been going on beyond its limit."""


class Pauses:
    """When the daemon was stopped: what lay in its socket then is as old as it was, and it cannot know."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._began_ns = 0

    def begin(self) -> None:
        self._began_ns = time.monotonic_ns()

    def end(self) -> None:
        self._spans.append((self._began_ns, time.monotonic_ns()))

    def within_ns(self, since_ns: int, until_ns: int) -> int:
        """How much of this time the daemon was stopped."""
        return sum(
            max(0, min(end_ns, until_ns) - max(began_ns, since_ns)) for began_ns, end_ns in self._spans
        )


class Stage:
    """A context manager; everything that it starts ends with it.

    Its files are in memory: who waits for a disk that others keep busy looks just like who hangs.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.pauses = Pauses()
        self.daemons_started = 1
        self.reads_of_pools: Counter[str] = Counter()
        self._seen_of_pools: dict[str, dict[str, int]] = {}
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ends:
            directory = tempfile.TemporaryDirectory(prefix="glidecached-chaos-", dir=SHARED_MEMORY)
            self._directory = Path(ends.enter_context(directory))
            self._set_up(ends)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _set_up(self, ends: contextlib.ExitStack) -> None:
        setting = self.setting
        self.server = DurableServer(self._directory / "valkey")
        ends.callback(self.server.stop)
        self.server.start()
        versions = Versions(self._directory / "versions", setting.keys)
        self.writer = Writer(
            self.server.port, make_keys(setting.keys), versions, setting.writes_per_second or 1
        )
        ends.callback(self.writer.stop)
        self.writer.write_all()
        tables = {"daemon": {"grace_ms": setting.grace_ms, "log_level": "info"}}
        self.daemon = Daemon(self._directory / "daemon", tables)
        ends.callback(self.daemon.discard)
        self.daemon.start()
        caches = make_caches("chaos", setting.max_cache_kb, setting.ttl_ms)
        self.team = Team(self._directory, setting.workers, self._orders, caches)
        ends.callback(self.team.discard)
        self.jobs = Jobs(self.daemon.runtime_dir, self.server.port)
        ends.callback(self.jobs.die)
        self.afterwards: list[Callable[[], object]] = []
        """Checks that faults leave for the time when server and daemon are both back."""
        self._hostile: list[Member] = []
        ends.callback(self.turn_hostile_out)
        if setting.writes_per_second:
            self.writer.start()
        self.wait_until_back(0)

    def _orders(self, **own: Any) -> Orders:
        setting = self.setting
        named = "unnamed" if own["cache"].name is None else "named"
        return Orders(
            **own,
            ttl_ms=setting.ttl_ms,
            port=self.server.port,
            runtime_dir=self.daemon.runtime_dir,
            request_timeout_ms=setting.request_timeout_ms,
            keys=setting.keys,
            versions=self._directory / "versions",
            floors=self._directory / f"floors-{named}",
            forget_share=setting.forget_share,
            lanes=setting.lanes,
            pause_s=setting.pause_s,
        )

    def let_pass(self, seconds: float) -> None:
        """Go on for so long, looking for calls that hang."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.watch_calls()
            time.sleep(min(left, 0.05))

    def watch_calls(self) -> None:
        """Raise `HangingError` when a call has been going on beyond its limit."""
        for worker in self.team.at_work:
            in_call_ns = worker.in_call_ns() if worker.running else 0
            if in_call_ns > self.call_limit_ns(worker):
                message = f"a call of {worker.name} has been going on for {in_call_ns / _NS:.1f} s"
                raise HangingError(message)

    def call_limit_ns(self, worker: Worker) -> int:
        """How long a call may take: its time-out, the direct request's where there is one, and the allowance."""
        requests = 2 if worker.orders.fallback == "direct" else 1
        return requests * self.setting.request_timeout_ms * 1_000_000 + int(CALL_ALLOWANCE_S * _NS)

    def wait_until_back(self, since_ns: int) -> list[float]:
        """Wait until the daemon has acknowledged a write of every lane that ended after `since_ns`.

        How long each worker took from then to its first one, in seconds.
        """
        wait_until(lambda: answers(self.daemon.runtime_dir), "the daemon answers", HEALED_S)
        with WireClient(self.daemon.runtime_dir) as wire:
            instance = wire.hello()["instance_id"]
        first_ns: dict[tuple[str, int], int] = {}

        def back(worker: Worker) -> bool:
            for lane, row in enumerate(worker.tally.lanes):
                acknowledged_ns = row[Count.ACKNOWLEDGED_NS]
                if acknowledged_ns > since_ns and row[Count.INSTANCE] == instance:
                    first_ns.setdefault((worker.name, lane), acknowledged_ns)
            return sum(name == worker.name for name, _ in first_ns) == len(worker.tally.lanes)

        def all_back() -> bool:
            self.watch_calls()
            states = [back(worker) for worker in self.team.at_work]  # each is looked at, each time
            return all(states)

        try:
            wait_until(all_back, "all lanes write through the daemon again", RECOVERY_S)
        except HangingError:
            raise
        except AssertionError:
            away = [worker for worker in self.team.at_work if not back(worker)]
            report = "\n".join(f"{worker.name}:\n{worker.log_text()[-2_000:]}" for worker in away)
            message = f"not back within {RECOVERY_S:g} s: {report}"
            raise AssertionError(message) from None
        while self.afterwards:
            self.afterwards.pop()()
        return [
            (min(ns for (name, _), ns in first_ns.items() if name == worker.name) - since_ns) / _NS
            for worker in self.team.at_work
        ]

    def let_hostile_in(self) -> None:
        """Start two hostile members of the group."""
        for seed in range(2):
            member = Member(self.daemon.runtime_dir, self.server.port, seed)
            self._hostile.append(member)
            member.start()

    def turn_hostile_out(self) -> None:
        """End the hostile members, and their connections."""
        for member in self._hostile:
            member.stop()
        self._hostile.clear()

    def wait_until_attachable(self) -> None:
        """Wait until new workers can attach to both caches."""
        cache, *_ = self.team.caches

        def attachable() -> bool:
            settings = {
                "max_cache_kb": self.setting.max_cache_kb,
                "entry_ttl_ms": self.setting.ttl_ms,
                "eviction_policy": (cache.eviction_policy or EvictionPolicy.LRU).value,
                "enable_metrics": True,
            }
            try:
                with RawPeer(self.daemon.runtime_dir) as peer:
                    peer.attach(
                        self.server.port, cache={"id": "probe", "name": "chaos", "settings": settings}
                    )
                    pool = peer.pool
            except REFUSED:
                return False
            return all(Path(pool[name]).exists() for name in ("pool_path", "board_path", "lease_path"))

        wait_until(attachable, "a new worker attaches after files have vanished", HEALED_S)

    def look_at_pools(self) -> None:
        """Take the pools' counters into account: a fresh generation's begin at 0."""
        for cache in self.daemon.stats()["caches"]:
            name = str(cache["name"] or cache["id"])
            before = self._seen_of_pools.get(name, {})
            now = {count: int(cache["metrics"][count]) for count in ("hits", "misses")}
            fresh = any(now[count] < before.get(count, 0) for count in now)
            for count, value in now.items():
                self.reads_of_pools[count] += value - (0 if fresh else before.get(count, 0))
            self._seen_of_pools[name] = now

    def finish(self) -> None:
        """Let the workers and the daemon end in order: afterwards nothing changes any more."""
        self.look_at_pools()
        self.writer.stop()
        self.team.finish()
        self.daemon.stop()

    def lies(self) -> list[str]:
        """Values and answers that were wrong, those that were too old included."""
        found = []
        for worker in self.team:
            for complaint in worker.complaints():
                wrong = self._too_old(complaint) if "stale" in complaint else str(complaint.get("lie", ""))
                if wrong:
                    found.append(f"{complaint['worker']}: {wrong}")
        return found

    def refusals(self) -> list[str]:
        """Calls that failed by other errors than those of servers that are not there."""
        return [
            f"{complaint['worker']}: {complaint['refused']}"
            for worker in self.team
            for complaint in worker.complaints()
            if "refused" in complaint
        ]

    def hangs(self) -> list[str]:
        """Calls that took longer than they may."""
        return [
            f"{worker.name}: a call took {longest_ns / _NS:.2f} s"
            for worker in self.team
            if (longest_ns := self.longest_call_ns(worker)) > self.call_limit_ns(worker)
        ]

    def longest_call_ns(self, worker: Worker) -> int:
        """The longest call that a worker has made."""
        return max(row[Count.LONGEST_NS] for row in worker.tally.lanes)

    def audit(self) -> tuple[Account, list[str]]:
        """The sum of all writes, and what is wrong with them. For when the workers have ended."""
        account, wrong = Account(), []
        for worker in self.team:
            orders = worker.orders
            for lane in range(orders.lanes):
                counted, listed = (outcomes_of(orders.journal(lane, name)) for name in ("incr", "rpush"))
                account.add(counted)
                account.add(listed)
                counter, log = (orders.target(lane, name) for name in ("incr", "rpush"))
                wrong += audit_counter(counter, counted, int(self.server.admin.get(counter) or 0))
                wrong += audit_list(log, listed, [int(each) for each in self.server.admin.lrange(log, 0, -1)])
        return account, wrong + self.jobs.wrong()

    def take_overs(self) -> tuple[int, int]:
        """Pools that a new daemon went on with, and those that it began anew."""
        log = self.daemon.log_text()
        return log.count("pool restored"), log.count("previous pool not restored")

    def _too_old(self, complaint: dict[str, Any]) -> str:
        replaced_ns, read_ns = complaint["replaced_ns"], complaint["read_ns"]
        allowed_ns = (
            self.setting.ttl_ms * 1_000_000
            + self.pauses.within_ns(replaced_ns, read_ns)
            + int(AGE_ALLOWANCE_S * _NS)
        )
        excess_ns = read_ns - replaced_ns - allowed_ns
        if excess_ns <= 0:
            return ""
        return (
            f"{complaint['stale']} was read {(read_ns - replaced_ns) / _NS:.2f} s after it had been replaced"
        )
