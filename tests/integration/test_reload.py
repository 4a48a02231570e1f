"""SIGHUP to a real daemon: what can change does under its clients, what cannot is told, a wrong file is refused."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClientSideCache, ConfigurationError, RequestError, ServerCredentials
from support.clients import AnyClient, at
from support.daemon import Daemon, to_toml
from support.valkey_server import HOST, ValkeyServer
from support.waiting import wait_until
from support.wire import ReplyRefused, WireClient
from support.worker_tasks import is_genuine, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.connector import Connector

KEYS = [f"key-{number}" for number in range(300)]
PATIENCE_S = 60
ROUNDS = 6


@pytest.fixture
def kind() -> str:
    """One kind of client is enough: what changes is the daemon's."""
    return "blocking"


class Reloadable:
    """A daemon with one configured cache, `catalog`, and its file."""

    def __init__(self, daemon: Daemon, tables: dict[str, Any]) -> None:
        self.daemon = daemon
        self.tables = tables
        self._base = daemon.configuration.read_text()
        self._common = {"pool_dir": str(daemon.pool_dir), "log_level": "debug"}

    def write(self) -> None:
        tables = {**self.tables, "daemon": {**self._common, **self.tables.get("daemon", {})}}
        self.daemon.configuration.write_text(to_toml(tables))

    def reload(self) -> str:
        """Write the tables, reload, and return what the log says of it, once pools have what they were told."""
        self.write()
        return self.hang_up()

    def hang_up(self) -> str:
        seen = len(self.daemon.log_text())
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: "reload finished" in self.daemon.log_text()[seen:], "the reload is over", PATIENCE_S
        )
        return self.daemon.log_text()[seen:]

    def cache(self) -> dict[str, Any]:
        """What the daemon says of the cache."""
        found: dict[str, Any] = next(
            each for each in self.daemon.stats()["caches"] if each["name"] == "catalog"
        )
        return found


def base_tables(server: ValkeyServer) -> dict[str, Any]:
    return {
        "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
        "caches": {"catalog": {"max_cache_kb": 1024, "entry_ttl_ms": 0, "enable_metrics": True}},
    }


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One for all tests here: they begin with the same keys."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory, own_valkey: ValkeyServer) -> Iterator[Reloadable]:
    """A daemon for all tests here, which therefore also goes through all their reloads one after the other."""
    tables = base_tables(own_valkey)
    daemon = Daemon(tmp_path_factory.mktemp("reloaded"), tables)
    daemon.start()
    yield Reloadable(daemon, tables)
    try:
        assert "Traceback" not in daemon.log_text()
    finally:
        daemon.discard()


@pytest.fixture
def reloadable(common: Reloadable, own_valkey: ValkeyServer) -> Reloadable:
    """The daemon with the usual tables and an empty cache."""
    own_valkey.reset()
    own_valkey.admin.mset({key: stamped(key, number) for number, key in enumerate(KEYS)})
    if not common.daemon.running:
        common.daemon.start()
    common.tables.clear()
    common.tables.update(base_tables(own_valkey), caches={})
    common.reload()
    common.tables.update(base_tables(own_valkey))
    common.reload()
    return common


def attach(connect: Connector, reloadable: Reloadable, **configuration: Any) -> AnyClient:
    return connect(
        ClientSideCache.named("catalog"),
        **at(reloadable.daemon, **{"addresses": None, "upstream": "default", **configuration}),
    )


def read(client: AnyClient, server: ValkeyServer, keys: list[str] = KEYS) -> int:
    """Read each key and see its own value; how many the server was not asked for."""
    before = server.calls("get")
    for key in keys:
        assert is_genuine(key, client.get(key))
    return len(keys) - (server.calls("get") - before)


def has_metrics(client: AnyClient) -> bool:
    try:
        client.metrics()
    except RequestError:
        return False
    return True


def test_a_daemon_without_a_file_says_that_there_is_nothing_to_reload(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon("--embedded")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "no configuration file" in daemon.log_text(), "the log says so", PATIENCE_S)
    assert daemon.running


def test_a_wrong_file_changes_nothing_and_each_fault_is_told(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    client = attach(connect, reloadable)
    read(client, own_valkey)
    reloadable.tables["caches"]["catalog"]["max_cache_kb"] = 2048
    reloadable.tables["caches"]["catalog"]["entry_ttl_ms"] = -1
    reloadable.tables["daemon"] = {"log_level": "loud"}
    told = reloadable.reload()
    file = reloadable.daemon.configuration
    assert (
        f'event="configuration fault" fault="{file}: [caches.catalog] entry_ttl_ms = -1: '
        'should be greater than or equal to 0"' in told
    )
    assert f"{file}: [daemon] log_level = 'loud': should be 'debug', 'info', 'warning' or 'error'" in told
    assert reloadable.cache()["settings"]["max_cache_kb"] == 1024
    assert read(client, own_valkey) == len(KEYS)


def test_each_of_many_faults_is_told(reloadable: Reloadable) -> None:
    unknown = [f"unknown_{number}" for number in range(25)]
    reloadable.tables["daemon"] = dict.fromkeys(unknown, 1)
    told = reloadable.reload()
    assert [key for key in unknown if f"[daemon] {key}: unknown key" not in told] == []


def test_what_cannot_change_is_told_and_kept(reloadable: Reloadable) -> None:
    reloadable.tables["daemon"] = {"grace_ms": 7_000, "max_sessions": 9}
    told = reloadable.reload()
    assert 'changed="[daemon] max_sessions 65536 → 9"' in told
    assert 'event="changes need a restart" kept="[daemon] grace_ms 5000 → 7000"' in told
    assert "nothing has changed" not in reloadable.hang_up(), "what is kept is logged again"


def test_i8_the_bounds_of_what_clients_can_use_up_change(reloadable: Reloadable) -> None:
    reloadable.tables["daemon"] = {"max_client_memory_mb": 32, "max_connections": 4}
    told = reloadable.reload()
    assert "[daemon] max_client_memory_mb 256 → 32" in told
    assert "[daemon] max_connections 16384 → 4" in told
    assert reloadable.daemon.stats()["daemon"]["client_memory_max_bytes"] == 32 << 20
    with contextlib.ExitStack() as held:
        wires = [held.enter_context(WireClient(reloadable.daemon.runtime_dir)) for _ in range(4)]
        with pytest.raises(ReplyRefused, match="connections are full"):
            _ = [wire.hello() for wire in wires]


def test_the_log_level_changes(reloadable: Reloadable) -> None:
    log = reloadable.daemon.log_text
    for level, other in (("error", "debug"), ("debug", "error")):
        reloadable.tables["daemon"] = {"log_level": level}
        reloadable.write()
        reloadable.daemon.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda told=f"log_level {other} → {level}": told in log(), "the log has the event", PATIENCE_S
        )
        reloadable.daemon.process.send_signal(signal.SIGHUP)
        reloadable.daemon.stats()
    wait_until(lambda: "nothing has changed" in log(), "the log reports it again", PATIENCE_S)
    assert log().count("nothing has changed") == 1


def test_the_logs_form_changes_behind_the_line_that_says_so(reloadable: Reloadable) -> None:
    reloadable.tables["daemon"] = {"log_format": "json"}
    before = reloadable.reload().splitlines()
    assert "[daemon] log_format logfmt → json" in "".join(before[:-1])
    assert json.loads(before[-1])["message"] == "reload finished"
    reloadable.tables["daemon"] = {}
    lines = reloadable.reload().splitlines()
    assert json.loads(lines[-2])["changed"] == "[daemon] log_format json → logfmt"
    assert lines[-1].endswith('event="reload finished"')
    reloadable.tables["daemon"] = {"log_format": "xml"}
    assert "log_format = 'xml': should be 'logfmt' or 'json'" in reloadable.reload()


@pytest.mark.parametrize(
    "change", [{"max_cache_kb": 4096}, {"max_cache_kb": 256}, {"eviction_policy": "LFU"}]
)
def test_c13_entries_and_counters_go_on_in_a_cache_that_changes(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer, change: dict[str, Any]
) -> None:
    client = attach(connect, reloadable)
    assert read(client, own_valkey) == 0
    assert read(client, own_valkey) == len(KEYS)
    before = client.metrics()
    generation = reloadable.cache()["generation"]
    reloadable.tables["caches"]["catalog"] |= change
    told = reloadable.reload()
    assert 'changed="[caches.catalog]' in told
    after = reloadable.cache()
    assert {key: after["settings"][key] for key in change} == change
    assert after["generation"] > generation
    assert after["charged_bytes"] <= after["max_bytes"] == after["settings"]["max_cache_kb"] * 1024
    assert read(client, own_valkey) == len(KEYS)
    metrics = client.metrics()
    assert metrics.entry_count == len(KEYS)
    assert metrics.total_lookups == before.total_lookups + len(KEYS)
    assert metrics.evictions == before.evictions == 0


def test_c10_a_smaller_cache_keeps_what_was_used_last(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    client = attach(connect, reloadable)
    read(client, own_valkey)
    reloadable.tables["caches"]["catalog"]["max_cache_kb"] = 16
    reloadable.reload()
    count = reloadable.cache()["metrics"]["entry_count"]
    assert 0 < count < len(KEYS)
    assert client.metrics().evictions == len(KEYS) - count
    assert read(client, own_valkey, KEYS[-count:]) == count
    assert read(client, own_valkey, KEYS[:-count]) == 0


def test_c6_another_ttl_is_for_new_entries(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    client = attach(connect, reloadable)
    read(client, own_valkey, KEYS[:10])
    generation = reloadable.cache()["generation"]
    reloadable.tables["caches"]["catalog"]["entry_ttl_ms"] = 1
    reloadable.reload()
    assert reloadable.cache()["generation"] == generation
    read(client, own_valkey, KEYS[10:20])
    wait_until(lambda: read(client, own_valkey, KEYS[10:20]) == 0, "new entries expire")
    assert read(client, own_valkey, KEYS[:10]) == 10


def test_c14_metrics_may_be_switched_on_and_off(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    client = attach(connect, reloadable)
    read(client, own_valkey)
    for enabled in (False, True):
        reloadable.tables["caches"]["catalog"]["enable_metrics"] = enabled
        reloadable.reload()
        assert read(client, own_valkey) == len(KEYS)
        if enabled:
            # A client that has attached again looks for another generation a second later at the earliest.
            wait_until(
                lambda: read(client, own_valkey) and has_metrics(client), "metrics may be read", PATIENCE_S
            )
            assert client.metrics().hit_rate == 1.0
        else:
            with pytest.raises(RequestError, match="not enabled"):
                client.call("get_cache_hit_rate")


def test_a_listener_that_cannot_be_had_is_not_told_as_changed(reloadable: Reloadable) -> None:
    with socket.create_server((HOST, 0)) as taken:
        listen = f"{HOST}:{taken.getsockname()[1]}"
        reloadable.tables["metrics"] = {"listen": listen}
        told = reloadable.reload()
        assert (
            f'event="metrics address not changed" reason="[metrics] listen = \\"{listen}\\": Address' in told
        )
        assert "changed=nothing" in told
    # The file is the same, and now it can be done.
    told = reloadable.hang_up()
    assert f'changed="[metrics] listen (not given) → {listen}"' in told
    assert "nothing has changed" in reloadable.hang_up()


def test_caches_come_and_go(connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer) -> None:
    client = attach(connect, reloadable)
    read(client, own_valkey)
    settings = reloadable.tables["caches"].pop("catalog")
    reloadable.tables["caches"]["second"] = settings
    told = reloadable.reload()
    assert "[caches.second] added; [caches.catalog] removed" in told
    with pytest.raises(ConfigurationError, match="has no cache 'catalog'; it has: second"):
        client.get(KEYS[0])
    other = connect(
        ClientSideCache.named("second"), **at(reloadable.daemon, addresses=None, upstream="default")
    )
    read(other, own_valkey)
    assert read(other, own_valkey) == len(KEYS)


def test_a_cache_that_would_outgrow_the_total_stays_as_it_is(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    reloadable.tables["daemon"] = {"max_total_cache_kb": 2048}
    reloadable.reload()
    held = connect(ClientSideCache.create(900, 0), **at(reloadable.daemon, own_valkey))
    held.get(KEYS[0])
    reloadable.tables["caches"]["catalog"]["max_cache_kb"] = 1200
    told = reloadable.reload()
    assert "kept_kb=1024 max_cache_kb=1200 others_kb=900 max_total_cache_kb=2048" in told
    held.close()
    wait_until(lambda: len(reloadable.daemon.stats()["caches"]) == 1, "the other pool has ended", PATIENCE_S)
    reloadable.hang_up()
    assert reloadable.cache()["settings"]["max_cache_kb"] == 1200


def test_c18_a_new_password_is_used_for_new_connections_and_the_pool_stays(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer, tmp_path: Any
) -> None:
    tmp_path.chmod(0o700)
    password = tmp_path / "password"
    password.write_text("one")
    own_valkey.admin.acl_setuser("app", enabled=True, passwords=["+one"], categories=["+@all"], keys=["*"])
    user = {"username": "app", "password_file": str(password)}
    reloadable.tables["upstreams"]["app"] = {**reloadable.tables["upstreams"]["default"], **user}
    reloadable.tables["caches"]["catalog"]["upstream"] = "app"
    reloadable.reload()
    client = attach(connect, reloadable, upstream="app")
    own = connect(
        ClientSideCache.create(64, 0),
        **at(reloadable.daemon, own_valkey, credentials=ServerCredentials(username="app", password="one")),
    )
    read(client, own_valkey)
    read(own, own_valkey, KEYS[:1])
    own_valkey.admin.acl_setuser("app", enabled=True, passwords=["-one", "+two"])
    password.write_text("wrong")
    told = reloadable.hang_up()
    assert "the files of its credentials have new contents" in told
    assert "wrong" not in reloadable.daemon.log_text()
    log = reloadable.daemon.log_text
    wait_until(lambda: "no connection with the new credentials" in log(), "the log warns", PATIENCE_S)
    password.write_text("two")
    reloadable.hang_up()
    wait_until(lambda: "new credentials accepted" in log(), "the log has the event", PATIENCE_S)
    assert read(client, own_valkey) == len(KEYS)
    own_valkey.admin.client_kill_filter(user="app")
    client.call("set", "new", "v")
    assert client.get("new") == b"v"
    assert read(client, own_valkey) == len(KEYS)
    with pytest.raises(Exception, match="WRONGPASS"):
        own.call("set", "new", "w")


def test_clients_own_addresses_may_be_forbidden(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    own = connect(ClientSideCache.create(64, 0), **at(reloadable.daemon, own_valkey))
    named = attach(connect, reloadable)
    assert own.get(KEYS[1]) is not None
    reloadable.tables["daemon"] = {"allow_adhoc_upstreams": False}
    assert 'event="sessions ended, access has changed" sessions=1' in reloadable.reload()
    with pytest.raises(ConfigurationError, match="allow_adhoc_upstreams"):
        own.get(KEYS[2])
    assert named.get(KEYS[2]) is not None


def test_two_at_once_and_one_while_stopping(reloadable: Reloadable) -> None:
    daemon = reloadable.daemon
    reloadable.tables["daemon"] = {"max_sessions": 77}
    reloadable.write()
    for _ in range(5):
        daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "max_sessions 65536 → 77" in daemon.log_text(), "one has changed it", PATIENCE_S)
    daemon.pause()
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.resume()
    assert daemon.process.wait(PATIENCE_S) == 0
    assert "Traceback" not in daemon.log_text()


def test_c21_readers_hammer_a_cache_that_changes_its_size(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    """Eight clients in threads see only right values, and hit after each change."""
    stop = threading.Event()
    faults: list[object] = []
    hits = [0] * 8

    def hammer(number: int, client: AnyClient) -> None:
        try:
            while not stop.is_set():
                for key in KEYS[number::8]:
                    value = client.get(key)
                    if not is_genuine(key, value):
                        faults.append((key, value))
                hits[number] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells
            faults.append(error)

    clients = [attach(connect, reloadable) for _ in range(8)]
    threads = [threading.Thread(target=hammer, args=item) for item in enumerate(clients)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(ROUNDS):
            reloadable.tables["caches"]["catalog"]["max_cache_kb"] = (64, 2048, 512)[turn % 3]
            reloadable.reload()
            cache = reloadable.cache()
            assert cache["charged_bytes"] <= cache["max_bytes"]
            before = list(hits)
            wait_until(
                lambda before=before: (
                    all(now > then for now, then in zip(hits, before, strict=True)) or faults
                ),
                "all go on",
                PATIENCE_S,
            )
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert read(clients[0], own_valkey) == read(clients[0], own_valkey) == len(KEYS)
    assert "Traceback" not in reloadable.daemon.log_text()


def test_c20_a_cache_that_has_changed_is_taken_over(
    connect: Connector, reloadable: Reloadable, own_valkey: ValkeyServer
) -> None:
    client = attach(connect, reloadable)
    read(client, own_valkey)
    reloadable.tables["caches"]["catalog"]["max_cache_kb"] = 2048
    reloadable.reload()
    reloadable.daemon.kill()
    reloadable.daemon.start()
    assert "verified=True dropped=0" in reloadable.daemon.log_text()
    assert read(client, own_valkey) == len(KEYS)
