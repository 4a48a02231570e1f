"""I9 and I11 with real users: one user's pools and names refuse another nothing, also after a restart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from glidecache import ClientSideCache, NodeAddress, RequestError
from glidecache_shared import protocol
from security import attacks
from security.conftest import LISTED, MEMBER, OwnedDaemon
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.users import User
    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    StartWorker = Callable[[User], Worker]

MAX_POOLS = 16


@pytest.fixture
def crowded(open_place: Path, valkey: ValkeyServer, reachable_checkout: None) -> Iterator[OwnedDaemon]:
    """Start a daemon with room for few caches."""
    del reachable_checkout
    daemon = OwnedDaemon(
        open_place / "crowded",
        {
            "daemon": {"max_pools": MAX_POOLS},
            "upstreams": {"default": {"addresses": [f"{HOST}:{valkey.port}"]}},
        },
    )
    daemon.start()
    yield daemon
    try:
        assert "Traceback" not in daemon.log_text()
    finally:
        daemon.discard()
        for path in daemon.runtime_dir.iterdir():
            path.unlink()
        daemon.runtime_dir.rmdir()


def use(worker: Worker, daemon: OwnedDaemon, port: int, name: str) -> None:
    """Use a cache of the client's own, as an ordinary client does, and check that it works."""
    worker.connect(
        "blocking",
        runtime_dir=str(daemon.runtime_dir),
        addresses=[NodeAddress(HOST, port)],
        fallback="error",
        request_timeout=5_000,
        client_side_cache=ClientSideCache.create(64, 0, enable_metrics=True, name=name),
    )
    assert worker.call("set", "k", "v") == "OK"
    assert [worker.call("get", "k") for _ in range(2)] == [b"v"] * 2
    assert worker.metrics().entry_count == 1


@pytest.mark.parametrize("hold", [True, False], ids=["held", "unheld"])
def test_i9_caches_that_one_user_takes_refuse_another_nothing(
    crowded: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker, *, hold: bool
) -> None:
    greedy, honest = [start_worker(MEMBER) for _ in range(3)], start_worker(LISTED)
    runtime_dir, refusals = str(crowded.runtime_dir), []
    for number, worker in enumerate(greedy):
        names = [f"greedy-{number}-{place}" for place in range(30)]
        answers = worker.run(attacks.take_caches, runtime_dir, valkey.port, names, hold)
        refusals += [answer for answer in answers if answer is not None]
    assert hold <= bool(refusals)
    for code, text in refusals:
        assert code == protocol.ERROR_BUSY
        assert "caches are full for" in text
        assert f"uid {MEMBER.uid}" in text
    use(honest, crowded, valkey.port, "honest")
    crowded.stop()
    crowded.start()
    second = start_worker(LISTED)
    use(second, crowded, valkey.port, "honest too")
    assert honest.call("get", "k") == b"v"
    # Names that were taken and never used are free again.
    left = {cache["name"] for cache in crowded.stats()["caches"]}
    assert {"honest", "honest too"} <= left
    assert hold == any(name.startswith("greedy") for name in left)


def test_i9_a_client_hears_what_is_full_and_for_whom(
    crowded: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    greedy = start_worker(MEMBER)
    names = [f"name-{number}" for number in range(MAX_POOLS)]
    greedy.run(attacks.take_caches, str(crowded.runtime_dir), valkey.port, names, True)
    with pytest.raises(
        RequestError, match=rf"cache 'another' cannot be made now.*uid {MEMBER.uid}.*max_pools"
    ) as busy:
        use(greedy, crowded, valkey.port, "another")
    assert type(busy.value) is RequestError


def test_i13_a_runtime_directory_that_is_closed_for_a_while_ends_no_daemon(
    crowded: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    honest = start_worker(LISTED)
    use(honest, crowded, valkey.port, "honest")
    crowded.runtime_dir.chmod(0)
    time.sleep(2.5)  # The daemon looks twice in this time.
    assert honest.call("get", "k") == b"v"
    crowded.runtime_dir.chmod(0o750)
    assert crowded.running
    use(start_worker(LISTED), crowded, valkey.port, "honest")
    assert "vanished" not in crowded.log_text()


def test_i11_a_name_is_not_taken_from_another_user_by_another_upstream(
    crowded: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    owner, other = start_worker(MEMBER), start_worker(LISTED)
    take, runtime_dir = attacks.take_caches, str(crowded.runtime_dir)
    assert owner.run(take, runtime_dir, valkey.port, ["mine"], False) == [None]
    [refusal] = other.run(take, runtime_dir, valkey.port, ["mine"], False, 1)
    assert refusal is not None
    code, text = refusal
    assert code == protocol.ERROR_CONFIGURATION
    assert f"uid {MEMBER.uid}'s, for another server, database or user: database 0, not 1" in text
    crowded.stop()
    crowded.start()
    # The name was never used: it is free now, for the user who comes first.
    assert other.run(take, runtime_dir, valkey.port, ["mine"], False, 1) == [None]
    [refusal] = owner.run(take, runtime_dir, valkey.port, ["mine"], False)
    assert refusal is not None
    assert other.run(take, runtime_dir, valkey.port, ["mine"], False) == [None]
