"""Words of GLIDE's errors that programs look for, in errors of several slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, ClusterBatch, ListDirection, RequestError, Script

if TYPE_CHECKING:
    from support.connector import Connector

CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("rename", ("abc", "zxy")),
    ("blpop", (["abc", "zxy", "lkn"], 0.1)),
    ("sinter", (["abc", "zxy"],)),
    ("lmove", ("abc", "zxy", ListDirection.LEFT, ListDirection.LEFT)),
    ("xread", ({"abc": "0-0", "zxy": "0-0"},)),
    ("invoke_script", (Script("return KEYS"), ["abc", "zxy"])),
    ("custom_command", (["RENAME", "abc", "zxy"],)),
]


@pytest.mark.parametrize(("method", "arguments"), CALLS, ids=[method for method, _ in CALLS])
def test_commands_over_several_slots_say_crossslot(
    connect: Connector, method: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(RequestError, match=r"^CROSSSLOT .*CrossSlot"):
        connect().call(method, *arguments)


@pytest.mark.parametrize("batch_class", [Batch, ClusterBatch])
def test_transactions_over_several_slots_say_crossslot(
    connect: Connector, batch_class: type[Batch | ClusterBatch]
) -> None:
    client = connect()
    with pytest.raises(RequestError, match=r"^CROSSSLOT .*CrossSlot"):
        client.call("exec", batch_class(True).set("key1", "v").set("key2", "v"), True)
    with pytest.raises(RequestError, match=r"^CROSSSLOT .*CrossSlot"):
        client.call("exec", batch_class(False).rename("abc", "zxy"), False)


@pytest.mark.parametrize("batch_class", [Batch, ClusterBatch])
@pytest.mark.parametrize("is_atomic", [False, True])
def test_either_class_of_batch_runs_in_a_cluster(
    connect: Connector, batch_class: type[Batch | ClusterBatch], is_atomic: bool
) -> None:
    batch = batch_class(is_atomic).set("k", "OK").get("k").delete(["k"])
    assert connect().call("exec", batch, True) == ["OK", b"OK", 1]
