"""A crash leaves no image of the daemon's memory behind."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.process import child_environment

if TYPE_CHECKING:
    from pathlib import Path

CRASH = """
import os, resource
from glidecached.process.limits import prevent_core_dumps
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
prevent_core_dumps()
os.abort()
"""


def test_a_crash_dumps_no_core(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH],
        env=child_environment(),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status  # it has been waited for
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("hard", "soft"), [(0, 0), (1, 1), (4096, 1), (-1, 1)])
def test_the_hard_limit_stays(monkeypatch: pytest.MonkeyPatch, hard: int, soft: int) -> None:
    import resource

    from glidecached.process.limits import prevent_core_dumps

    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (0, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, pair: limits.append(pair))
    prevent_core_dumps()
    assert limits == [(soft, hard)]
