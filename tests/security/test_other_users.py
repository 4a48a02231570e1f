"""Other users of the host, real ones: who can connect, who can open which file, and what they can change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache, RequestError
from glidecache_shared import protocol
from security import attacks
from security.conftest import LISTED, MATE, MEMBER, OWNER, STRANGER, TEAM
from support.users import User
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from security.conftest import OwnedDaemon
    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    StartWorker = Callable[[User], Worker]

SUFFIXES = ("pool", "board", "lease")
HARMLESS_TO_OTHERS = {"EACCES", "EPERM"}


def connect(worker: Worker, daemon: OwnedDaemon, cache: ClientSideCache | None = None, **more: Any) -> None:
    more = {"upstream": "default", "fallback": "error", "request_timeout": 5_000, **more}
    worker.connect("blocking", runtime_dir=str(daemon.runtime_dir), client_side_cache=cache, **more)


def files_of(daemon: OwnedDaemon, name: str) -> dict[str, Path]:
    """The pool's files of one cache, by their suffixes."""
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        caches = wire.request(protocol.STATS)["caches"]
    (file_id,) = [cache["file_id"] for cache in caches if cache["name"] == name]
    return {path.suffix[1:]: path for path in daemon.pool_dir.glob(f"{file_id}.*")}


def opened(worker: Worker, paths: dict[str, Path], flags: int) -> dict[str, str | None]:
    return {
        suffix: worker.run(attacks.open_file, str(path), flags)
        for suffix, path in paths.items()
        if suffix in SUFFIXES
    }


def of_all(value: str | None) -> dict[str, str | None]:
    return dict.fromkeys(SUFFIXES, value)


def test_a_stranger_reaches_neither_the_daemon_nor_a_file(
    daemon: OwnedDaemon, start_worker: StartWorker
) -> None:
    stranger = start_worker(STRANGER)
    assert stranger.run(attacks.call_on, str(daemon.runtime_dir / "glidecached.sock")) == "EACCES"
    assert stranger.run(attacks.list_directory, str(daemon.runtime_dir)) == "EACCES"
    assert stranger.run(attacks.list_directory, str(daemon.pool_dir)) == "EACCES"
    # Even if it knew their names.
    for name in ("common", "listed", "team"):
        assert opened(stranger, files_of(daemon, name), os.O_RDONLY) == of_all("EACCES")
    advice = (
        rf"cannot be reached: .*Permission denied: this process \(uid {STRANGER.uid}, .* may not enter .* "
        rf"must be in the group {OWNER.gid} "
    )
    with pytest.raises(RequestError, match=advice):
        connect(stranger, daemon)


def test_a_member_reads_a_pool_and_cannot_change_it(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    valkey.admin.set("k", "v")
    member = start_worker(MEMBER)
    connect(member, daemon, ClientSideCache.named("common"))
    before = member.metrics()
    assert [member.call("get", "k") for _ in range(3)] == [b"v"] * 3
    assert member.metrics().total_lookups == before.total_lookups + 3
    assert member.metrics().entry_count == 1
    files = files_of(daemon, "common")
    assert opened(member, files, os.O_RDONLY) == of_all(None)
    for suffix in ("pool", "lease"):
        outcomes = member.run(attacks.damage, str(files[suffix]))
        assert set(outcomes.values()) <= HARMLESS_TO_OTHERS | {"EINVAL"}, outcomes
    # ftruncate of what was opened for reading is EINVAL, nothing else may be.
    assert [name for name, error in outcomes.items() if error == "EINVAL"] == ["truncate by descriptor"]
    assert member.run(attacks.list_directory, str(daemon.pool_dir)) == "EACCES"
    assert member.call("get", "k") == b"v"


def test_a_members_board_is_all_that_it_can_spoil(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    valkey.admin.set("k", "v")
    bad, good = start_worker(MEMBER), start_worker(MATE)
    connect(bad, daemon, ClientSideCache.named("common"))
    bad.run(attacks.spoil, str(files_of(daemon, "common")["board"]))
    # The daemon goes on: it looks up, stores, counts, and makes the pool anew when it is told to.
    connect(good, daemon)
    assert good.call("get", "k") == b"v"
    as_root(daemon, protocol.DROP, "common")
    connect(good, daemon, ClientSideCache.named("common"))
    assert [good.call("get", "k") for _ in range(2)] == [b"v"] * 2
    assert good.metrics().hit_rate == 0.5


@pytest.mark.parametrize(("name", "user"), [("listed", LISTED), ("team", MATE)])
def test_a_listed_user_reads_a_restricted_pool_and_cannot_change_it(
    daemon: OwnedDaemon, start_worker: StartWorker, name: str, user: User
) -> None:
    worker = start_worker(user)
    upstream = "private" if name == "listed" else "default"
    connect(worker, daemon, ClientSideCache.named(name), upstream=upstream)
    worker.call("set", name, "v")
    assert [worker.call("get", name) for _ in range(2)] == [b"v"] * 2
    files = files_of(daemon, name)
    assert opened(worker, files, os.O_RDONLY) == of_all(None)
    assert opened(worker, files, os.O_RDWR) == {"pool": "EACCES", "board": None, "lease": "EACCES"}
    for suffix in ("pool", "lease"):
        outcomes = worker.run(attacks.damage, str(files[suffix]))
        assert set(outcomes.values()) <= HARMLESS_TO_OTHERS | {"EINVAL"}, outcomes


@pytest.mark.parametrize(("name", "upstream"), [("listed", "private"), ("team", "default")])
def test_who_is_not_listed_can_neither_attach_nor_open_the_files(
    daemon: OwnedDaemon, start_worker: StartWorker, name: str, upstream: str
) -> None:
    member = start_worker(MEMBER)
    with pytest.raises(
        RequestError, match=f"uid {MEMBER.uid} may not use .*'{upstream if name == 'listed' else name}'"
    ):
        connect(member, daemon, ClientSideCache.named(name), upstream=upstream)
    assert set(files_of(daemon, name)) >= set(SUFFIXES)
    assert opened(member, files_of(daemon, name), os.O_RDONLY) == of_all("EACCES")
    assert opened(member, files_of(daemon, name), os.O_RDWR) == of_all("EACCES")


def test_a_restricted_pool_cannot_be_joined_by_another_way(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    """A client with addresses of its own has the same identity upstream, and is still not on the list."""
    from support.valkey_server import HOST

    member = start_worker(MEMBER)
    spec = {
        "mode": "standalone",
        "addresses": [[HOST, valkey.port]],
        "cache": {"name": "listed"},
        "database_id": 1,
    }
    answer = member.run(attacks.ask, str(daemon.runtime_dir), protocol.ATTACH, [spec])
    assert answer == [protocol.ERROR_FORBIDDEN, f"uid {MEMBER.uid} may not use cache 'listed'"]


def test_what_clients_of_a_restricted_upstream_make_is_for_its_users_too(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    from support.valkey_server import HOST

    listed, member = start_worker(LISTED), start_worker(MEMBER)
    cache = ClientSideCache.create(64, 0, name="theirs")
    connect(listed, daemon, cache, upstream="private")
    assert opened(member, files_of(daemon, "theirs"), os.O_RDONLY) == of_all("EACCES")
    settings = {"max_cache_kb": 64, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": False}
    spec = {
        "mode": "standalone",
        "addresses": [[HOST, valkey.port]],
        "database_id": 1,
        "cache": {"id": "i", "name": "theirs", "settings": settings},
    }
    code, message = member.run(attacks.ask, str(daemon.runtime_dir), protocol.ATTACH, [spec])
    assert code == protocol.ERROR_CONFIGURATION
    assert "in use with other settings: the upstream 'private' and its users, not clients' own" in message


def test_restricted_files_are_nobodys_by_their_mode(daemon: OwnedDaemon) -> None:
    """Whoever lists the directory sees the list's mask where the group's bits stand; others have nothing."""
    files = files_of(daemon, "team")
    for suffix, mode in (("pool", 0o640), ("board", 0o660), ("lease", 0o640)):
        assert files[suffix].stat().st_mode & 0o777 == mode
        entries = os.getxattr(files[suffix], "system.posix_acl_access")
        assert TEAM.to_bytes(4, "little") in entries
        assert daemon.user is not None
        assert daemon.user.gid.to_bytes(4, "little") not in entries


def test_a_session_is_its_users(daemon: OwnedDaemon, start_worker: StartWorker) -> None:
    listed, member = start_worker(LISTED), start_worker(MEMBER)
    spec = {"mode": "standalone", "upstream": "private"}
    session = listed.run(attacks.ask, str(daemon.runtime_dir), protocol.ATTACH, [spec])["session_id"]
    command = [session, [b"GET", b"k"]]
    assert listed.run(attacks.ask, str(daemon.runtime_dir), protocol.COMMAND, command) is None
    code, _ = member.run(attacks.ask, str(daemon.runtime_dir), protocol.COMMAND, command)
    assert code == protocol.ERROR_UNKNOWN_SESSION


def test_a_forked_child_that_changes_its_user_asks_as_the_new_one(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    """What its parent has mapped it may read on, as with any open file; a new connection is the new user's."""
    valkey.admin.mset({"mapped": "v", "not mapped": "v"})
    parent = start_worker(User(0, 0))
    connect(parent, daemon, ClientSideCache.named("team"))
    assert parent.call("get", "mapped") == b"v"
    assert parent.run(attacks.get_in_fork_as, MEMBER, "mapped") == "b'v'"
    refusal = parent.run(attacks.get_in_fork_as, MEMBER, "not mapped")
    assert refusal == f"RequestError: uid {MEMBER.uid} may not use cache 'team'"
    assert parent.run(attacks.get_in_fork_as, MATE, "not mapped") == "b'v'"
    assert parent.call("get", "not mapped") == b"v"


@pytest.mark.parametrize("operation", [protocol.FLUSH, protocol.DROP])
def test_operators_only(daemon: OwnedDaemon, start_worker: StartWorker, operation: int) -> None:
    member = start_worker(MEMBER)
    code, message = member.run(attacks.ask, str(daemon.runtime_dir), operation, ["common"])
    assert (code, "admin_users" in message) == (protocol.ERROR_FORBIDDEN, True)
    assert daemon.user is not None
    owner = start_worker(daemon.user)
    assert owner.run(attacks.ask, str(daemon.runtime_dir), operation, ["common"]) in {None, 0, 1}
    connect(member, daemon, ClientSideCache.named("common"))  # it is made again for the tests that follow


def test_c25_whoever_may_use_a_cache_may_forget_and_by_the_caches_name_only_operators(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    valkey.admin.set("k", "v")
    member = start_worker(MEMBER)
    connect(member, daemon, ClientSideCache.named("common"))
    member.call("get", "k")
    code, message = member.run(attacks.ask, str(daemon.runtime_dir), protocol.FORGET, ["common", [b"k"]])
    assert (code, "admin_users" in message) == (protocol.ERROR_FORBIDDEN, True)
    assert member.call("forget", ["k"]) == 1
    member.call("get", "k")
    assert as_root(daemon, protocol.FORGET, "common", [b"k"]) == 1


def test_prefixes_of_written_keys_are_for_operators(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    valkey.admin.set("secret:k", "v")
    member = start_worker(MEMBER)
    connect(member, daemon, ClientSideCache.named("common"))
    member.call("get", "secret:k")
    member.call("set", "secret:k", "w")
    told = member.run(attacks.ask, str(daemon.runtime_dir), protocol.ADVISE, ["common", None, None])
    assert told["caches"]["common"]["written_prefixes"] is None
    assert told["caches"]["common"]["cached_key_writes"] >= 1
    assert "secret:" not in str(told)
    assert "secret:" not in str(member.run(attacks.ask, str(daemon.runtime_dir), protocol.STATS, []))
    seen = as_root(daemon, protocol.ADVISE, "common", None, None)["caches"]["common"]
    assert seen["written_prefixes"] == ["secret:"]


def test_a_seized_lease_keeps_others_out_and_the_daemon_awake(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    """A lease can be locked by whoever may read it: so members can keep each other from joining, and no more."""
    valkey.admin.set("k", "v")
    thief, holder, late = start_worker(MEMBER), start_worker(MEMBER), start_worker(MEMBER)
    lease = files_of(daemon, "common")["lease"]
    assert thief.run(attacks.seize, str(lease)) is None
    with pytest.raises(RequestError) as raised:
        connect(late, daemon, ClientSideCache.named("common"), request_timeout=500)
    assert str(raised.value)
    connect(holder, daemon)
    assert holder.call("get", "k") == b"v"
    as_root(daemon, protocol.DROP, "common")  # the way out, whoever has the lock
    connect(late, daemon, ClientSideCache.named("common"))
    assert [late.call("get", "k") for _ in range(2)] == [b"v"] * 2
    thief.run(attacks.let_go)


def as_root(daemon: OwnedDaemon, operation: int, *body: object) -> Any:
    """One request by the test itself."""
    from support.wire import WireClient

    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        return wire.request(operation, *body)
