"""The shared connection carries only commands known as safe: other clients do not notice what one client sends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, RequestError, StreamReadGroupOptions
from glidecache_shared.command_table import DEDICATED, all_rows, row_of
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.clients import AnyClient
    from support.connector import Connector
    from support.valkey_server import ValkeyServer

BLOCK_MS = 3_000
GROUPS = ("streams", "block", "BLOCK", "count", "group")


def blocked(server: ValkeyServer) -> int:
    """Return the number of clients that the server keeps waiting."""
    return int(server.admin.info("clients")["blocked_clients"])


def need_free(client: AnyClient) -> None:
    """Check that another client's commands are answered while one client waits."""
    began = time.monotonic()
    for _ in range(3):
        client.call("incr", "n")
        client.call("get", "n")
    assert time.monotonic() - began < BLOCK_MS / 1_000 / 2, "it waited with the one that blocks"


@pytest.mark.parametrize("group", GROUPS)
def test_i3_a_group_called_as_an_option_holds_up_nobody(
    connect: Connector, valkey: ValkeyServer, group: str
) -> None:
    waiting, other = connect(request_timeout=2 * BLOCK_MS), connect()
    waiting.call("custom_command", ["XGROUP", "CREATE", "s", group, "$", "MKSTREAM"])
    other.call("set", "n", "0")
    with ThreadPoolExecutor() as threads:
        options = StreamReadGroupOptions(block_ms=BLOCK_MS)
        reply = threads.submit(waiting.call, "xreadgroup", {"s": ">"}, group, "me", options)
        wait_until(lambda: blocked(valkey) == 1, "the server keeps it waiting")
        need_free(other)
        valkey.admin.xadd("s", {"f": "v"})
        assert list(reply.result()[b"s"].values()) == [[[b"f", b"v"]]]


BLOCKING: dict[str, list[str]] = {
    "BLPOP": ["BLPOP", "q", "3"],
    "brpop": ["brpop", "q", "3"],
    "BLMOVE": ["BLMOVE", "q", "r", "LEFT", "LEFT", "3"],
    "BLMPOP": ["BLMPOP", "3", "1", "q", "LEFT"],
    "BRPOPLPUSH": ["BRPOPLPUSH", "q", "r", "3"],
    "BZPOPMIN": ["BZPOPMIN", "z", "3"],
    "bzpopmax": ["bzpopmax", "z", "3"],
    "BZMPOP": ["BZMPOP", "3", "1", "z", "MIN"],
    "XREAD": ["XREAD", "block", "3000", "STREAMS", "block", "$"],
    "XREAD\\0": ["XREAD", "BLOCK\0", "3000", "STREAMS", "s", "$"],
    "WAIT": ["WAIT", "1", "3000"],
}


@pytest.mark.parametrize("command", BLOCKING.values(), ids=BLOCKING)
def test_i3_what_blocks_holds_up_nobody(connect: Connector, valkey: ValkeyServer, command: list[str]) -> None:
    waiting, other = connect(request_timeout=2 * BLOCK_MS), connect()
    assert row_of([word.encode() for word in command]).lane == DEDICATED
    other.call("set", "n", "0")
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(_outcome, waiting, command)
        wait_until(lambda: blocked(valkey) == 1 or reply.done(), "it waits, or is refused")
        need_free(other)
        for connection in valkey.admin.client_list():
            if "b" in connection["flags"]:
                valkey.admin.client_unblock(connection["id"])
        reply.result()


def _outcome(client: AnyClient, command: list[str]) -> Any:
    try:
        return client.call("custom_command", command)
    except RequestError as error:
        return error


def carried(server: ValkeyServer, command: str) -> set[str]:
    """Return the connections whose last command is the given one."""
    return {each["id"] for each in server.admin.client_list() if each["cmd"] == command}


@pytest.mark.parametrize(
    ("command", "last"),
    [
        (["DEBUG", "JMAP"], "debug"),
        (["COMMAND", "DOCS", "GET"], "command|docs"),
        (["MODULE", "LIST"], "module|list"),
        (["SAVE"], "save"),
        (["NOSUCH", "k"], "NULL"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else each,
)
def test_i3_what_is_not_known_as_safe_leaves_the_shared_connection(
    connect: Connector, valkey: ValkeyServer, command: list[str], last: str
) -> None:
    client = connect()
    client.call("set", "k", "v")
    shared = carried(valkey, "set")
    assert len(shared) == 1
    _outcome(client, command)
    assert shared.isdisjoint(carried(valkey, last))


@pytest.mark.parametrize("atomic", [True, False])
def test_i3_a_batch_goes_whole_by_its_most_demanding_member(
    connect: Connector, valkey: ValkeyServer, atomic: bool
) -> None:
    client = connect()
    client.call("set", "k", "v")
    shared = next(iter(carried(valkey, "set")))
    batch = Batch(is_atomic=atomic)
    batch.set("k", "1")
    batch.custom_command(["NOSUCH", "k"])
    batch.get("k")
    if atomic:
        with pytest.raises(RequestError, match="unknown command"):
            client.call("exec", batch, raise_on_error=False)
    else:
        results = client.call("exec", batch, raise_on_error=False)
        assert [results[0], results[2]] == ["OK", b"1"]
        assert isinstance(results[1], RequestError)
    assert shared not in carried(valkey, "exec") | carried(valkey, "get")
    assert client.call("get", "k") == (b"v" if atomic else b"1")


def test_i3_refusals_reach_the_caller(connect: Connector) -> None:
    client = connect()
    refused = [row.name for row in all_rows().values() if row.refusal]
    assert len(refused) > 25
    for name in refused:
        with pytest.raises(RequestError, match=f"{name} is bound to one connection"):
            client.call("custom_command", [*name.split(), "x"])
