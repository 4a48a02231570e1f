"""The daemon's turns on the processor: short by its own wish, and early by its unit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys

import pytest

from support.process import ROOT, child_environment

SHORTEN = """
import ctypes, os
from glidecached.process.limits import _SCHED_ATTR, _SET_AND_GET_ATTR, take_short_turns
os.nice(3)
if {policy} != os.SCHED_OTHER:
    os.sched_setscheduler(0, {policy}, os.sched_param(0))
def read():
    attributes = ctypes.create_string_buffer(_SCHED_ATTR.size)
    number = _SET_AND_GET_ATTR[os.uname().machine][1]
    assert ctypes.CDLL(None).syscall(number, 0, attributes, _SCHED_ATTR.size, 0) == 0
    return _SCHED_ATTR.unpack(attributes.raw)
before = read()
take_short_turns()
after = read()
assert before[:5] == after[:5] and before[3] == 3, (before, after)
print(after[5], after[5] == before[5])
"""
NOT_HERE = platform.machine() not in ("x86_64", "aarch64") or tuple(
    int(number) for number in re.findall(r"\d+", platform.release())[:2]
) < (6, 12)


def shorten(policy: int) -> str:
    return subprocess.run(
        [sys.executable, "-c", SHORTEN.format(policy=policy)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.skipif(NOT_HERE, reason="kernels before Linux 6.12 know no turns of a process's own length")
def test_turns_are_a_tenth_of_a_millisecond_and_the_priority_stays() -> None:
    assert shorten(os.SCHED_OTHER).startswith("100000 ")


@pytest.mark.skipif(NOT_HERE, reason="kernels before Linux 6.12 know no turns of a process's own length")
def test_a_policy_that_the_operator_chose_stays() -> None:
    assert shorten(os.SCHED_BATCH).endswith(" True\n")


@pytest.mark.parametrize("unit", ["glidecached.service", "glidecached@.service"])
def test_the_unit_lets_the_daemon_run_before_busy_workers(unit: str) -> None:
    text = (ROOT / "systemd" / unit).read_text()
    settings = dict(re.findall(r"^(Nice|CPUWeight)=(-?\d+)$", text, re.MULTILINE))
    assert settings == {"Nice": "-10", "CPUWeight": "1000"}
    filters = re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE)
    assert "@resources" in filters[1], "it is forbidden first"
    assert "sched_setattr" in filters[2].split(), "and then allowed"
