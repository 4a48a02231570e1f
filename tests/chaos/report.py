"""What a run has found, for people and for programs."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from chaos.tally import Count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chaos.faults import Fault
    from chaos.stage import Stage

_SHOWN = 20


@dataclass(slots=True, kw_only=True)
class Report:
    """The figures of one run. It is `fine` when nothing at all was wrong."""

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    reattach_seconds: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    take_overs: dict[str, int] = field(default_factory=dict)
    workers: int = 0
    longest_call_seconds: float = 0.0
    stalest_read_seconds: float = 0.0
    wrong_values: list[str] = field(default_factory=list)
    wrong_writes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.wrong_values or self.wrong_writes or self.hangs or self.refusals or self.failures)

    def struck(self, faults: Sequence[Fault], reattach_seconds: list[float]) -> None:
        """A round has passed. Only a daemon that was away by itself tells how soon its workers come back."""
        self.rounds += 1
        for fault in faults:
            self.faults[fault.name] = self.faults.get(fault.name, 0) + 1
        if [fault.subject for fault in faults] == ["daemon"]:
            self.reattach_seconds += reattach_seconds

    def close(self, stage: Stage) -> None:
        """Take what the stage has seen, when its workers have ended."""
        team = stage.team
        self.workers = len(list(team))
        self.calls = {
            "reads": team.total(Count.READS),
            "writes": team.total(Count.WRITES),
            "forgets": team.total(Count.FORGETS),
        }
        self.errors = {
            "TimeoutError": team.total(Count.TIMEOUTS),
            "ConnectionError": team.total(Count.CONNECTIONS),
            "DaemonUnavailableError": team.total(Count.UNAVAILABLE),
            "RequestError": team.total(Count.REFUSED),
        }
        self.pools = dict(stage.reads_of_pools)
        self.take_overs = dict(zip(("warm", "fresh"), stage.take_overs(), strict=True))
        self.longest_call_seconds = max(stage.longest_call_ns(worker) for worker in team) / 1e9
        self.stalest_read_seconds = (
            max(row[Count.STALEST_NS] for worker in team for row in worker.tally.lanes) / 1e9
        )
        self.wrong_values = stage.lies()
        self.hangs += stage.hangs()
        self.refusals = stage.refusals()

    def audit(self, stage: Stage) -> None:
        """Compare all writes with what the server has; it must be there, and the workers ended."""
        account, self.wrong_writes = stage.audit()
        self.writes = asdict(account)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"fine": self.fine, **asdict(self)}, indent=2) + "\n")

    def text(self) -> str:
        """As lines."""
        lines = [
            f"seed            {self.seed}",
            f"rounds          {self.rounds} in {self.seconds:.0f} s; {_pairs(self.faults)}",
            f"workers         {self.workers}, one after the other in 8 places",
            f"calls           {_pairs(self.calls)}",
            f"pools           {_pairs(self.pools)}",
            f"errors          {_pairs(self.errors)}",
            f"writes          {_pairs(self.writes)}",
            f"re-attached     {_spread(self.reattach_seconds)}",
            f"take-overs      {_pairs(self.take_overs)}",
            f"longest call    {self.longest_call_seconds:.2f} s",
            f"stalest read    {self.stalest_read_seconds:.2f} s after its replacement",
        ]
        for name, found in (
            ("wrong values", self.wrong_values),
            ("wrong writes", self.wrong_writes),
            ("hangs", self.hangs),
            ("refusals", self.refusals),
            ("failures", self.failures),
        ):
            lines.append(f"{name:<15} {len(found)}")
            lines += [f"    {each}" for each in found[:_SHOWN]]
        return "\n".join(lines)


def _pairs(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(numbers.items()))


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "never"
    return (
        f"{len(seconds)} times, min {min(seconds):.3f} s, median {statistics.median(seconds):.3f} s, "
        f"max {max(seconds):.3f} s"
    )
