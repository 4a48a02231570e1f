"""Clients, configurations, batches and routes as objects: made by `create`, shown without secrets, copied or not."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

import glidecache
import glidecache.sync
from glidecache import (
    AdvancedGlideClientConfiguration,
    AllNodes,
    AllPrimaries,
    BackoffStrategy,
    Batch,
    BatchOptions,
    BatchRetryStrategy,
    ByAddressRoute,
    ClientSideCache,
    ClosingError,
    ClusterBatch,
    ClusterBatchOptions,
    ClusterScanCursor,
    ClusterTransaction,
    GlideClientConfiguration,
    GlideClusterClientConfiguration,
    NodeAddress,
    RandomNode,
    ReadFrom,
    RequestError,
    Script,
    ServerCredentials,
    SlotIdRoute,
    SlotKeyRoute,
    SlotType,
    TlsAdvancedConfiguration,
    Transaction,
)
from glidecache.aio.cluster_client import GlideClusterClient as AsyncClusterClient
from glidecache.core.client_base import ClientBase
from glidecache.core.settings import Settings
from glidecache_shared import protocol
from support.command_samples import GROUPS
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FakeDaemon
    from support.clients import AnyClient

    Connect = Callable[..., AnyClient]

SECRET = "hunter2-very-secret"
CLIENTS: list[type[Any]] = [
    glidecache.GlideClient,
    glidecache.GlideClusterClient,
    glidecache.sync.GlideClient,
    glidecache.sync.GlideClusterClient,
]
CREDENTIALS = ServerCredentials(SECRET, "app")
TLS = TlsAdvancedConfiguration(
    root_pem_cacerts=SECRET.encode(), client_cert_pem=SECRET.encode(), client_key_pem=SECRET.encode()
)


def settings_for(client: type[Any], **given: Any) -> Settings:
    is_cluster = "Cluster" in client.__name__
    configuration: Any = GlideClusterClientConfiguration if is_cluster else GlideClientConfiguration
    return Settings(
        configuration(
            [NodeAddress("valkey", 6390)],
            True,
            CREDENTIALS,
            client_side_cache=ClientSideCache.create(1, 0, name="catalog"),
            **given,
        ),
        "cluster" if is_cluster else "standalone",
    )


@pytest.mark.parametrize("client_class", CLIENTS)
@pytest.mark.parametrize("arguments", [(), (GlideClientConfiguration(),), (None,), ("localhost",)])
def test_a_client_is_made_by_create(client_class: type[Any], arguments: tuple[Any, ...]) -> None:
    awaited = "await " if inspect.iscoroutinefunction(client_class.create) else ""
    with pytest.raises(
        TypeError, match=rf"use create: client = {awaited}{client_class.__name__}\.create\(config\)"
    ):
        client_class(*arguments)


@pytest.mark.parametrize("client_class", CLIENTS)
@pytest.mark.parametrize("do", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_client_is_neither_copied_nor_pickled(client_class: type[Any], do: Callable[[Any], Any]) -> None:
    client = client_class(settings_for(client_class))
    with pytest.raises(TypeError, match=f"a {client_class.__name__} cannot be copied or pickled"):
        do(client)
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        do({"client": client} if do is not copy.copy else client)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_a_client_has_its_configuration_and_shows_no_secret(client_class: type[Any]) -> None:
    settings = settings_for(client_class)
    client = client_class(settings)
    assert client.config is settings.config
    with pytest.raises(AttributeError):
        client.config = settings.config
    shown = repr(client)
    assert f"{client_class.__module__}.{client_class.__name__}" in shown
    assert "NodeAddress('valkey', 6390)" in shown
    assert "cache='catalog'" in shown
    assert SECRET not in shown
    assert "not created" in repr(client_class.__new__(client_class))


@pytest.mark.parametrize("client_class", CLIENTS)
def test_dir_lists_what_works(client_class: type[Any]) -> None:
    client = client_class(settings_for(client_class))
    listed = set(dir(client))
    assert {"get", "hgetall", "smembers", "set", "exec", "create", "config", "get_cache_hit_rate"} <= listed
    assert {name for name in listed if not hasattr(client, name)} <= {"__abstractmethods__"}
    assert "subscribe" not in listed


@pytest.mark.parametrize("method", ["get", "hgetall", "smembers"])
def test_cached_reads_have_signatures_and_docstrings(method: str) -> None:
    blocking = getattr(glidecache.sync.GlideClient, method)
    awaited = getattr(glidecache.GlideClient, method)
    assert list(inspect.signature(blocking).parameters) == list(inspect.signature(awaited).parameters)
    client = glidecache.sync.GlideClient(settings_for(glidecache.sync.GlideClient))
    assert list(inspect.signature(getattr(client, method)).parameters) == ["key"]
    assert method.upper() in inspect.getdoc(blocking)  # type: ignore[operator]
    assert "--" not in inspect.getdoc(blocking)  # type: ignore[operator]


SHOWN = [
    (AllNodes(), "AllNodes()"),
    (AllPrimaries(), "AllPrimaries()"),
    (RandomNode(), "RandomNode()"),
    (SlotKeyRoute(SlotType.PRIMARY, "k"), "SlotKeyRoute(SlotType.PRIMARY, 'k')"),
    (SlotIdRoute(SlotType.REPLICA, 7), "SlotIdRoute(SlotType.REPLICA, 7)"),
    (ByAddressRoute("host:6379"), "ByAddressRoute('host', 6379)"),
    (NodeAddress("host", 1), "NodeAddress('host', 1)"),
    (CREDENTIALS, "ServerCredentials(username='app')"),
    (BackoffStrategy(1, 2, 3), "BackoffStrategy(num_of_retries=1, factor=2, exponent_base=3)"),
    (ClusterScanCursor("text"), "ClusterScanCursor('text')"),
    (BatchOptions(5), "BatchOptions(timeout=5)"),
    (BatchRetryStrategy(), "BatchRetryStrategy()"),
    (ClusterBatchOptions(route=RandomNode()), "ClusterBatchOptions(route=RandomNode())"),
    (Batch(True), "<Batch is_atomic=True, no commands>"),
    (Batch(False).set("k", SECRET).get("k"), "<Batch is_atomic=False, 2 commands: SET, GET>"),
    (TLS, "client_key_pem=<19 bytes>"),
    (Script(SECRET), "<Script "),
    (
        GlideClientConfiguration(
            [NodeAddress("host", 1)],
            True,
            CREDENTIALS,
            ReadFrom.ALL_NODES,
            advanced_config=AdvancedGlideClientConfiguration(5, TLS),
        ),
        "GlideClientConfiguration(addresses=[NodeAddress('host', 1)], use_tls=True, credentials=Server",
    ),
    (GlideClusterClientConfiguration(upstream="other"), "upstream='other'"),
]


@pytest.mark.parametrize(("subject", "expected"), SHOWN, ids=lambda value: type(value).__name__)
def test_reprs_show_what_is_set_and_no_secrets(subject: object, expected: str) -> None:
    assert expected in repr(subject)
    assert SECRET not in repr(subject)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda batch: pickle.loads(pickle.dumps(batch))],  # noqa: S301
)
def test_batches_can_be_copied_and_pickled(group: str, copied: Callable[[Any], Any]) -> None:
    batch = Batch(is_atomic=True)
    for call in GROUPS[group](glidecache):
        getattr(batch, call.method)(*call.arguments)
    before = batch.commands
    other = copied(batch)
    assert (type(other), other.is_atomic, other.commands) == (Batch, True, before)
    other.set("one", "more")
    assert batch.commands == before
    assert len(other) == len(batch) + 1


def test_commands_of_a_batch() -> None:
    batch = ClusterBatch(is_atomic=False).set("k", "v").custom_command(["CONFIG", "GET", "x"])
    assert batch.commands == [(b"SET", [b"k", b"v"]), (b"CONFIG", [b"GET", b"x"])]
    batch.commands.clear()
    assert len(batch.commands) == len(batch)
    batch.clear()
    assert batch.commands == []


@pytest.mark.parametrize(("former", "base"), [(Transaction, Batch), (ClusterTransaction, ClusterBatch)])
def test_transactions_are_atomic_batches_under_their_former_names(former: type[Any], base: type[Any]) -> None:
    with pytest.warns(DeprecationWarning, match=rf"Use {base.__name__}\(is_atomic=True\) instead") as warned:
        transaction = former()
    assert warned[0].filename == __file__
    assert isinstance(transaction, base)
    assert transaction.is_atomic
    assert former.__name__ in repr(transaction.get("k"))


@pytest.mark.parametrize("batch_class", [Batch, ClusterBatch, Transaction, ClusterTransaction])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_either_class_of_batch_runs(daemon: FakeDaemon, connect: Connect, batch_class: type[Any]) -> None:
    daemon.answers[protocol.BATCH] = lambda _body: ["OK", b"v"]
    batch = batch_class() if "Transaction" in batch_class.__name__ else batch_class(False)
    batch.set("k", "v").get("k")
    client = connect()
    for options in (None, BatchOptions(timeout=300), ClusterBatchOptions(timeout=300, route=RandomNode())):
        assert client.call("exec", batch, True, options) == ["OK", b"v"]
        assert client.call("exec", batch, False, options=options) == ["OK", b"v"]
    # A standalone server has no routes.
    assert all(len(body) == 3 for _, body in daemon.operations(protocol.BATCH))


async def test_either_class_of_batch_runs_in_a_cluster(daemon: FakeDaemon, runtime_dir: Any) -> None:
    daemon.answers[protocol.BATCH] = lambda _body: ["OK", {b"host:1": b"x"}]
    config = GlideClusterClientConfiguration(runtime_dir=str(runtime_dir))
    async with await AsyncClusterClient.create(config) as client:
        for batch in (Batch(False), ClusterBatch(False)):
            batch.set("k", "v").info()
            assert await client.exec(batch, True, BatchOptions(500)) == ["OK", {b"host:1": b"x"}]
            assert await client.exec(batch, True, ClusterBatchOptions(route=RandomNode()))
    assert daemon.operations(protocol.BATCH)[-1][1][3] == "random"


@pytest.mark.parametrize("limit", [1, 3])
def test_open_requests_of_all_threads_are_bounded(daemon: FakeDaemon, runtime_dir: Any, limit: int) -> None:
    answer = threading.Event()
    daemon.answers[protocol.COMMAND] = lambda body: answer.wait(10) and body[1][-1]
    config = GlideClientConfiguration(
        runtime_dir=str(runtime_dir), inflight_requests_limit=limit, request_timeout=9_000
    )
    with glidecache.sync.GlideClient.create(config) as client:
        outcomes: list[Any] = []

        def ask() -> None:
            try:
                outcomes.append(client.echo("x"))
            except RequestError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=ask) for _ in range(limit)]
        for thread in threads:
            thread.start()
        requests = client._finish.__self__  # type: ignore[attr-defined]
        wait_until(lambda: requests.open == limit, "all threads wait for replies")
        for do in (client.ping, lambda: client.get("k"), lambda: client.exec(Batch(False).get("k"), False)):
            with pytest.raises(
                RequestError, match=f"Reached maximum inflight requests.*limit is {limit}"
            ) as raised:
                do()
            assert type(raised.value) is RequestError
        answer.set()
        for thread in threads:
            thread.join()
        assert outcomes == [b"x"] * limit
        assert client.echo("y") == b"y"
        assert not requests.open


def test_a_client_at_its_limit_can_be_closed(daemon: FakeDaemon, runtime_dir: Any) -> None:
    config = GlideClientConfiguration(runtime_dir=str(runtime_dir), inflight_requests_limit=1)
    client = glidecache.sync.GlideClient.create(config)
    client._finish.__self__.open += 1  # type: ignore[attr-defined]
    client.close()
    client._finish.__self__.open -= 1  # type: ignore[attr-defined]
    with pytest.raises(ClosingError, match="the client is closed"):
        client.ping()
    assert daemon.seen


def test_errors_have_glides_words(daemon: FakeDaemon, connect: Connect) -> None:
    client = connect(request_timeout=60)
    text = "CROSSSLOT Keys in request don't hash to the same slot"
    for code in (protocol.ERROR_TIMEOUT, protocol.ERROR_OVERDUE):
        daemon.refusals = [(code, "no reply from the server in time")]
        with pytest.raises(glidecache.TimeoutError, match="timed out: no reply from the server in time"):
            client.call("ping")
    daemon.refusals = [(protocol.ERROR_REQUEST, text)]
    with pytest.raises(RequestError, match=r"^CROSSSLOT .*CrossSlot"):
        client.call("rename", "a", "b")
    daemon.answers[protocol.BATCH] = lambda _body: [protocol.ReplyError(text)]
    [error] = client.call("exec", Batch(False).get("k"), False)
    assert "CrossSlot" in str(error)
    del daemon.answers[protocol.COMMAND]
    with pytest.raises(glidecache.TimeoutError, match="timed out"):
        client.call("ping")
    assert str(glidecache.TimeoutError()) == "timed out"


def test_clients_are_of_one_base() -> None:
    assert all(issubclass(each, ClientBase) for each in CLIENTS)
