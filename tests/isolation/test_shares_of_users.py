"""One user takes all it can get, of each thing in turn: another user is served all the same (I8, I9)."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache
from support import taking
from support.members import MEMBER, NEIGHBOUR, SharedDaemon
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    StartWorker = Callable[..., Worker]

DESCRIPTORS = 400
MAX_POOLS = 40
WAITING_IS_FORGOTTEN_S = 20.0
MAX_SESSIONS = 400
MOST = {
    "connections": 500,
    "greeted": 500,
    "sessions": 1_000,
    "upstreams": 100,
    "named_pools": 100,
    "unnamed_pools": 100,
    "blocking_calls": 100,
    "watches": 100,
    "unfinished_bytes": 60,
    "queued_bytes": 20,
}
"""More of each than the daemon has, so that it must refuse."""
NEVER_REFUSED = {"unfinished_bytes", "queued_bytes", "sessions"}
"""The daemon may accept more of these, and then holds or remembers no more than it has room for."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a directory that all users may pass through: pytest's own are closed to other users."""
    del tmp_path_factory
    path = Path(tempfile.mkdtemp(prefix="glidecached-isolation-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def start_daemon_of_owner(directory: Path, server: ValkeyServer) -> SharedDaemon:
    """Start a daemon that may open few descriptors."""
    tables = {
        "daemon": {"log_level": "info", "max_pools": MAX_POOLS, "max_sessions": MAX_SESSIONS},
        "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
    }
    made = SharedDaemon(directory, tables, descriptors=DESCRIPTORS)
    try:
        made.start()
    except BaseException:
        made.discard()
        raise
    return made


@pytest.fixture(scope="module")
def daemon(places: Path, abused_valkey: ValkeyServer, other_users: None) -> Iterator[SharedDaemon]:
    """Start one daemon for all tests whose takers release everything at their end."""
    del other_users
    made = start_daemon_of_owner(places / "daemon", abused_valkey)
    yield made
    log = made.log_text()
    made.discard()
    assert "Traceback" not in log, log[-6_000:]


@pytest.fixture
def own_daemon(places: Path, abused_valkey: ValkeyServer, other_users: None) -> Iterator[SharedDaemon]:
    """Start a daemon for one test, whose takers leave something behind."""
    del other_users
    made = start_daemon_of_owner(places / "own", abused_valkey)
    yield made
    log = made.log_text()
    made.discard()
    assert "Traceback" not in log, log[-6_000:]


def use_everything(worker: Worker, daemon: SharedDaemon, name: str) -> None:
    """Do what an honest worker does: a cache, reads, writes, a blocking call, a transaction after a watch."""
    worker.connect(
        "blocking",
        runtime_dir=str(daemon.runtime_dir),
        upstream="default",
        fallback="error",
        request_timeout=5_000,
        client_side_cache=ClientSideCache.create(64, 0, name=name),
    )
    assert worker.call("set", name, "v") == "OK"
    assert [worker.call("get", name) for _ in range(2)] == [b"v", b"v"]
    assert worker.call("blpop", [f"{name}-none"], 0.01) is None
    assert worker.call("watch", [name]) == "OK"
    assert worker.call("unwatch") == "OK"
    assert worker.call("set", name, "x" * 1_000_000) == "OK"
    assert len(worker.call("custom_command", ["GETRANGE", name, "0", "-1"])) == 1_000_000


@pytest.mark.parametrize("what", [what for what in MOST if what != "named_pools"])
def test_i8_i9_another_user_is_served_when_one_takes_all(
    what: str, daemon: SharedDaemon, start_worker: StartWorker
) -> None:
    taker, early, late = start_worker(MEMBER), start_worker(NEIGHBOUR), start_worker(NEIGHBOUR)
    use_everything(early, daemon, "early")
    taken, refusal = taker.run(getattr(taking, what), str(daemon.runtime_dir), MOST[what])
    use_everything(late, daemon, "late")
    use_everything(early, daemon, "early")
    assert taken > 0
    if what not in NEVER_REFUSED:
        assert taken < MOST[what], "nothing was refused: the test asks for too little"
        assert_says_what_is_full(what, refusal)


def assert_says_what_is_full(what: str, refusal: str) -> None:
    """Check that the refusal is BUSY, and names what is full and the holder; connections are closed instead."""
    if what == "connections":
        return  # The daemon closes these without a word: they asked for nothing.
    assert str(MEMBER.uid) in refusal or "process" in refusal or "user" in refusal, refusal
    assert "Too many open files" not in refusal


def test_i9_named_pools_of_one_user_leave_room_for_others_also_after_a_restart(
    own_daemon: SharedDaemon, start_worker: StartWorker
) -> None:
    taker, late = start_worker(MEMBER), start_worker(NEIGHBOUR)
    taken, refusal = taker.run(taking.named_pools, str(own_daemon.runtime_dir), MOST["named_pools"])
    assert 0 < taken < MOST["named_pools"]
    use_everything(late, own_daemon, "late")
    assert_says_what_is_full("named_pools", refusal)
    taker.kill()
    own_daemon.stop()
    own_daemon.start()
    use_everything(late, own_daemon, "later")


@pytest.mark.parametrize(
    "what",
    ["connections", "greeted", "upstreams", "blocking_calls", "unnamed_pools", "watches", "unfinished_bytes"],
)
def test_i9_one_process_of_a_user_leaves_something_for_another(
    what: str, daemon: SharedDaemon, start_worker: StartWorker
) -> None:
    """On most hosts all workers have one user."""
    taker, other = start_worker(NEIGHBOUR), start_worker(NEIGHBOUR)
    taken, _ = taker.run(getattr(taking, what), str(daemon.runtime_dir), MOST[what])
    assert taken > 0
    use_everything(other, daemon, "other")


@pytest.mark.parametrize("what", ["connections", "blocking_calls", "watches"])
def test_i1_i9_what_a_dead_process_took_is_free_again(
    what: str, daemon: SharedDaemon, start_worker: StartWorker
) -> None:
    """The next process of the same user gets as much as the dead one had."""
    first, second = start_worker(MEMBER), start_worker(MEMBER)
    taken = first.run(getattr(taking, what), str(daemon.runtime_dir), MOST[what])
    first.kill()
    again = _until_as_much(second, daemon, what, taken[0])
    assert again >= taken[0] * 0.9


def _until_as_much(worker: Worker, daemon: SharedDaemon, what: str, wanted: int) -> int:
    """Return the amount that the worker gets in the end: at first the dead process' share is still taken."""
    have = 0
    limit = time.monotonic() + WAITING_IS_FORGOTTEN_S
    while have < wanted * 0.9 and time.monotonic() < limit:
        taken: tuple[int, Any] = worker.run(getattr(taking, what), str(daemon.runtime_dir), wanted - have)
        have += taken[0]
        time.sleep(0.5)
    return have
