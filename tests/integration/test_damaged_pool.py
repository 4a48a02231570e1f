"""A served pool whose file is damaged: the daemon goes on with a fresh generation, clients only see misses."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from glidecached.cli.operator import main
from support.caches import new_cache
from support.clients import at
from support.pool_file import (
    ARENA_OFFSET_AT,
    BUCKET_BYTES,
    BUCKET_LINK_AT,
    BUCKETS_AT,
    GRANULE_BYTES,
    HEADER_BYTES,
)
from support.waiting import wait_until
from support.worker_tasks import stamped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

KEYS = [f"key-{number}" for number in range(400)]
VALUES = [stamped(key, number).encode() for number, key in enumerate(KEYS)]


def spoil_chains(pool: Path) -> None:
    """Every chain of buckets leads nowhere."""
    head = pool.read_bytes()[:HEADER_BYTES]
    (buckets,) = struct.unpack_from("<I", head, BUCKETS_AT)
    with pool.open("r+b") as file:
        for number in range(buckets):
            file.seek(HEADER_BYTES + number * BUCKET_BYTES + BUCKET_LINK_AT)
            file.write(b"\x7f" * 4)


def spoil_arena(pool: Path) -> None:
    """Neither entries nor what is free between them can be recognised."""
    head = pool.read_bytes()[:HEADER_BYTES]
    _, _, granules = struct.unpack_from("<III", head, BUCKETS_AT)
    (arena_at,) = struct.unpack_from("<Q", head, ARENA_OFFSET_AT)
    with pool.open("r+b") as file:
        file.seek(arena_at)
        file.write(b"\x7f" * (granules * GRANULE_BYTES))


def spoil_counts(pool: Path) -> None:
    """The header tells of more of everything than there is."""
    with pool.open("r+b") as file:
        file.seek(BUCKETS_AT)
        file.write(b"\x7f" * 16)


def read_on(client: AnyClient, _daemon: Daemon, _name: str) -> None:
    assert [client.get(key) for key in KEYS] == VALUES
    assert client.get("a key that nobody asked for") is None


def insert(client: AnyClient, _daemon: Daemon, _name: str) -> None:
    client.call("set", "new", "v")
    assert client.get("new") == b"v"
    assert client.call("get_many", [*KEYS, "new"]) == [*VALUES, b"v"]


def flush(_client: AnyClient, daemon: Daemon, name: str) -> None:
    arguments = ["flush", "--yes", "--runtime-dir", str(daemon.runtime_dir), name]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output


def wait(_client: AnyClient, daemon: Daemon, _name: str) -> None:
    """The heartbeat is enough where it is the header that is wrong."""
    wait_until(lambda: "damaged pool replaced" in daemon.log_text(), "the heartbeat notices", timeout_s=60)


@pytest.mark.parametrize(
    ("spoil", "act"),
    [
        (spoil_chains, insert),
        (spoil_chains, flush),
        (spoil_arena, read_on),
        (spoil_arena, flush),
        (spoil_counts, read_on),
        (spoil_counts, wait),
    ],
)
def test_a_damaged_pool_is_replaced_by_a_fresh_one(
    connect: Connector,
    own_daemon: Daemon,
    own_valkey: ValkeyServer,
    unique_name: str,
    spoil: Callable[[Path], None],
    act: Callable[[AnyClient, Daemon, str], None],
) -> None:
    own_valkey.admin.mset(dict(zip(KEYS, VALUES, strict=True)))
    cache = new_cache(name=unique_name)
    clients = [connect(cache, **at(own_daemon, own_valkey)) for _ in range(2)]
    for client in clients:
        assert client.call("get_many", KEYS) == VALUES
    (pool,) = own_daemon.pool_dir.glob("*.pool")
    spoil(pool)
    act(clients[0], own_daemon, unique_name)
    wait_until(lambda: not pool.exists(), "the damaged generation is removed", timeout_s=60)
    for client in clients:
        assert client.call("get_many", KEYS) == VALUES

    def all_are_hits() -> bool:
        before = own_valkey.calls("get") + own_valkey.calls("mget")
        for client in clients:
            assert [client.get(key) for key in KEYS] == VALUES
        return own_valkey.calls("get") + own_valkey.calls("mget") == before

    wait_until(all_are_hits, "the fresh generation has everything", timeout_s=60)
    assert own_daemon.running
    log = own_daemon.log_text()
    assert log.count("damaged pool replaced") == 1
    assert f"generation={own_daemon.stats()['caches'][0]['generation']}" in log
    assert "Traceback" not in log
    (served,) = own_daemon.pool_dir.glob("*.pool")
    assert served != pool
