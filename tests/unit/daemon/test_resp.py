"""The reader of the servers' protocol: every kind of reply, in any pieces, and bytes that are not RESP (rule I4)."""

from __future__ import annotations

import gc
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecache_shared.protocol import ReplyError, pack, unpack
from glidecached.upstream import resp
from glidecached.upstream.resp import INCOMPLETE, Reader, UnreadableError
from support.resp_encoding import Attributed, MapOf, SetOf, Verbatim, decoded, encode, same

MEBIBYTE = 2**20

KINDS: dict[bytes, Any] = {
    b"+OK\r\n": "OK",
    b"+QUEUED\r\n": "QUEUED",
    b"+Background saving started\r\n": "Background saving started",
    b"+\r\n": "",
    b"+caf\xc3\xa9\r\n": "café",
    b"+\xff\r\n": "�",
    b"$2\r\nOK\r\n": b"OK",
    b"$0\r\n\r\n": b"",
    b"$4\r\n\r\n\r\n\r\n": b"\r\n\r\n",
    b"$-1\r\n": None,
    b"*-1\r\n": None,
    b"_\r\n": None,
    b":0\r\n": 0,
    b":-1\r\n": -1,
    b":+5\r\n": 5,
    b":9223372036854775807\r\n": 2**63 - 1,
    b":-9223372036854775808\r\n": -(2**63),
    b"(-3492890328409238509324850943850943825024385\r\n": b"-3492890328409238509324850943850943825024385",
    b"(no number\r\n": b"no number",
    b",1.5\r\n": 1.5,
    b",12\r\n": 12.0,
    b",inf\r\n": math.inf,
    b",-inf\r\n": -math.inf,
    b"#t\r\n": True,
    b"#f\r\n": False,
    b"=9\r\ntxt:hello\r\n": b"hello",
    b"=4\r\nmkd:\r\n": b"",
    b"*0\r\n": [],
    b"~0\r\n": set(),
    b"%0\r\n": {},
    b"*2\r\n$1\r\na\r\n$-1\r\n": [b"a", None],
    b"*3\r\n+OK\r\n$2\r\nOK\r\n*1\r\n+OK\r\n": ["OK", b"OK", ["OK"]],
    b"~2\r\n$1\r\na\r\n:1\r\n": {b"a", 1},
    b"%2\r\n$1\r\na\r\n:1\r\n+b\r\n*0\r\n": {b"a": 1, "b": []},
    # Another form only for a member that no set takes, or a key that no dict takes.
    b"~2\r\n~1\r\n:1\r\n:2\r\n": [{1}, 2],
    b"*2\r\n~1\r\n%0\r\n~1\r\n:1\r\n": [[{}], {1}],
    b"%2\r\n:1\r\n:2\r\n*1\r\n:3\r\n:4\r\n": [[1, 2], [[3], 4]],
    b"%1\r\n%1\r\n~0\r\n:1\r\n:2\r\n": [[[[set(), 1]], 2]],
    # Equal keys before that key are one, as in a dict; equal keys after it are not.
    b"%5\r\n:1\r\n+a\r\n:1\r\n+b\r\n*0\r\n+c\r\n:1\r\n+d\r\n:1\r\n+e\r\n": [
        [1, "b"],
        [[], "c"],
        [1, "d"],
        [1, "e"],
    ],
    b"~1\r\n(18446744073709551616\r\n": {b"18446744073709551616"},
    # These are not replies.
    b"|1\r\n+key\r\n*1\r\n:1\r\n:5\r\n": 5,
    b"*2\r\n|1\r\n+key\r\n~0\r\n:5\r\n|0\r\n:6\r\n": [5, 6],
    b"|1\r\n|1\r\n:1\r\n:2\r\n+key\r\n+value\r\n|1\r\n+a\r\n+b\r\n:7\r\n": 7,
    b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n:8\r\n": 8,
    b">0\r\n>1\r\n%1\r\n:1\r\n:2\r\n:9\r\n": 9,
    b"|1\r\n+a\r\n+b\r\n>1\r\n+x\r\n:10\r\n": 10,
}

ERRORS = {
    b"-ERR no\r\n": "ERR no",
    b"-\xff\r\n": "�",
    b"!5\r\nERR x\r\n": "ERR x",
    b"!4\r\na\r\nb\r\n": "a\r\nb",
}

NO_RESP = {
    b"?what\r\n": "begins with",
    b"\r\n": "CR and LF",
    b"+a\n": "CR and LF",
    b"\n": "CR and LF",
    b"$\r\n": "length",
    b"$+1\r\n": "length",
    b"$-2\r\n": "length",
    b"$1x\r\n": "length",
    b"$?\r\n": "length",
    b"$2\r\nabc\r\n": "does not end",
    b"$2\r\nab\r.": "does not end",
    b"$99999999999999999999\r\n": "length",
    b"$4294967297\r\n": "4294967297 bytes is announced",
    b"=3\r\ntxt\r\n": "length",
    b"=-1\r\n": "length",
    b"=5\r\ntxt?a\r\n": "format",
    b"!-1\r\n": "length",
    b":\r\n": "integer",
    b":-\r\n": "integer",
    b":1.0\r\n": "integer",
    b":9223372036854775808\r\n": "integer",
    b":-9223372036854775809\r\n": "integer",
    b"#x\r\n": "boolean",
    b"#\r\n": "boolean",
    b"_x\r\n": "null",
    b",\r\n": "double",
    b",1_0\r\n": "double",
    b", 1\r\n": "double",
    b",x\r\n": "double",
    b"*\r\n": "count",
    b"*-2\r\n": "count",
    b"*4294967296\r\n": "announced",
    b"%9223372036854775807\r\n": "announced",
    b">-1\r\n": "no count",
    b"|-1\r\n": "no count",
    b"|9223372036854775807\r\n": "announced",
    b"*1\r\n>1\r\n:1\r\n": "push within",
    b"|1\r\n>1\r\n:1\r\n": "push within",
    b":" + b"1" * 1000: "line of more than",
    b"*" + b"1" * 1000: "line of more than",
}


def read(data: bytes) -> Any:
    """Return the one reply that these bytes are."""
    reader = Reader()
    reader.feed(data)
    reply = reader.gets()
    assert reader.gets() is INCOMPLETE
    assert not reader.unread_bytes
    return reply


def read_in_pieces(data: bytes, *ends: int) -> list[Any]:
    """Return all replies in these bytes, which come in pieces that end there."""
    reader = Reader()
    replies = []
    begin = 0
    for end in (*ends, len(data)):
        reader.feed(data[begin:end])
        begin = end
        while (reply := reader.gets()) is not INCOMPLETE:
            replies.append(reply)
    assert not reader.unread_bytes
    return replies


@pytest.mark.parametrize("data", KINDS, ids=lambda data: repr(data[:24]))
def test_i4_each_kind_of_reply_wherever_it_is_cut(data: bytes) -> None:
    expected = KINDS[data]
    assert same(read(data), expected), read(data)
    for cut in range(1, len(data)):
        assert all(map(same, read_in_pieces(data * 2, cut, len(data) + cut), [expected] * 2)), cut
    replies = read_in_pieces(data, *range(1, len(data)))
    assert len(replies) == 1
    assert same(replies[0], expected)


def test_i4_not_a_number_is_one() -> None:
    assert math.isnan(read(b",nan\r\n"))


@pytest.mark.parametrize("data", ERRORS, ids=repr)
def test_c26_errors_nested_and_not(data: bytes) -> None:
    for reply in (read(data), read(b"*1\r\n" + data)[0], read(b"%1\r\n+k\r\n" + data)["k"]):
        assert isinstance(reply, ReplyError)
        assert str(reply) == ERRORS[data]


@pytest.mark.parametrize("data", NO_RESP, ids=lambda data: repr(data[:24]))
def test_i4_what_is_no_resp_is_refused_for_good(data: bytes) -> None:
    for cut in range(len(data)):
        reader = Reader()
        reader.feed(data[:cut])
        reason = NO_RESP[data]
        with pytest.raises(UnreadableError, match=reason):
            _feed_the_rest(reader, data[cut:])
        with pytest.raises(UnreadableError, match=reason):
            reader.gets()


def _feed_the_rest(reader: Reader, data: bytes) -> None:
    reader.gets()
    reader.feed(data)
    reader.gets()


def test_i4_pushes_are_counted() -> None:
    reader = Reader()
    reader.feed(b">1\r\n+a\r\n:1\r\n>2\r\n+b\r\n")
    assert reader.gets() == 1
    assert reader.pushes == 1
    assert reader.gets() is INCOMPLETE
    reader.feed(b"+c\r\n")
    assert reader.gets() is INCOMPLETE
    assert reader.pushes == 2


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=10).filter(lambda text: "\r" not in text and "\n" not in text)
    | st.builds(Verbatim, st.binary(max_size=10)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.builds(SetOf, st.lists(inner, max_size=5))
        | st.builds(MapOf, st.lists(st.tuples(inner, inner), max_size=4))
        | st.builds(Attributed, st.builds(MapOf, st.lists(st.tuples(inner, inner), max_size=2)), inner)
    ),
    max_leaves=30,
)


@given(replies=st.lists(values, min_size=1, max_size=4), data=st.data())
def test_i4_whatever_is_sent_is_read_in_any_pieces(replies: list[Any], data: st.DataObject) -> None:
    stream = b">1\r\n+between\r\n".join(map(encode, replies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    got = read_in_pieces(stream, *cuts)
    assert len(got) == len(replies)
    for reply, sent in zip(got, replies, strict=True):
        assert same(reply, decoded(sent)), (reply, sent)


@given(st.binary(max_size=200) | st.text("*$~%|>:+-#,(=!_019\r\n", max_size=80).map(str.encode))
def test_i4_whatever_comes_is_read_or_refused(data: bytes) -> None:
    reader = Reader()
    reader.feed(data)
    try:
        while reader.gets() is not INCOMPLETE:
            pass
    except UnreadableError:
        pass


def test_i8_lengths_and_counts_are_believed_as_they_come_true() -> None:
    tracemalloc.start()
    try:
        readers = [Reader() for _ in range(3)]
        for reader, data in zip(
            readers, (b"$536870912\r\n", b"*4294967295\r\n", b"~4294967295\r\n"), strict=True
        ):
            reader.feed(data + data[:1])
            assert reader.gets() is INCOMPLETE
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size_bytes", [65_535, 262_144, 262_145, 5 * MEBIBYTE])
def test_long_strings_are_whole(size_bytes: int) -> None:
    value = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
    stream = b"*2\r\n" + encode(value) + encode(value)
    assert read(stream) == [value, value]
    assert read_in_pieces(stream, *range(0, len(stream), 100_003)) == [[value, value]]


@pytest.mark.parametrize(
    "size_bytes", [resp.MOST_BULK_BYTES + 1, MEBIBYTE], ids=["than any", "than the reader keeps"]
)
def test_i8_a_string_that_is_too_long_costs_its_own_caller_the_answer(size_bytes: int) -> None:
    reader = Reader() if size_bytes > MEBIBYTE else Reader(MEBIBYTE)
    reader.feed(b"*2\r\n:1\r\n$%d\r\n" % size_bytes)
    piece = bytes(MEBIBYTE)
    for _ in range(size_bytes // len(piece)):
        assert reader.gets() is INCOMPLETE
        reader.feed(piece)
    reader.feed(bytes(size_bytes % len(piece)) + b"\r\n:2\r\n")
    reply = reader.gets()
    assert isinstance(reply, ReplyError)
    assert "too large" in str(reply)
    assert reader.gets() == 2


@pytest.mark.parametrize(
    "member", [b"~0\r\n", b"*0\r\n", b"%0\r\n", b":0\r\n", b"$1\r\nx\r\n", b"*1\r\n~1\r\n+x\r\n"]
)
@pytest.mark.parametrize("container", [b"*", b"~", b"%", b"*1\r\n|1\r\n+a\r\n+b\r\n%1\r\n+k\r\n*"])
def test_i8_a_reply_of_too_many_objects_is_dropped_while_it_comes(container: bytes, member: bytes) -> None:
    """An empty set is 4 bytes of the stream, and more than 200 in memory."""
    count = 20_000
    reader = Reader(MEBIBYTE // 2)
    tracemalloc.start()
    try:
        reader.feed(container + b"%d\r\n" % count)
        for _ in range(count * (1 + (container == b"%")) // 100):
            assert reader.gets() is INCOMPLETE
            reader.feed(member * 100)
        reply = reader.gets()
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTE
    finally:
        tracemalloc.stop()
    assert isinstance(reply, ReplyError)
    assert "too large" in str(reply)
    reader.feed(b":2\r\n")
    assert reader.gets() == 2


def test_nesting_up_to_the_bound_reaches_the_client_and_beyond_it_is_refused() -> None:
    deep = b"*1\r\n" * resp.MOST_NESTED
    reply = read(deep + b":1\r\n")
    assert unpack(pack([1, 0, reply])) == [1, 0, reply]
    for more in (1, 100_000):
        error = read(b"*2\r\n" * more + deep + b":1\r\n" + b":2\r\n" * more)
        assert isinstance(error, ReplyError)
        assert "500 containers in one another" in str(error)


def test_i10_a_line_that_comes_byte_by_byte_takes_linear_time() -> None:
    reader = Reader()
    for begin in range(0, 4 * MEBIBYTE, 4096):
        reader.feed((b"-" if begin == 0 else b"e") + b"e" * 4095)
        assert reader.gets() is INCOMPLETE
    reader.feed(b"\r\n")
    assert len(str(reader.gets())) == 4 * MEBIBYTE - 1


def test_i10_numbers_of_one_hash_take_linear_time() -> None:
    """Each is 0 modulo 2**61 - 1, and would have hash 0: a set of such integers takes the square of their number."""
    numbers = [(2**61 - 1) * factor for factor in range(8, 100_008)]
    assert read(encode(SetOf(numbers))) == {str(number).encode() for number in numbers}


def test_nothing_of_a_reply_is_kept() -> None:
    """This includes members of sets, which libvalkey kept."""
    stream = encode(SetOf([b"a member"])) + encode(MapOf([(b"a key", b"a value")])) + encode([b"an element"])
    reader = Reader()
    reader.feed(stream + b"*3\r\n$3\r\nabc\r\n%1\r\n+key")
    for _ in range(3):
        assert reader.gets() is not INCOMPLETE
    tracemalloc.start()
    try:
        for _ in range(1000):
            other = Reader()
            other.feed(stream + b"*3\r\n$3\r\nabc\r\n%1\r\n$40\r\n" + b"k" * 40 + b"\r\n")
            while other.gets() is not INCOMPLETE:
                pass
        del other
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()
