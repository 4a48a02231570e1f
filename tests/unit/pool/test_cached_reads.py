"""`CachedReads`: a hit never leaves compiled code, and anything else goes to the subclass's `_read_miss`."""

from __future__ import annotations

import inspect
import pickle
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from glidecache.core.many_keys import ManyKeys
from glidecache_shared.pool.reader import CachedReads, PoolReader, with_own_reads
from glidecache_shared.protocol import HASH, SET, STRING

if TYPE_CHECKING:
    from unit.pool.conftest import MakeStore

METHODS = {"get": STRING, "hgetall": HASH, "smembers": SET}


class Client(CachedReads):
    """Notes its misses, and answers them with a sentinel."""

    def __init__(self, reader: PoolReader | None = None) -> None:
        self._reader = reader
        self.misses: list[tuple[int, object]] = []

    def _read_miss(self, kind: int, key: object) -> object:
        self.misses.append((kind, key))
        return b"answer %d" % len(self.misses)


@pytest.mark.parametrize("method", METHODS)
def test_without_a_pool_everything_is_a_miss(method: str) -> None:
    client = Client()
    assert getattr(client, method)("k") == b"answer 1"
    assert client.misses == [(METHODS[method], "k")]


def test_hits_are_answered_from_the_pool_and_misses_are_handed_on(make_store: MakeStore) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    client = Client(PoolReader(store.pool_path, store.board_path))
    store.insert(b"g", STRING, b"v", 1)
    store.insert(b"h", HASH, {b"f": b"v"}, 2)
    store.insert(b"s", SET, set(), 3)
    assert (client.get("g"), client.hgetall(b"h"), client.smembers(bytearray(b"s"))) == (
        b"v",
        {b"f": b"v"},
        set(),
    )
    assert client.misses == []
    answers: list[Any] = [client.get(b"h"), client.hgetall(7)]
    assert answers == [b"answer 1", b"answer 2"]
    assert client.misses == [(STRING, b"h"), (HASH, 7)]
    client._reader = None  # what a subclass does when it loses its pool
    assert client.get("g") == b"answer 3"


def test_c17_each_key_of_many_is_looked_up_as_by_itself(make_store: MakeStore) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"string", STRING, b"value", 1)
    store.insert(b"hash", HASH, {b"f": b"v"}, 2)
    assert ManyKeys(reader, []).filled([]) == []
    looked_up = ManyKeys(reader, iter([b"string", "absent", 7, b"hash", "string"]))
    assert looked_up.missing == [b"absent", b"7", b"hash"]
    assert looked_up.filled([None, b"seven", None]) == [b"value", None, b"seven", None, b"value"]
    assert reader.metrics().hits == 2
    with pytest.raises(ValueError, match="1 replies for 3 keys"):
        looked_up.filled([None])
    wrong: Any = [b"string", None]
    with pytest.raises(TypeError, match=r"keys\[1\] must be bytes"):
        ManyKeys(reader, wrong)
    assert reader.metrics().hits == 2, "nothing is looked up before all keys are known to be keys"


def test_c11_many_keys_are_used_in_their_order(make_store: MakeStore) -> None:
    """The oldest of them is the next victim, though all were looked up with one look at the clock."""
    store = make_store(now_ns=time.monotonic_ns())
    reader = PoolReader(store.pool_path, store.board_path)
    keys = [b"c", b"a", b"d", b"b"]
    for number, key in enumerate(keys):
        store.insert(key, STRING, b"v", time.monotonic_ns() + number)
    order = [b"a", b"b", b"c", b"d"]
    ManyKeys(reader, order)
    assert [entry.key for entry in store.hottest(4)][::-1] == order


def test_a_pool_that_is_not_trusted_is_a_miss(make_store: MakeStore) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    client = Client(PoolReader(store.pool_path, store.board_path))
    store.insert(b"g", STRING, b"v", 1)
    store.retire()
    assert client.get("g") == b"answer 1"


def test_an_error_of_the_miss_reaches_the_caller(make_store: MakeStore) -> None:
    class Broken(CachedReads):
        def _read_miss(self, kind: int, key: object) -> object:
            message = f"no upstream for {kind} {key!r}"
            raise ConnectionError(message)

    store = make_store(now_ns=time.monotonic_ns())
    client = Broken()
    client._reader = PoolReader(store.pool_path, store.board_path)  # as a subclass does
    with pytest.raises(ConnectionError, match="no upstream for 1 'k'"):
        client.get("k")


def test_a_key_of_the_wrong_type_is_no_miss(make_store: MakeStore) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    client = Client(PoolReader(store.pool_path, store.board_path))
    wrong_keys: list[Any] = [True, None, [b"k"]]
    for wrong in wrong_keys:
        with pytest.raises(TypeError):
            client.get(wrong)
    assert client.misses == []


@with_own_reads
class OwnReads(Client):
    """A class whose instances are used as they are, as the blocking clients."""


def test_own_reads_are_the_same_reads(make_store: MakeStore) -> None:
    store = make_store(now_ns=time.monotonic_ns())
    store.insert(b"g", STRING, b"v", 1)
    client = OwnReads(PoolReader(store.pool_path, store.board_path))
    for _ in range(100):  # the interpreter specialises the call meanwhile
        assert client.get("g") == b"v"
    assert client.get(key="g") == b"v"
    assert OwnReads.get(client, "g") == b"v"
    assert client.misses == []
    answers: list[Any] = [client.get("m"), client.hgetall("m"), client.smembers("m")]
    assert answers == [b"answer 1", b"answer 2", b"answer 3"]
    for name in METHODS:
        own, inherited = getattr(OwnReads, name), getattr(CachedReads, name)
        assert own.__objclass__ is OwnReads
        assert inspect.signature(own) == inspect.signature(inherited)
        assert own.__doc__ == inherited.__doc__
        assert pickle.loads(pickle.dumps(own)) is own  # noqa: S301
    stranger: Any = Client()
    with pytest.raises(
        TypeError, match="descriptor 'get' for 'OwnReads' objects doesn't apply to a 'Client'"
    ):
        OwnReads.get(stranger, "g")
    strangers: list[Any] = [int, None, Client()]
    for wrong in strangers:
        with pytest.raises(TypeError):
            with_own_reads(wrong)


def test_overrides_and_patches_of_a_class_with_own_reads_hold_for_its_subclasses() -> None:
    class Plain(OwnReads):
        pass

    class Shouting(OwnReads):
        def get(self, key: Any) -> Any:
            return key.upper()

    class Polite(OwnReads):
        def get(self, key: Any) -> Any:
            return f"{super().get(key)!r}, please"

    class Both(Plain, Shouting):
        pass

    class Mixed(Polite, Shouting):
        pass

    outputs: list[Any] = [each().get("k") for each in (Plain, Shouting, Polite, Both, Mixed)]
    assert outputs == [b"answer 1", "K", "b'answer 1', please", "K", "'K', please"]
    for _ in range(2):
        with mock.patch.object(OwnReads, "get", return_value="patched"):
            outputs = [each().get("k") for each in (OwnReads, Plain, Shouting, Polite, Both)]
            assert outputs == ["patched", "patched", "K", "'patched', please", "K"]
        assert OwnReads().get("k") == b"answer 1"
