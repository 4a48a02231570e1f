"""What processes and directories cost over time, and whether it grows."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from chaos.stage import Stage

ALLOWED = {"USS": 2.0 * 1024 * 1024, "descriptors": 4.0, "threads": 1.0, "files": 0.0}
"""How much the median may grow from the second quarter of a run to the last, for each thing that is watched.

Over a run of half an hour that is four times as much an hour: 8 MB, 16 descriptors.
"""

_FEWEST_SAMPLES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One line of the report: what `name` was at first and at last, as medians of quarters, and its slope."""

    name: str
    what: str
    early: float
    late: float
    per_hour: float

    @property
    def is_leak(self) -> bool:
        return self.late - self.early > ALLOWED[self.what]

    def text(self) -> str:
        unit, scale = (" MB", 1024 * 1024) if self.what == "USS" else ("", 1)
        figures = [f"{number / scale:.2f}{unit}" for number in (self.early, self.late, self.per_hour)]
        leak = "  LEAK" if self.is_leak else ""
        return f"{self.name + ' ' + self.what:<40} {figures[0]} -> {figures[1]} ({figures[2]} per hour){leak}"


class Watch:
    """Samples of the stage's daemon, of the workers that stay, and of the pools' directory."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._daemon = psutil.Process(stage.daemon.pid)
        staying = stage.team.at_work[: stage.setting.workers // 2]
        self._workers = {worker.name: psutil.Process(worker.pid) for worker in staying}
        self._samples: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def look(self) -> None:
        """Take one sample of everything."""
        now = time.monotonic()
        processes = {"daemon": self._daemon, **self._workers}
        for name, process in processes.items():
            with process.oneshot():
                self._add(now, name, "USS", process.memory_full_info().uss)
                self._add(now, name, "descriptors", process.num_fds())
                self._add(now, name, "threads", process.num_threads())
        self._add(now, "pools", "files", len(self._stage.daemon.pool_files()))

    def text(self) -> str:
        """The daemon's last sample."""
        last = {what: samples[-1][1] for (name, what), samples in self._samples.items() if name == "daemon"}
        if not last:
            return ""
        return f"daemon {last['USS'] / 1024 / 1024:.1f} MB, {last['descriptors']:.0f} descriptors"

    def growths(self) -> list[Growth]:
        """Everything that was watched, as it has grown. Of a run that was too short to tell, nothing."""
        found = []
        for (name, what), samples in self._samples.items():
            if len(samples) < _FEWEST_SAMPLES:
                continue
            quarter = len(samples) // 4
            early, late = samples[quarter : 2 * quarter], samples[-quarter:]
            hours = (late[0][0] - early[0][0]) / 3600
            medians = [statistics.median(value for _, value in part) for part in (early, late)]
            found.append(
                Growth(
                    name=name,
                    what=what,
                    early=medians[0],
                    late=medians[1],
                    per_hour=(medians[1] - medians[0]) / hours,
                )
            )
        return found

    def _add(self, now: float, name: str, what: str, value: float) -> None:
        self._samples.setdefault((name, what), []).append((now, value))
