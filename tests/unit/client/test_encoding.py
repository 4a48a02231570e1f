"""Arguments as bytes (contract C5)."""

from __future__ import annotations

import datetime as dt
import enum
import re
from typing import Any

import pytest

from glidecache.commands.encoding import encode, encode_command, encode_each, encode_pairs


class Level(enum.IntEnum):
    """A number that shows itself by name."""

    HIGH = 3


class Name(enum.StrEnum):
    """A text of a class of its own."""

    ALICE = "alice"


class Ratio(float):
    """A float that shows itself otherwise, as numpy's do."""

    def __repr__(self) -> str:
        return "Ratio"


@pytest.mark.parametrize(
    ("argument", "encoded"),
    [
        (b"\x00\xff", b"\x00\xff"),
        ("ä", "ä".encode()),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (-12, b"-12"),
        (1.5, b"1.5"),
        (float("inf"), b"inf"),
        (1e300, b"1e+300"),
        (Level.HIGH, b"3"),
        (Name.ALICE, b"alice"),
        (Ratio(0.5), b"0.5"),
        (b"", b""),
    ],
)
def test_c5_arguments_become_bytes(argument: Any, encoded: bytes) -> None:
    result = encode(argument, "key")
    assert result == encoded
    assert type(result) is bytes


@pytest.mark.parametrize("wrong", [None, True, [], 1j, object()])
def test_other_types_are_refused_by_name_and_position(wrong: Any) -> None:
    name = type(wrong).__name__
    with pytest.raises(TypeError, match=f"^argument 2 of SET must be bytes, .* or float, not {name}(:|$)"):
        encode_command(b"SET", "key", wrong)
    with pytest.raises(TypeError, match=rf"^keys\[1\] must be .*, not {name}(:|$)"):
        encode_each(["a", wrong], "keys")
    with pytest.raises(TypeError, match=f"the value of 'a' in fields must be .*, not {name}(:|$)"):
        encode_pairs({"a": wrong}, "fields")


@pytest.mark.parametrize("wrong", ["abc", b"abc", 5, None])
def test_a_list_is_a_list(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"keys must be a list, not {type(wrong).__name__}"):
        encode_each(wrong, "keys")


def test_a_mapping_is_a_mapping() -> None:
    with pytest.raises(TypeError, match="fields must be a mapping, not list"):
        encode_pairs([("a", 1)], "fields")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "instead"),
    [
        (True, "write 1 or 0"),
        (dt.timedelta(seconds=1), "int(delta.total_seconds())"),
        (dt.datetime(2030, 1, 1, tzinfo=dt.UTC), "int(moment.timestamp())"),
        ({"a": 1}, "json.dumps(value)"),
    ],
)
def test_what_other_clients_take_tells_what_to_write(wrong: Any, instead: str) -> None:
    with pytest.raises(TypeError, match=re.escape(instead)):
        encode_command(b"SET", "key", wrong)


@pytest.mark.parametrize("alone", ["k", b"k", bytearray(b"k"), memoryview(b"k"), 1, 1.5])
def test_a_lone_argument_is_to_be_a_list_of_one(alone: Any) -> None:
    with pytest.raises(TypeError, match=r"keys must be a list, not \w+: write a list of one, \[value\]"):
        encode_each(alone, "keys")
