"""Every group of commands returns what GLIDE returns: values and types, from RESP2's replies and RESP3's.

`replies.json` is what GLIDE returned when tools/record_glide.py asked it; where GLIDE is installed it is asked again.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import glidecache
from glidecache import Batch, GlideError
from support.clients import AnyClient, at, close_all, open_client
from support.command_samples import GROUPS, Call, as_text
from support.daemon import Daemon
from support.glide_replies import glide_replies
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED: dict[str, list[list[str]]] = json.loads(Path(__file__).with_name("replies.json").read_text())
PROTOCOLS = {"RESP3": (), "RESP2": ('rename-command HELLO ""',)}

NOT_IN_TRANSACTIONS = {
    "failover": "the server refuses it there",
    "wait": "the server does not wait there",
}


@pytest.fixture(scope="module", params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(protocol: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server of the protocol: one that has no HELLO speaks RESP2."""
    server = ValkeyServer(tmp_path_factory.mktemp("replies"), *PROTOCOLS[protocol])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def daemon(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    upstreams = {"default": {"addresses": [f"{HOST}:{server.port}"]}}
    daemon = Daemon(tmp_path_factory.mktemp("replies-daemon"), {"upstreams": upstreams})
    daemon.start()
    yield daemon
    assert daemon.running, daemon.log_text()
    daemon.discard()


@pytest.fixture
def client(kind: str, daemon: Daemon, server: ValkeyServer) -> Iterator[AnyClient]:
    server.reset()
    client = open_client(kind, **at(daemon, server, request_timeout=5_000))
    yield client
    close_all([client])


def expected_of(group: str, calls: list[Call]) -> list[list[str]]:
    """The recorded replies of those calls that are made, of all calls of the group in order."""
    recorded = RECORDED[group]
    assert [call.method for call in calls] == [method for method, _ in recorded], "run tools/record_glide.py"
    return recorded


def returned_by(client: AnyClient, calls: list[Call]) -> list[list[str]]:
    """What the calls return, in the form of the record."""
    returned = []
    for call in calls:
        try:
            result = client.call(call.method, *call.arguments)
        except GlideError as error:
            result = error
        returned.append([call.method, as_text(result, loosely=call.loosely)])
    return returned


@pytest.mark.parametrize("group", GROUPS)
def test_c5_methods_return_what_glide_returns(group: str, client: AnyClient) -> None:
    calls = list(GROUPS[group](glidecache))
    assert returned_by(client, calls) == expected_of(group, calls)


def test_c5_without_a_daemon_too(kind: str, server: ValkeyServer, tmp_path: Path) -> None:
    runtime_dir = tmp_path / "run"
    runtime_dir.mkdir(mode=0o700)
    addresses = [glidecache.NodeAddress(HOST, server.port)]
    client = open_client(kind, addresses=addresses, runtime_dir=str(runtime_dir), request_timeout=1_000)
    try:
        for group, calls_of in GROUPS.items():
            server.reset()
            calls = list(calls_of(glidecache))
            assert returned_by(client, calls) == expected_of(group, calls)
    finally:
        close_all([client])


@pytest.mark.parametrize("is_atomic", [False, True])
@pytest.mark.parametrize("group", GROUPS)
def test_c5_batches_return_what_single_calls_return(group: str, is_atomic: bool, client: AnyClient) -> None:
    calls = list(GROUPS[group](glidecache))
    expected = expected_of(group, calls)
    batch = Batch(is_atomic=is_atomic)
    wanted = []
    for call, row in zip(calls, expected, strict=True):
        if is_atomic and call.method in NOT_IN_TRANSACTIONS:
            continue
        getattr(batch, call.method)(*call.arguments)
        wanted.append((call, row))
    results: list[Any] = client.call("exec", batch, False)
    returned = [
        [call.method, as_text(result, loosely=call.loosely)]
        for (call, _), result in zip(wanted, results, strict=True)
    ]
    assert returned == [row for _, row in wanted]


@pytest.mark.skipif(
    importlib.util.find_spec("glide") is None,
    reason="GLIDE is not installed: what was recorded cannot be compared with it (pip install '.[bench]')",
)
def test_the_record_is_what_the_installed_glide_returns(server: ValkeyServer, protocol: str) -> None:
    assert glide_replies(server, protocol) == RECORDED
