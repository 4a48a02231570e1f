"""Flights after a FORGET (contract C25): generated orders of sending, forgetting and landing."""

from __future__ import annotations

import itertools
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecache_shared.protocol import HASH, STRING
from glidecached.pools.entries import PoolEntries
from glidecached.sequence import Sequence
from glidecached.single_flight import Flights

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = [b"a", b"b", b"c", b"aa", b"ab"]
PREFIXES = [b"a", b"b"]

keys = st.sampled_from(KEYS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), keys, st.sampled_from([STRING, HASH])),
        st.tuples(st.just("read many"), st.lists(keys, min_size=1, max_size=4)),
        st.tuples(st.just("forget"), keys),
        st.tuples(st.just("forget prefix"), st.sampled_from(PREFIXES)),
        st.tuples(st.just("land"), st.integers(0, 9), st.sampled_from(["succeed", "fail", "abandon"])),
    ),
    max_size=40,
)


class Shelf(PoolEntries):
    """A pool's entries that only remember what they were given: by which flight, under which key."""

    def __init__(self) -> None:
        super().__init__("shelf", None, lambda _error: False)
        self.stored: list[tuple[int, bytes]] = []

    def put(
        self, key: bytes, key_hash: int, generation: int, kind: int, value: Any, flight: int, expires_ns: int
    ) -> None:
        del key_hash, generation, kind, value, expires_ns
        self.stored.append((flight, key))


class Run:
    """Flights as they are, beside a plain model of the contract."""

    def __init__(self, upstream: Any, requests: Any) -> None:
        self.upstream, self.requests = upstream, requests
        self.numbers = Sequence()
        self.shelf = Shelf()
        self.flights = Flights(self.shelf, self.numbers)
        self.last = 0
        self.flying: dict[int, tuple[Any, tuple[bytes, ...], int | None]] = {}
        """By number: the call, its keys, and the kind of its command; None for several keys."""
        self.forgotten: dict[bytes, int] = {}
        self.forgotten_prefixes: dict[bytes, int] = {}

    def floor(self, key: bytes) -> int:
        """The number of the last FORGET that concerned the key."""
        by_prefix = (number for prefix, number in self.forgotten_prefixes.items() if key.startswith(prefix))
        return max(self.forgotten.get(key, 0), *by_prefix, 0)

    def joinable(self, key: bytes, kind: int | None) -> bool:
        """Return whether the youngest flight for that key and command was sent after its last FORGET."""
        numbers = [
            number for number, (_, names, of_kind) in self.flying.items() if key in names and of_kind == kind
        ]
        return bool(numbers) and max(numbers) > self.floor(key)

    def note_sent(self, wanted: tuple[bytes, ...], kind: int | None, sent_before: int) -> None:
        if not wanted:
            assert len(self.upstream.calls) == sent_before
            return
        self.last += 1
        assert len(self.upstream.calls) == sent_before + 1
        call = self.upstream.calls[-1]
        assert tuple(call.arguments)[1:] == wanted
        self.flying[self.last] = (call, wanted, kind)

    def read(self, key: bytes, kind: int) -> None:
        sent_before, joins = len(self.upstream.calls), self.joinable(key, kind)
        self.flights.read(self.requests(), self.upstream, 0, kind, key, 7)
        self.note_sent(() if joins else (key,), kind, sent_before)

    def read_many(self, wanted: list[bytes]) -> None:
        sent_before = len(self.upstream.calls)
        missing = tuple(dict.fromkeys(key for key in wanted if not self.joinable(key, None)))
        hashes = array("I", [7] * len(wanted)).tobytes()
        self.flights.many.read(self.requests(), self.upstream, 0, wanted, hashes, [None] * len(wanted))
        self.note_sent(missing, None, sent_before)

    def forget(self, key: bytes) -> None:
        self.last = self.numbers()
        self.forgotten[key] = self.last
        self.shelf.forgotten.add(key, self.last)

    def forget_prefix(self, prefix: bytes) -> None:
        self.last = self.numbers()
        self.forgotten_prefixes[prefix] = self.last
        self.shelf.forgotten.add_prefix(prefix, self.last)

    def land(self, which: int, outcome: str) -> None:
        if not self.flying:
            return
        number = sorted(self.flying)[which % len(self.flying)]
        call, names, kind = self.flying.pop(number)
        self.shelf.stored.clear()
        if outcome == "succeed":
            value: Any = [b"v"] * len(names) if kind is None else b"v" if kind == STRING else {b"f": b"v"}
            call.succeed(value)
        elif outcome == "fail":
            call.fail(3, "lost")
        else:
            call.abandon()
        stored = [(number, key) for key in names if outcome == "succeed" and number > self.floor(key)]
        assert self.shelf.stored == stored
        assert self.shelf.forgotten.flying == len(self.flying)


@pytest.fixture(scope="module")
def in_turn() -> Callable[[Run, Any], None]:
    """Do one step."""

    def do(run: Run, step: Any) -> None:
        what, *arguments = step
        {
            "read": run.read,
            "read many": run.read_many,
            "forget": run.forget,
            "forget prefix": run.forget_prefix,
            "land": run.land,
        }[what](*arguments)

    return do


def test_c25_no_older_flight_brings_back_what_was_forgotten_whatever_the_order(
    make_upstream: Callable[..., Any], in_turn: Callable[[Run, Any], None]
) -> None:
    """Flights of one and of several keys land in any order, or fail; forgotten keys spoil no other key of theirs."""
    from unit.daemon.conftest import Requests

    @given(steps)
    def check(chosen: list[Any]) -> None:
        run = Run(make_upstream(), Requests())
        for step in chosen:
            in_turn(run, step)
        while run.flying:
            run.land(0, "succeed")
        assert run.shelf.forgotten.remembered == 0

    check()


def test_c25_what_is_remembered_is_bounded_and_the_bound_keeps_the_rule(upstream: Any, requests: Any) -> None:
    """Beyond the bound every flight that is under way counts as older; the next one is as any other."""
    run = Run(upstream, requests)
    run.read_many([b"a", b"untouched"])
    for number in range(10_001):
        run.shelf.forgotten.add(b"%d" % number, run.numbers())
    assert run.shelf.forgotten.remembered == 0
    upstream.calls[0].succeed([b"v", b"v"])
    assert run.shelf.stored == []
    run.flights.many.read(requests(), upstream, 0, [b"1"], bytes(4), [None])
    upstream.calls[1].succeed([b"v"])
    assert [key for _, key in run.shelf.stored] == [b"1"]


@pytest.mark.parametrize("key", [b"x" * 600_000, b"y" * 1_048_577])
def test_c25_long_keys_are_bounded_as_well(upstream: Any, requests: Any, key: bytes) -> None:
    run = Run(upstream, requests)
    run.read(b"a", STRING)
    for number in itertools.count():
        run.shelf.forgotten.add(key + b"%d" % number, run.numbers())
        if run.shelf.forgotten.remembered == 0:
            break
    assert number < 2
    upstream.calls[0].succeed(b"v")
    assert run.shelf.stored == []


def test_c25_nothing_is_remembered_while_no_flight_is_under_way(upstream: Any, requests: Any) -> None:
    run = Run(upstream, requests)
    for key in KEYS:
        run.forget(key)
    assert run.shelf.forgotten.remembered == 0


def test_c25_a_slow_flight_does_not_keep_what_is_forgotten_after_its_end(
    upstream: Any, requests: Any
) -> None:
    """Flights that overlap without end: keys are dropped as the flights of their time land."""
    run = Run(upstream, requests)
    run.read(b"a", STRING)
    for number in range(2_000):
        run.read(b"%d" % number, HASH)
        run.shelf.forgotten.add(b"f%d" % number, run.numbers())
        upstream.calls[number].succeed(None)
        assert run.shelf.forgotten.remembered <= 4
