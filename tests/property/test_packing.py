"""The compiled packing beside msgpack itself: the same bytes, the same values, and nothing else than these."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glidecache_shared import protocol
from glidecache_shared.wire import packing

LENGTHS = (0, 15, 16, 31, 32, 255, 256, 65_535, 65_536)
NUMBERS = [
    sign * 2**bits + off for bits in (5, 7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for off in (-1, 0, 1)
]

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([number for number in NUMBERS if -(2**63) <= number < 2**63])
    | st.binary(max_size=300)
    | st.text(max_size=40)
)
keys = st.binary(max_size=20) | st.text(max_size=20) | st.integers(-(2**63), 2**63 - 1)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(keys, inner, max_size=20),
    max_leaves=30,
)

rare = (
    st.floats()
    | st.integers(2**63, 2**64 - 1)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
    | st.builds(msgpack.Timestamp, st.integers(0, 2**34), st.integers(0, 999_999_999))
)
whatever_msgpack_knows = st.recursive(
    leaves | rare,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(keys | st.booleans() | st.none() | st.floats(), inner, max_size=20)
    ),
    max_leaves=30,
)
# Bytes with which another type, or another length, begins.
CODES = (0x81, 0x8F, 0x91, 0x9F, 0xA1, 0xBF, 0xC1, *range(0xC4, 0xE0))


def library_reads(frame: bytes) -> Any:
    """What msgpack makes of it, or `LeftToMsgpackError` where it refuses."""
    try:
        return msgpack.unpackb(frame, strict_map_key=False)
    except Exception:  # noqa: BLE001 - msgpack's errors share no base
        return packing.LeftToMsgpackError


@settings(max_examples=100)
@given(values)
def test_what_is_packed_here_is_what_msgpack_packs(value: Any) -> None:
    packed = packing.pack(value)
    assert packed == msgpack.packb(value)
    assert packing.unpack(packed) == value


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_at_which_the_form_changes(length: int) -> None:
    for value in (b"x" * length, "x" * length, [None] * length, dict.fromkeys(range(length))):
        assert packing.pack(value) == msgpack.packb(value)
        assert packing.unpack(msgpack.packb(value)) == value


@settings(max_examples=100)
@given(st.binary(max_size=40))
def test_what_is_read_here_is_what_msgpack_reads(frame: bytes) -> None:
    try:
        value = packing.unpack(frame)
    except packing.LeftToMsgpackError:
        return
    assert value == library_reads(frame)


@settings(max_examples=200)
@given(whatever_msgpack_knows, st.data())
def test_what_has_been_damaged_is_read_as_msgpack_reads_it_or_left_to_it(
    value: Any, data: st.DataObject
) -> None:
    frame = bytearray(msgpack.packb(value))
    places = st.tuples(st.integers(0, len(frame) - 1), st.sampled_from(CODES) | st.integers(0, 255))
    for place, code in data.draw(st.lists(places, max_size=3)):
        frame[place] = code
    try:
        read = packing.unpack(frame)
    except packing.LeftToMsgpackError:
        return
    # By their texts: 1 is equal to True, and NaN to nothing.
    assert repr(read) == repr(library_reads(bytes(frame)))


@settings(max_examples=50)
@given(whatever_msgpack_knows)
def test_nothing_is_read_behind_the_end(value: Any) -> None:
    frame = msgpack.packb(value)
    for length in range(len(frame)):
        with pytest.raises(packing.LeftToMsgpackError):
            packing.unpack(frame[:length])


@settings(max_examples=100)
@given(values, st.data())
def test_a_message_that_is_cut_short_or_goes_on_is_not_read(value: Any, data: st.DataObject) -> None:
    packed = packing.pack(value)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    for wrong in (cut, packed + b"\x00"):
        with pytest.raises(packing.LeftToMsgpackError):
            packing.unpack(wrong)


@pytest.mark.parametrize("code", [b"\xdd", b"\xdf", b"\xc6", b"\xdb"], ids=["array", "map", "bin", "str"])
def test_lengths_that_cannot_be_true_cost_no_memory(code: bytes) -> None:
    with pytest.raises(packing.LeftToMsgpackError):
        packing.unpack(code + b"\xff\xff\xff\xff" + bytes(100))


@pytest.mark.parametrize(
    "value",
    [1.5, {1, 2}, 2**63, -(2**63) - 1, "\ud800", protocol.ReplyError("ERR"), bytearray(b"x")],
    ids=repr,
)
def test_what_is_rare_is_left_to_msgpack(value: Any) -> None:
    for message in (value, [value], {b"k": value}):
        with pytest.raises(packing.LeftToMsgpackError):
            packing.pack(message)


def test_what_is_nested_deeply_is_left_to_msgpack() -> None:
    nested: Any = b"x"
    for _ in range(17):
        nested = [nested]
    with pytest.raises(packing.LeftToMsgpackError):
        packing.pack(nested)
    with pytest.raises(packing.LeftToMsgpackError):
        packing.unpack(msgpack.packb(nested))
    assert protocol.unpack(protocol.pack(nested)) == nested


@settings(max_examples=100)
@given(values)
def test_both_ways_lead_through_the_protocol(value: Any) -> None:
    for message in ([value], [value, 2**64, {b"a", b"b"}, 0.5]):
        assert protocol.unpack(protocol.pack(message)) == message
