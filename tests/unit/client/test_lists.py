"""Lists as arguments: anything iterable is accepted, a lone string is not, although it is iterable."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

import glidecache
from glidecache import Batch, InfoSection
from support.command_samples import GROUPS, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FakeDaemon
    from support.clients import AnyClient

LONE = ("ab", "", b"ab", b"", bytearray(b"ab"), memoryview(b"ab"))
NO_LISTS = (7, 1.5, object())

OTHERS = (
    Call("hexpireat", ("k", 1, ["f"])),
    Call("hgetdel", ("k", ["f"])),
    Call("hpexpire", ("k", 1, ["f"])),
    Call("hpttl", ("k", ["f"])),
    Call("lolwut", (5, [1, 2])),
    Call("migrate", ("host", 1, ["a", "b"], 0, 1)),
    Call("sort_ro", ("k", None, None, ["a", "b"])),
    Call("sort_store", ("k", "d", None, None, ["a", "b"])),
    Call("zunion", (["a", "b"],)),
)
"""Calls that have no recorded reply."""

SAMPLES = {
    f"{call.method}[{position}]": (call, position)
    for call in (*OTHERS, *(call for group in GROUPS.values() for call in group(glidecache)))
    for position, argument in enumerate(call.arguments)
    if isinstance(argument, list) and hasattr(Batch, call.method)
}
TAKES_A_KEY_TOO = {"migrate"}


def encoded(call: Any, position: int, argument: object) -> list[bytes]:
    """Return what the call sends, with another argument at this position."""
    batch = Batch(is_atomic=False)
    arguments = [*call.arguments[:position], argument, *call.arguments[position + 1 :]]
    getattr(batch, call.method)(*arguments)
    return batch.queued[0].args


@pytest.mark.parametrize("name", SAMPLES)
def test_any_iterable_is_a_list(name: str) -> None:
    call, position = SAMPLES[name]
    items = call.arguments[position]
    expected = encoded(call, position, items)
    assert encoded(call, position, tuple(items)) == expected
    assert encoded(call, position, (item for item in items)) == expected
    assert encoded(call, position, dict(enumerate(items)).values()) == expected


@pytest.mark.parametrize(
    "name", [name for name, (call, _) in SAMPLES.items() if call.method not in TAKES_A_KEY_TOO]
)
def test_a_lone_string_is_no_list(name: str) -> None:
    call, position = SAMPLES[name]
    for lone in (*LONE, *NO_LISTS):
        with pytest.raises(TypeError, match=f"must be a list, not {type(lone).__name__}"):
            encoded(call, position, lone)


@pytest.mark.parametrize("lone", LONE)
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_many", ()),
        ("watch", ()),
        ("custom_command", ()),
        ("info", ()),
        ("zunion", ()),
        ("bitfield", ("k",)),
    ],
)
def test_a_lone_string_is_no_list_for_clients(
    daemon: FakeDaemon,
    connect: Callable[..., AnyClient],
    method: str,
    arguments: tuple[str, ...],
    lone: object,
) -> None:
    client = connect()
    before = len(daemon.seen)
    with pytest.raises(TypeError, match="must be a list, not"):
        client.call(method, *arguments, lone)
    with pytest.raises(TypeError, match="keys must be a list, not"):
        client.call("invoke_script", glidecache.Script("return 1"), lone)
    assert len(daemon.seen) == before


def test_a_generator_of_a_scripts_keys_is_gone_through_once(
    daemon: FakeDaemon, connect: Callable[..., AnyClient]
) -> None:
    from glidecache_shared import protocol

    client = connect()
    daemon.refusals = [(protocol.ERROR_REQUEST, "NOSCRIPT no such script")]
    script = glidecache.Script("return KEYS")
    client.call("invoke_script", script, (key for key in "ab"), (key for key in "cd"))
    sent = [body[1] for _, body in daemon.operations(protocol.COMMAND)]
    assert sent[-1] == [b"EVAL", b"return KEYS", b"2", b"a", b"b", b"c", b"d"]
    assert sent[-2][2:] == sent[-1][2:]


def test_sections_are_gone_through_once() -> None:
    batch = Batch(is_atomic=False).info(section for section in (InfoSection.SERVER, InfoSection.STATS))
    assert batch.queued[0].args == [b"INFO", b"server", b"stats"]


def test_every_method_with_a_list_has_a_sample() -> None:
    with_lists = {
        name
        for name, method in inspect.getmembers(Batch, inspect.isfunction)
        for parameter in inspect.signature(method).parameters.values()
        if "Iterable[" in str(parameter.annotation)
    }
    assert with_lists == {call.method for call, _ in SAMPLES.values()}
