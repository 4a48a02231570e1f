"""Whose memory a pool is: what docs/containers.md says about limits."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from containers.conftest import make_daemon, worker_box
from glidecache import ClientSideCache
from support.contained_daemon import ContainedDaemon, Volumes
from support.container import Box
from support.memory_group import MemoryGroup
from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from support.valkey_server import ValkeyServer

VALUE_BYTES = 100_000
KEYS = [f"k{number}" for number in range(80)]
PAYLOAD_BYTES = VALUE_BYTES * len(KEYS)
CACHE_KB = 16_384


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupedBox(Box):
    """A container in a control group."""

    group: Any = None

    def command(self, command: Sequence[str | Path]) -> list[str]:
        box = Box(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Box)})
        words: list[str] = self.group.command(box.command(command))
        return words


def grouped(box: Box, group: MemoryGroup) -> GroupedBox:
    return GroupedBox(
        group=group, **{field.name: getattr(box, field.name) for field in dataclasses.fields(Box)}
    )


@pytest.fixture
def make_group() -> Iterator[Callable[[str], MemoryGroup]]:
    made: list[MemoryGroup] = []

    def make(name: str) -> MemoryGroup:
        try:
            made.append(MemoryGroup(name))
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
        return made[-1]

    yield make
    for group in made:
        group.discard()


def test_a_pools_pages_are_the_daemons_and_stay_with_the_group_that_wrote_them(
    server: ValkeyServer, make_group: Callable[[str], MemoryGroup], tmp_path: Path
) -> None:
    """Workers that read them are charged nothing; a successor in another group takes over none of the charge."""
    server.reset()
    server.admin.mset(dict.fromkeys(KEYS, "v" * VALUE_BYTES))
    first, second, workers = map(make_group, ("first", "second", "workers"))
    volumes = Volumes(46_379, 46_379)
    cache = ClientSideCache.create(CACHE_KB, 0, enable_metrics=True, name="large")
    daemons: list[ContainedDaemon] = []
    worker = None
    try:
        for group in (first, second):
            (tmp_path / str(len(daemons))).mkdir()
            daemon = make_daemon(server, volumes, tmp_path / str(len(daemons)))
            daemon.box = grouped(daemon.box, group)
            daemons.append(daemon)
        daemons[0].start()
        worker = Worker(tmp_path / "worker.log", box=grouped(worker_box(volumes), workers))
        worker.connect("blocking", client_side_cache=cache, fallback="error", request_timeout=5_000)
        for _ in range(2):
            assert all(len(worker.call("get", key)) == VALUE_BYTES for key in KEYS)
        assert first.shared_bytes() >= PAYLOAD_BYTES
        assert workers.shared_bytes() < PAYLOAD_BYTES / 10
        assert daemons[0].terminate() == 0
        daemons[1].start()
        worker.call("ping")
        reads = server.calls("get")
        assert all(len(worker.call("get", key)) == VALUE_BYTES for key in KEYS)
        assert server.calls("get") == reads, "warm"
        assert first.shared_bytes() >= PAYLOAD_BYTES, "they stay where they were charged"
        assert second.shared_bytes() < PAYLOAD_BYTES / 10
    finally:
        for each in (*daemons, *filter(None, [worker])):
            each.kill()
        if worker is not None:
            worker.discard()
        volumes.discard()
