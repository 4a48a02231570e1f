"""The slot of a key, and the commands whose slot is certain at first sight."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glidecache_shared.command_table import irregular_names, names_of_keys_alone
from glidecached.upstream.cluster.routing import Part, RoutingPlan, plan
from glidecached.upstream.cluster.slots import SLOTS, key_slot, slot_of_one_key
from glidecached.upstream.cluster.topology import Topology
from glidecached.upstream.target import Address

IRREGULAR = irregular_names()
KEYS_ALONE = names_of_keys_alone()
TOPOLOGY = Topology([(0, SLOTS - 1, [Address("10.0.0.1", 1)])])
KEYS = st.binary(max_size=300) | st.text("{}a", max_size=8).map(str.encode)
NAMES = st.sampled_from(sorted({*IRREGULAR, b"GET", b"HSET", b"SORT_RO", b"MYMODULE.DO"}))
WORDS = st.sampled_from([b"1", b"2", b"STREAMS", b"KEYS", b"STORE", b"USAGE", b"", b"{", b"a{k}", b"{k}b"])


@settings(deadline=None)
@given(KEYS)
def test_a_slot_is_the_checksum_of_the_tag_or_else_of_the_key(key: bytes) -> None:
    tag = key.partition(b"{")[2].partition(b"}")
    checked = tag[0] if tag[0] and tag[1] else key
    assert key_slot(key) == crc_hqx(checked, 0) % SLOTS


@pytest.mark.parametrize("key", [None, "foo", bytearray(b"foo")])
def test_only_bytes_have_a_slot(key: Any) -> None:
    with pytest.raises(TypeError):
        key_slot(key)


@settings(deadline=None, max_examples=500)
@given(NAMES, st.booleans(), st.lists(WORDS, min_size=1, max_size=5))
def test_the_fast_path_leads_where_the_plan_does(name: bytes, lower: bool, rest: list[bytes]) -> None:
    arguments = [name.lower() if lower else name, *rest]
    slot = slot_of_one_key(arguments)
    if slot >= 0:
        assert plan(arguments, None, TOPOLOGY) == RoutingPlan([Part(arguments, slot)])
    else:
        assert name in IRREGULAR
        assert name not in KEYS_ALONE or len(rest) > 1


@pytest.mark.parametrize(
    "command",
    ["GET foo", "get foo", "HGETALL foo", "SET foo 1 EX 5", "EXISTS foo", "del foo", "MYMODULE.DO foo x"],
)
def test_usual_commands_take_the_fast_path(command: str) -> None:
    words = command.encode().split()
    assert slot_of_one_key(words) == slot_of_one_key(tuple(words)) == 12182


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [b"GET"],
        [b"PING", b"foo"],
        [b"EXISTS", b"foo", b"{foo}x"],
        [b"EVAL", b"foo"],
        [b"MSET", b"foo", b"1"],
        ["GET", b"foo"],
        [b"GET", "foo"],
        [b"GET", None],
        b"GET foo",
        None,
    ],
)
def test_what_is_not_certain_is_left_to_the_plan(arguments: Any) -> None:
    assert slot_of_one_key(arguments) == -1
