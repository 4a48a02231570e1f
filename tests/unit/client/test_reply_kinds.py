"""The kinds of a reply's parts (contract C26): generated replies, from the daemon and from a server itself."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecache import Batch, ClusterBatch, ExecAbortError, RequestError, Script
from glidecache.core.replies import in_glides_kinds
from glidecache.core.resp_reader import MalformedReplyError, ReplyReader
from glidecache_shared import protocol
from glidecache_shared.protocol import ReplyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FakeDaemon
    from support.clients import AnyClient

DEEPEST = 900
TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8)
HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.binary(max_size=8), TEXT, st.sampled_from(["OK", b"OK"])
)
REPLIES = st.recursive(
    st.one_of(HASHABLE, st.floats(allow_nan=False), TEXT.map(ReplyError)),
    lambda parts: st.one_of(
        st.lists(parts, max_size=4),
        st.dictionaries(HASHABLE, parts, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=20,
)


def plainly(reply: Any) -> Any:
    """Apply the rule, in its plainest form."""
    if isinstance(reply, str):
        return reply if reply == "OK" else reply.encode()
    if isinstance(reply, ReplyError):
        return RequestError(str(reply))
    if isinstance(reply, list):
        return [plainly(each) for each in reply]
    if isinstance(reply, set):
        return {plainly(each) for each in reply}
    if isinstance(reply, dict):
        return {plainly(key): plainly(value) for key, value in reply.items()}
    return reply


def shown(reply: Any) -> str:
    """Return a reply as text that distinguishes 1 from True, and sorts sets."""
    if isinstance(reply, set):
        return f"set{sorted(map(shown, reply))}"
    if isinstance(reply, list):
        return f"[{', '.join(map(shown, reply))}]"
    if isinstance(reply, dict):
        return f"map{sorted(f'{shown(key)}: {shown(value)}' for key, value in reply.items())}"
    return f"{type(reply).__name__} {reply!r}"


def errors_in(reply: Any) -> list[str]:
    if isinstance(reply, ReplyError):
        return [str(reply)]
    parts = [*reply, *reply.values()] if isinstance(reply, dict) else reply
    return [text for each in parts for text in errors_in(each)] if isinstance(reply, (list, dict)) else []


def as_resp(reply: Any) -> bytes:
    """Return the bytes that a server would send."""
    match reply:
        case None:
            return b"_\r\n"
        case bool():
            return b"#t\r\n" if reply else b"#f\r\n"
        case int():
            return b":%d\r\n" % reply
        case float():
            return b",%r\r\n" % reply
        case str():
            return b"+%s\r\n" % reply.encode()
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case ReplyError():
            return b"-%s\r\n" % str(reply).encode()
        case list() | set():
            kind = b"*" if isinstance(reply, list) else b"~"
            return kind + b"%d\r\n" % len(reply) + b"".join(map(as_resp, reply))
        case _:
            flat = [each for item in reply.items() for each in item]
            return b"%%%d\r\n" % len(reply) + b"".join(map(as_resp, flat))


@given(REPLIES)
def test_c26_every_part_has_glides_kind(reply: Any) -> None:
    expected = shown(plainly(reply))
    errors = errors_in(reply)
    assert shown(in_glides_kinds(copy.deepcopy(reply), raises=False)) == expected
    if errors:
        with pytest.raises(RequestError) as raised:
            in_glides_kinds(reply)
        assert str(raised.value) in {text or "No error message provided" for text in errors}
    else:
        assert shown(in_glides_kinds(reply)) == expected


@given(REPLIES, st.data())
def test_c26_the_direct_fallback_reads_the_same_kinds(reply: Any, data: st.DataObject) -> None:
    stream = as_resp(reply) + as_resp("sentinel")
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    reader, taken = ReplyReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while found := reader.next_reply():
            taken += found
    assert [shown(each) for each in taken] == [shown(reply), "str 'sentinel'"]
    assert reader.is_empty


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"=6\r\ntxt:OK\r\n", b"OK"),
        (b">2\r\n+message\r\n+OK\r\n:1\r\n", 1),
        (b"|1\r\n+ttl\r\n:9\r\n*1\r\n|1\r\n+ttl\r\n:9\r\n+OK\r\n", ["OK"]),
        (b"~1\r\n*1\r\n+OK\r\n", [["OK"]]),
        (b"%1\r\n*0\r\n+OK\r\n", [[[], "OK"]]),
        (b"(123456789012345678901234567890\r\n", b"123456789012345678901234567890"),
        (b",inf\r\n", float("inf")),
        (b"+\xff\r\n", "\udcff"),
    ],
)
def test_c26_the_direct_fallback_reads_what_is_rare(stream: bytes, reply: Any) -> None:
    for size in (1, 3, len(stream)):
        reader = ReplyReader()
        found = []
        for start in range(0, len(stream), size):
            assert not found
            reader.feed(stream[start : start + size])
            found = reader.next_reply()
        assert shown(found) == shown([reply])
        assert reader.is_empty


@pytest.mark.parametrize(
    "stream", [b"hello\r\n", b"$2\r\nabcd\r\n", b"*x\r\n", b":\r\n", b"#x\r\n", b"x" * 70_000]
)
def test_what_is_no_reply_is_an_error(stream: bytes) -> None:
    reader = ReplyReader()
    reader.feed(stream)
    with pytest.raises(MalformedReplyError, match="the server's answer is malformed"):
        reader.next_reply()


def test_c26_depth_is_no_limit() -> None:
    deep: Any = ["HI", ReplyError("ERR deep")]
    for _ in range(DEEPEST * 10):
        deep = [deep]
    reader = ReplyReader()
    reader.feed(b"*1\r\n" * DEEPEST * 10 + b"+HI\r\n")
    assert reader.next_reply()
    with pytest.raises(RequestError, match="ERR deep"):
        in_glides_kinds(deep)


SCRIPT = Script("return redis.status_reply('OK')")
WAYS: dict[str, Callable[[AnyClient], Any]] = {
    "script": lambda client: client.call("invoke_script", SCRIPT),
    "function": lambda client: client.call("fcall", "f"),
    "read-only function": lambda client: client.call("fcall_ro", "f"),
    "custom command": lambda client: client.call("custom_command", ["EVAL", "…", "0"]),
}
ANSWERS: list[tuple[Any, Any]] = [
    ("OK", "OK"),
    (b"OK", b"OK"),
    ("HI", b"HI"),
    (["OK", b"OK", [{"OK": "HI"}, {"OK"}]], ["OK", b"OK", [{"OK": b"HI"}, {"OK"}]]),
]
NESTED_ERRORS: list[Any] = [
    ReplyError("MY ERR"),
    [1, ReplyError("MY ERR")],
    [[{b"a": [ReplyError("MY ERR")]}], ReplyError("OTHER")],
    {b"a": ReplyError("MY ERR")},
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("answer", "result"), ANSWERS)
def test_c26_statuses_keep_their_kind_on_every_way(
    daemon: FakeDaemon, connect: Callable[..., AnyClient], way: str, answer: Any, result: Any
) -> None:
    daemon.answers[protocol.COMMAND] = lambda _body: answer
    assert shown(WAYS[way](connect())) == shown(result)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", NESTED_ERRORS)
def test_c26_an_error_inside_a_reply_is_raised(
    daemon: FakeDaemon, connect: Callable[..., AnyClient], way: str, answer: Any
) -> None:
    daemon.answers[protocol.COMMAND] = lambda _body: answer
    with pytest.raises(RequestError, match=r"^MY ERR$") as raised:
        WAYS[way](connect())
    assert type(raised.value) is RequestError


@pytest.mark.parametrize("is_atomic", [False, True])
@pytest.mark.parametrize("batch_class", [Batch, ClusterBatch])
def test_c26_batches_have_the_same_kinds_and_keep_errors_in_their_place(
    daemon: FakeDaemon,
    connect: Callable[..., AnyClient],
    batch_class: type[Batch | ClusterBatch],
    is_atomic: bool,
) -> None:
    replies: list[Any] = (
        [answer for answer, _ in ANSWERS] + NESTED_ERRORS + [ReplyError("EXECABORT x"), "OK", "PONG"]
    )
    daemon.answers[protocol.BATCH] = lambda _body: replies
    client = connect()
    batch: Any = batch_class(is_atomic)
    for _ in range(len(replies) - 2):
        batch.custom_command(["EVAL", "…", "0"])
    batch.set("k", "v").ping()
    expected = [result for _, result in ANSWERS] + [plainly(answer) for answer in NESTED_ERRORS]
    expected += [ExecAbortError("EXECABORT x"), "OK", b"PONG"]
    assert shown(client.call("exec", batch, False)) == shown(expected)
    with pytest.raises(RequestError, match=r"^MY ERR$"):
        client.call("exec", batch, True)


def test_c26_an_element_that_an_error_keeps_from_being_decoded_becomes_that_error(
    daemon: FakeDaemon, connect: Callable[..., AnyClient]
) -> None:
    daemon.answers[protocol.BATCH] = lambda _body: [[b"a", 1, ReplyError("ERR odd")], {b"x": b"1"}]
    batch = Batch(is_atomic=False).config_get(["a"]).config_get(["x"])
    found = connect().call("exec", batch, False)
    assert shown(found) == shown([RequestError("ERR odd"), {b"x": b"1"}])


@pytest.mark.parametrize(
    ("method", "arguments", "wanted"),
    [
        ("set", ("k", "v"), "OK"),
        ("mset", ({"k": "v"},), "OK"),
        ("ping", (), b"PONG"),
        ("type", ("k",), b"PONG"),
        ("bgsave", (), b"PONG"),
        ("rename", ("a", "b"), "OK"),
        ("custom_command", (["SET", "k", "v"],), "OK"),
        ("custom_command", (["HMSET", "k", "f", "v"],), "OK"),
        ("custom_command", (["CONFIG", "SET", "a", "b"],), "OK"),
        ("custom_command", (["PING"],), b"PONG"),
    ],
)
def test_c26_methods_take_statuses_as_text_and_as_bytes(
    daemon: FakeDaemon,
    connect: Callable[..., AnyClient],
    method: str,
    arguments: tuple[Any, ...],
    wanted: str | bytes,
) -> None:
    text = wanted if isinstance(wanted, str) else wanted.decode()
    client = connect()
    for answer in (text, text.encode()):
        daemon.answers[protocol.COMMAND] = lambda _body, answer=answer: answer  # type: ignore[misc]
        assert shown(client.call(method, *arguments)) == shown(wanted)
