"""Clients that are killed in the middle of their calls: `python -m stress.mortal_clients TASK JSON-ARGUMENTS`.

The process has no client while it forks and kills; each child makes a client of its own, as a worker of a
pre-forking server would.
"""

from __future__ import annotations

import base64
import ctypes
import json
import mmap
import os
import pickle
import random
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from glidecache import GlideClientConfiguration, NodeAddress
from glidecache.sync import GlideClient
from support.worker_tasks import is_genuine

if TYPE_CHECKING:
    from glidecache import ClientSideCache

CHILDREN = 3
LONGEST_LIFE_S = 0.06
CHILD_STARTS_WITHIN_S = 10
LIED, FAILED = 3, 4
"""What a child's exit status says when it ends before it is killed."""


class Ledger:
    """Numbers that children leave behind: calls that came back, and of these how many were given a value.

    Each is stored by one instruction, so that a kill finds it before or after a call, never in the middle.
    """

    def __init__(self) -> None:
        memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.returned = (ctypes.c_uint64 * CHILDREN).from_buffer(memory)
        self.wrote = (ctypes.c_uint64 * CHILDREN).from_buffer(memory, mmap.PAGESIZE // 2)


def read_and_die(
    *, runtime_dir: str, host: str, port: int, cache: str, keys: list[str], trials: int, seed: int
) -> dict[str, Any]:
    """Keep three clients reading until `trials` of them were killed; returns what they did, and what was strange."""
    shared_cache: ClientSideCache = pickle.loads(base64.b64decode(cache))  # noqa: S301  # made by the test
    configuration = GlideClientConfiguration(
        addresses=[NodeAddress(host, port)],
        runtime_dir=runtime_dir,
        client_side_cache=shared_cache,
        request_timeout=10_000,
    )
    # What the library imports when first needed is imported once, and not by each child for itself.
    GlideClient.create(configuration).close()
    chance = random.Random(seed)
    ledger = Ledger()
    pids: dict[int, int] = {}
    strange: list[str] = []
    done = quick = 0
    try:
        while done < trials and not strange:
            for slot in sorted(set(range(CHILDREN)) - set(pids.values())):
                child_seed = chance.getrandbits(32)
                pid = os.fork()
                if pid == 0:
                    _live(configuration, ledger, slot, keys, child_seed)
                pids[pid] = slot
            victim, slot = chance.choice(list(pids.items()))
            if chance.random() < 0.1:
                quick += 1  # some die while they connect
            else:
                strange += _wait_for_a_call(ledger, slot, victim)
            time.sleep(LONGEST_LIFE_S * chance.random() ** 2)
            del pids[victim]
            strange += _kill(victim)
            done += 1
    finally:
        for pid in pids:
            strange += _kill(pid)
            done += 1
    return {
        "kills": done,
        "quick": quick,
        "returned": sum(ledger.returned),
        "wrote": sum(ledger.wrote),
        "strange": strange,
    }


def _wait_for_a_call(ledger: Ledger, slot: int, pid: int) -> list[str]:
    """Return when the child has done something since now."""
    before = ledger.returned[slot]
    deadline = time.monotonic() + CHILD_STARTS_WITHIN_S
    while ledger.returned[slot] == before:
        if time.monotonic() > deadline:
            return [f"child {pid} did not come through with a call within {CHILD_STARTS_WITHIN_S} s"]
        time.sleep(0.001)
    return []


def _live(
    configuration: GlideClientConfiguration, ledger: Ledger, slot: int, keys: list[str], seed: int
) -> None:
    """Read, and now and then write, until killed; a child's whole life."""
    status = FAILED
    try:
        chance = random.Random(seed)
        client = GlideClient.create(configuration)
        while True:
            key = chance.choice(keys)
            value = client.get(key)
            ledger.returned[slot] += 1
            if not isinstance(value, bytes) or not is_genuine(key, value):
                status = LIED
                break
            if chance.random() < 0.01:
                client.set(key, value)
                ledger.wrote[slot] += 1
    finally:
        os._exit(status)


def _kill(pid: int) -> list[str]:
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return [] if status == -signal.SIGKILL else [f"child {pid} ended with {status} before it was killed"]


if __name__ == "__main__":
    print(json.dumps({"read_and_die": read_and_die}[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201
