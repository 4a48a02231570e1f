"""Messages that no client of this project would send, made from a seed: each with the name of its sort.

A message is the body of one ZMTP frame. `Messages` mixes what is well-formed with what is not, because most of a
daemon's code lies behind the first checks: right requests, right ones with a wrong part, right ones with wrong bytes,
msgpack that means nothing, and noise.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

import msgpack

from glidecache_shared import protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_FAR_NS = 5_000_000_000
_KEYS = [b"k%d" % number for number in range(40)] + [b"", b"\0", b"\xff" * 200, b"{tag}x"]
_NUMBERS = (0, 1, -1, 2, 7, 255, 256, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64 - 1)
_TEXTS = (
    "",
    "standalone",
    "cluster",
    "default",
    "none",
    "primary",
    "x" * 201,
    "\0",
    "../../etc/passwd",
    "\U0001f512",
)
_CANCEL: int = getattr(protocol, "CANCEL", 15)
_OPERATIONS = tuple(range(protocol.ADVISE + 1))
_SPEC_KEYS = (
    "mode", "upstream", "addresses", "use_tls", "tls", "username", "password", "database_id", "client_name",
    "read_from", "request_timeout_ms", "lazy_connect", "cache", "colour",
)  # fmt: skip
_LONGEST_NOISE = 300


class Messages:
    """An endless source. `port` is a real server's, `instance_id` and `sessions` the daemon's, as they are learnt."""

    def __init__(self, random: random.Random, port: int) -> None:
        self.instance_id = 0
        self.sessions: list[int] = []
        self._random = random
        self._port = port
        self._numbers = 0
        self._sorts: list[tuple[str, Callable[[], bytes]]] = [
            *[("right request", self.right)] * 8,
            *[("wrong part", self._wrong_part)] * 6,
            *[("wrong bytes", self._wrong_bytes)] * 4,
            *[("attach", self._attach)] * 2,
            *[("claimed length", self._claimed_length)] * 1,
            *[("nested deeply", self._nested)] * 1,
            *[("any msgpack", self._any_msgpack)] * 2,
            *[("noise", self._noise)] * 2,
        ]

    def next(self) -> tuple[str, bytes]:
        """One message, and the name of its sort."""
        name, make = self._random.choice(self._sorts)
        return name, make()

    def right(self) -> bytes:
        """A request that the daemon has to answer with a result or an error."""
        return protocol.pack(self._request())

    def _request(self) -> list[Any]:
        operation = self._random.choice(_OPERATIONS)
        return [
            operation,
            self._id(),
            self.instance_id,
            time.monotonic_ns() + _FAR_NS,
            *self._body(operation),
        ]

    def _id(self) -> int:
        self._numbers += 1
        return self._numbers

    def _body(self, operation: int) -> list[Any]:
        pick = self._random.choice
        session = pick(self.sessions) if self.sessions else 1
        keys = [pick(_KEYS) for _ in range(pick((0, 1, 2, 30)))]
        number = pick((1, 2, 3))
        bodies: dict[int, Callable[[], list[Any]]] = {
            protocol.HELLO: lambda: [protocol.PROTOCOL_VERSION, "fuzz"],
            protocol.ATTACH: lambda: [self._plain_spec()],
            protocol.DETACH: lambda: [pick((session, 1, 10**9))],
            protocol.COMMAND: lambda: [session, self._command()],
            protocol.READ: lambda: [session, number, pick(_KEYS)],
            protocol.GET_MANY: lambda: [session, keys],
            protocol.BATCH: lambda: [session, pick((True, False)), [self._command() for _ in keys]],
            protocol.FLUSH: lambda: [f"fuzz-{number}"],
            protocol.DROP: lambda: [f"fuzz-{number}"],
            protocol.WATCH: lambda: [session, number, pick((True, False)), keys],
            protocol.UNWATCH: lambda: [session, number],
            protocol.HOTTEST: lambda: ["steady", number],
            protocol.FORGET: lambda: [pick((session, "steady")), pick((keys, pick(_KEYS)))],
            protocol.ADVISE: lambda: [
                pick((None, "steady", f"fuzz-{number}")),
                *(pick((None, [number], [number] * 64)) for _ in range(2)),
            ],
            _CANCEL: lambda: [pick((self._numbers, self._numbers - 1, 1, 2**63 - 1))],
            protocol.EXEC: lambda: [session, number, [self._command() for _ in keys]],
        }
        make = bodies.get(operation)
        return [] if make is None else make()

    def _command(self) -> list[bytes]:
        key = self._random.choice(_KEYS)
        return self._random.choice(
            (
                [b"GET", key],
                [b"SET", key, key * 3],
                [b"sadd", key, b"m"],
                [b"HGETALL", key],
                [b"SMEMBERS", key],
                [b"DEL", key],
                [b"INCR", key],
                [b"BLPOP", key, b"0.001"],
                [b"SELECT", b"1"],
                [b"SUBSCRIBE", key],
                [b"EVAL", b"local t = {1} for i = 1, 50 do t = {t} end return t", b"0"],
                [b"MULTI"],
                [key],
                [b"GET"],
                [key, *_KEYS],
            )
        )

    def _plain_spec(self) -> dict[str, Any]:
        pick = self._random.choice
        settings = {
            "max_cache_kb": pick((1, 8, 64)),
            "entry_ttl_ms": pick((0, 1, 5_000)),
            "eviction_policy": pick(("LRU", "LFU")),
            "enable_metrics": pick((True, False)),
        }
        caches = (
            None,
            {"id": f"fuzz-{pick(range(40))}", "settings": settings},
            {"id": "fuzz", "name": f"fuzz-{pick((1, 2, 3))}", "settings": settings},
            {"name": "steady"},
        )
        spec: dict[str, Any] = {
            "mode": "standalone",
            "cache": pick(caches),
            "lazy_connect": pick((True, False)),
        }
        if pick((True, False)):
            # A server that is there, a port that nobody listens at, and a name that nobody has.
            spec["addresses"] = [pick((["127.0.0.1", self._port], ["127.0.0.1", 1], ["fuzz.invalid", 1]))]
            spec["password"] = pick((None, "wrong"))
        return spec

    def _attach(self) -> bytes:
        """ATTACH with a spec of known keys, and of values that do not belong to them."""
        spec: dict[Any, Any] = self._plain_spec()
        for _ in range(self._random.choice((1, 2, 4))):
            spec[self._random.choice((*_SPEC_KEYS, *_NUMBERS, *_TEXTS))] = self._value(3)
        if self._random.random() < 0.2:
            spec["cache"] = {"id": "c", "settings": self._value(1)}
        return _pack([protocol.ATTACH, self._id(), self.instance_id, time.monotonic_ns() + _FAR_NS, spec])

    def _wrong_part(self) -> bytes:
        """A right request, one part of which is something else, missing, or one too many."""
        request = self._request()
        place = self._random.randrange(len(request))
        what = self._random.random()
        if what < 0.6:
            request[place] = self._value(2)
        elif what < 0.8:
            del request[place]
        else:
            request.insert(place, self._value(2))
        return _pack(request)

    def _wrong_bytes(self) -> bytes:
        """A right request with bytes changed, lost, doubled or put in."""
        message = bytearray(self.right())
        for _ in range(self._random.choice((1, 1, 2, 8))):
            start = self._random.randrange(len(message) + 1)
            end = min(len(message), start + self._random.choice((1, 1, 2, 9)))
            noise = self._random.randbytes(end - start)
            message[start:end] = self._random.choice((noise, b"", message[start:end] * 2, noise * 3))
        return bytes(message)

    def _claimed_length(self) -> bytes:
        """A header that promises more than comes."""
        header = self._random.choice((b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9", b"\xdc", b"\xde"))
        claimed = struct.pack(">I", self._random.choice((1, 2**16, 2**31, 2**32 - 1)))
        return (header + claimed) * self._random.choice((1, 3, 200)) + self._random.randbytes(8)

    def _nested(self) -> bytes:
        """One within the other, where a request has something else: arrays, maps, extensions."""
        depth = self._random.choice((3, 100, 500, 990, 1_015, 2_000))
        inner = b"\x90"
        how = self._random.random()
        if how < 0.4:
            inner = b"\x91" * depth + inner
        elif how < 0.7:
            inner = b"\x81\x01" * depth + inner
        else:
            for _ in range(min(depth, 500)):
                inner = b"\x91\xc9" + struct.pack(">I", len(inner)) + b"\x01" + inner
        request = [protocol.pack(part) for part in self._request()]
        request[self._random.randrange(len(request))] = inner
        return b"\xdc" + struct.pack(">H", len(request)) + b"".join(request)

    def _any_msgpack(self) -> bytes:
        return _pack([self._value(4) for _ in range(self._random.randrange(8))])

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.randrange(_LONGEST_NOISE))

    def _value(self, depth: int) -> Any:
        pick = self._random.choice
        sort = self._random.randrange(10 if depth else 7)
        if sort == 7:
            return [self._value(depth - 1) for _ in range(pick((0, 1, 3)))]
        if sort == 8:
            return {
                pick((*_TEXTS, *_NUMBERS, *_KEYS)): self._value(depth - 1) for _ in range(pick((0, 1, 3)))
            }
        if sort == 9:
            return msgpack.ExtType(
                pick((0, 1, 2, 3, 127)), pick((b"", b"\x90", b"\x91\x01", b"12", b"\xff\xfe"))
            )
        simple: tuple[Any, ...] = (
            pick(_NUMBERS),
            pick(_TEXTS),
            pick(_KEYS),
            None,
            pick((True, False)),
            pick((0.0, -1.5, float("nan"), float("inf"))),
            self._random.randbytes(pick((0, 1, 64))),
        )
        return simple[sort]


def _pack(message: list[Any]) -> bytes:
    packed: bytes = msgpack.packb(message, use_bin_type=True)
    return packed
