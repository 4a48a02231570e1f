"""uWSGI, which is built from its source: only when a test needs it, once, by `make uwsgi`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

from support.process import ROOT

BUILD_TIMEOUT_S = 300


def uwsgi_path() -> str:
    """Return uWSGI's path. Where it cannot be built, skip the test on a developer's machine, and fail it in CI."""
    path = _found()
    if path is None and sys.prefix == str(ROOT / ".venv"):
        built = subprocess.run(
            ["make", "--silent", "uwsgi"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_TIMEOUT_S,
        )
        path = _found()
        reason = built.stdout + built.stderr
    else:
        reason = "pip install uwsgi"
    if path is None:
        message = f"uWSGI is not installed: {reason}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def _found() -> str | None:
    return shutil.which("uwsgi", path=sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", ""))
