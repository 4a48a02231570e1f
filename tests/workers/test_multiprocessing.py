"""`multiprocessing` and `ProcessPoolExecutor`, with each way to start a child; the cache object is unnamed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.process import child_environment
from workers.crew import CHILDREN, READS

if TYPE_CHECKING:
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

REQUESTS_OF_A_CLIENT = 2
"""HELLO and ATTACH."""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_c19_children_share_an_unnamed_cache_inherited_or_sent(
    daemon: Daemon, valkey: ValkeyServer, method: str
) -> None:
    valkey.admin.set("k", "v")
    before = daemon.stats()["daemon"]["accepted_requests"]
    ended = subprocess.run(
        [sys.executable, "-m", "workers.crew", method],
        env=child_environment(GLIDECACHED_RUNTIME_DIR=str(daemon.runtime_dir), PYTHONWARNINGS="default"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    found = json.loads(ended.stdout)
    children = found["pool"] + found["executor"]
    assert [child["values"] for child in children] == [["b'v'"]] * 2 * CHILDREN
    assert not any(child["grown"] for child in children), "a hit opens nothing and starts no thread"
    assert {child["threads"] for child in found["pool"]} == {1}
    assert found["lookups"] == 1 + 2 * CHILDREN * READS
    assert valkey.calls("get") == 1
    clients = 1 if method == "fork" else 1 + 2 * CHILDREN
    requests = daemon.stats()["daemon"]["accepted_requests"] - before
    # The parent's miss, and what the test has asked: a STATS, then a HELLO for this one and itself.
    assert requests == clients * REQUESTS_OF_A_CLIENT + 1 + 2
