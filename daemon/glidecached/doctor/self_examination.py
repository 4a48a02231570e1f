"""The part of the checks that the running daemon makes on itself, for its status page.

It is what its own figures and a few cheap looks at the kernel's show: nothing here connects, asks systemd, reads
entries, or walks the pool directory. `glidecache doctor` checks the rest, from outside.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glidecached.doctor.check_advice import PRESSING, check_advice
from glidecached.doctor.check_endpoint import check_runtime_dir
from glidecached.doctor.check_process import check_limits, check_memory
from glidecached.doctor.check_storage import check_file_system, check_pool_dir, check_room
from glidecached.doctor.check_upstreams import judge_upstream
from glidecached.doctor.context import Configuration, Contact, DoctorContext, Process
from glidecached.doctor.result import Status
from glidecached.doctor.turns import judge_turns, turns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from glidecached.config.model import Config
    from glidecached.doctor.result import Finding
    from glidecached.doctor.turns import Turns

OWN_CHECKS = (
    check_runtime_dir,
    check_pool_dir,
    check_file_system,
    check_room,
    check_limits,
    check_memory,
)
_SEVERITY = (Status.FAIL, Status.WARN)
_FRESH_SECONDS = 5.0
_RECENT_SECONDS = 60.0
"""The longest time over which turns on the processors say something about the host now."""


class Diagnosis(NamedTuple):
    """The worst finding, None where nothing is wrong, and how many others are wrong."""

    worst: Finding | None
    others: int


class SelfExamination:
    """The daemon's findings about itself, made at most once in five seconds for any number of callers and threads.

    `config`: the present configuration.
    """

    def __init__(self, config: Callable[[], Config], runtime_dir: str) -> None:
        self._config = config
        self._runtime_dir = runtime_dir
        self._examining = threading.Lock()
        self._made_at = 0.0
        self._diagnosis: Diagnosis | None = None
        self._turns: Turns | None = None
        self._turns_at = 0.0

    def diagnose(self, numbers: Mapping[str, Any]) -> Diagnosis:
        """Return what is wrong by STATS' map `numbers` and by what the daemon sees of its host."""
        with self._examining:
            now = time.monotonic()
            if self._diagnosis is None or now - self._made_at >= _FRESH_SECONDS:
                self._diagnosis = diagnosis_of(self._examine(numbers, now))
                self._made_at = now
            return self._diagnosis

    def _examine(self, numbers: Mapping[str, Any], now: float) -> Iterator[Finding]:
        context = DoctorContext(
            configuration=Configuration(path=None, config=self._config()),
            runtime_dir=self._runtime_dir,
            pool_dir=Path(numbers["daemon"]["pool_dir"]),
            contact=Contact(process=Process(pid=os.getpid(), uid=os.geteuid()), stats=dict(numbers)),
        )
        for check in OWN_CHECKS:
            try:
                yield from check(context)
            except OSError:
                continue  # `glidecache doctor` says why it cannot be checked
        for upstream in numbers["upstreams"]:
            finding = judge_upstream(upstream, numbers)
            if finding is not None:
                yield finding
        yield from self._judge_turns(now)
        # Last: of findings that warn, the first is shown, and this one is about costs alone.
        yield from check_advice(context, PRESSING)

    def _judge_turns(self, now: float) -> Iterator[Finding]:
        """Judge the turns on the processors since the last time, if that is recent."""
        pid = os.getpid()
        before, before_at = self._turns, self._turns_at
        try:
            self._turns, self._turns_at = turns_of(pid), now
        except OSError:  # this kernel does not count them
            return
        if before is not None and now - before_at <= _RECENT_SECONDS:
            yield judge_turns(self._turns.since(before), pid, os.getpriority(os.PRIO_PROCESS, pid))


def diagnosis_of(findings: Iterator[Finding]) -> Diagnosis:
    """Return the worst of the findings: one that fails before one that warns, of equals the first."""
    wrong = sorted(
        (finding for finding in findings if finding.status in _SEVERITY),
        key=lambda finding: _SEVERITY.index(finding.status),
    )
    return Diagnosis(wrong[0], len(wrong) - 1) if wrong else Diagnosis(None, 0)
