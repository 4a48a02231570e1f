"""Values at the bounds of what a message may hold, packed by hand: valid, just invalid, and absurd ones.

Each has a name, so that a failure says what it was.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = (0, 1, -1, 127, 128, 255, 256, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)
LENGTHS = (0, 1, 31, 32, 64, 200, 201, 255, 256, 4_096, 65_535, 65_536, 1_100_000)
CLAIMS = {
    "array": b"\xdd", "map": b"\xdf", "bin": b"\xc6", "str": b"\xdb", "ext": b"\xc9",
}  # fmt: skip
DEPTHS = (3, 30, 500, 1_000, 20_000)


def values() -> Iterator[tuple[str, bytes]]:
    """Return every value with its name."""
    for name, value in (("nil", None), ("true", True), ("false", False), ("half", 0.5)):
        yield name, pack(value)
    for number in NUMBERS:
        yield f"the number {number}", pack(number)
    yield "not a number", pack(float("nan"))
    yield "infinity", pack(float("inf"))
    for length in LENGTHS:
        yield f"a text of {length}", pack("x" * length)
        yield f"{length} bytes", pack(b"x" * length)
    yield "a text that is no UTF-8", b"\xa2\xff\xfe"
    yield "a surrogate", b"\xa3\xed\xa0\x80"
    yield "a text of nulls", pack("\0" * 8)
    yield "a path", pack("../../etc/passwd")
    yield from _containers()
    yield from _extensions()
    yield "a byte that means nothing", b"\xc1"


def _containers() -> Iterator[tuple[str, bytes]]:
    for count in (0, 1, 2, 15, 16, 1_000, 60_000):
        yield f"a list of {count} nils", struct.pack(">BI", 0xDD, count) + b"\xc0" * count
        yield f"a list of {count} lists", struct.pack(">BI", 0xDD, count) + b"\x90" * count
        yield f"a list of {count} keys", struct.pack(">BI", 0xDD, count) + b"\xc4\x01k" * count
        yield (
            f"a map of {count}",
            struct.pack(">BI", 0xDF, count)
            + b"".join(struct.pack(">BI", 0xCE, number) + b"\xc0" for number in range(count)),
        )
    yield "a list of numbers", pack([1, 2, 3])
    yield "a list of texts", pack(["GET", "k"])
    yield "a list of lists of bytes", pack([[b"GET", b"k"]])
    yield "a list of lists of everything", pack([[None, True, 1, 0.5, "x", b"x", [], {}]])
    yield "a map of texts", pack({"mode": "standalone"})
    for name, key in (("nil", b"\xc0"), ("a list", b"\x91\x01"), ("a map", b"\x80"), ("bytes", b"\xc4\x01k"),
                      ("a float", b"\xca\x00\x00\x00\x00"), ("an extension", b"\xd4\x01\x90"),
                      ("a big integer", b"\xd4\x03\x31")):  # fmt: skip
        yield f"a map with {name} for a key", b"\x81" + key + b"\x01"
    yield "a map with one key twice", b"\x82\xa4mode\xa1a\xa4mode\xa1b"
    for name, header in CLAIMS.items():
        for length in (1, 2**16, 2**31, 2**32 - 1):
            yield f"a claim of {length} in a {name}", header + struct.pack(">I", length)
    for depth in DEPTHS:
        yield f"{depth} lists in each other", b"\x91" * depth + b"\x90"
        yield f"{depth} maps in each other", b"\x81\x01" * depth + b"\x80"
        yield f"{depth} maps as keys of each other", b"\x81" * depth + b"\xc0" * (depth + 1)
    nested = b"\x90"
    for _ in range(100):
        nested = b"\x91\xc9" + struct.pack(">I", len(nested)) + b"\x01" + nested
    yield "sets in each other", nested


def _extensions() -> Iterator[tuple[str, bytes]]:
    for code in (0, 1, 2, 3, 4, 127, 255):
        for name, data in (("nothing", b""), ("noise", b"\xff\xfe\xfd"), ("an array", b"\x92\x01\x01"),
                           ("a claim", b"\xdd\xff\xff\xff\xff"), ("digits", b"12345678901234567890")):  # fmt: skip
            yield f"extension {code} of {name}", struct.pack(">BIB", 0xC9, len(data), code) + data
    for length in (4_300, 4_301, 400_000):
        yield f"a number of {length} digits", struct.pack(">BIB", 0xC9, length, 3) + b"9" * length
    yield "a set with a list in it", struct.pack(">BIB", 0xC9, 3, 1) + b"\x91\x91\x01"
    many = struct.pack(">BI", 0xDD, 50_000) + b"\x01" * 50_000
    yield "a set of one member 50,000 times", struct.pack(">BIB", 0xC9, len(many), 1) + many


def pack(value: Any) -> bytes:
    """Return a plain value, packed."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed
