"""Code that was written for redis-py: arguments that methods of the same name do not take tell the call to write."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest

import glidecache
import glidecache.sync
from glidecache.commands.redis_arguments import INSTEAD
from support.process import child_environment

BLOCKING = glidecache.sync.GlideClient
OWNERS: list[type[Any]] = [
    glidecache.GlideClient,
    glidecache.GlideClusterClient,
    glidecache.sync.GlideClient,
    glidecache.sync.GlideClusterClient,
    glidecache.Batch,
    glidecache.ClusterBatch,
]
MISTAKES = [(method, keyword) for method, calls in INSTEAD.items() for keyword in calls]
READERS_OWN: dict[str, Any] = {
    **dict.fromkeys(("key", "another", "value", "former", "field", "member", "entry_id"), "0-1"),
    **dict.fromkeys(("seconds", "milliseconds", "start", "end", "amount", "count", "score"), 7),
}
"""Values for the placeholders of the table's calls."""


def parameters_of(owner: type[Any], method: str) -> list[str]:
    return list(inspect.signature(getattr(owner, method)).parameters)[1:]


def most_arguments(owner: type[Any], method: str) -> list[str]:
    """As many positional arguments as the method takes."""
    return ["x" for _ in parameters_of(owner, method)]


def call(owner: type[Any], method: str, *arguments: str, **options: str) -> None:
    result = getattr(owner.__new__(owner), method)(*arguments, **options)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def refused(owner: type[Any], method: str, keyword: str) -> str:
    """The text of the error when the method is called with this argument; with one too many for none."""
    options = {keyword: "x"} if keyword else {}
    arguments = most_arguments(owner, method) + ([] if keyword else ["one more"])
    with pytest.raises(TypeError) as raised:
        call(owner, method, *arguments, **options)
    return str(raised.value)


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_each_is_refused_with_the_call_to_write(owner: type[Any]) -> None:
    write = "write batch." if "Batch" in owner.__name__ else "write client."
    if hasattr(owner, "aclose"):
        write = "write await client."
    for method, keyword in MISTAKES:
        if keyword in parameters_of(owner, method):
            assert (method, keyword) == ("rpop", "count"), "GLIDE's batches alone have it"
            continue
        text = refused(owner, method, keyword)
        refusal = f"no {keyword}=" if keyword else "1 positional arguments fewer"
        assert text == f"{owner.__name__}.{method} takes {refusal}: {write}{INSTEAD[method][keyword]}"


@pytest.mark.parametrize("batch", OWNERS[4:])
@pytest.mark.parametrize(("method", "keyword"), MISTAKES)
def test_each_call_to_write_works(batch: type[Any], method: str, keyword: str) -> None:
    this = batch(is_atomic=False)
    names = {each: getattr(glidecache, each) for each in glidecache.__all__} | READERS_OWN
    eval(f"this.{INSTEAD[method][keyword]}", {}, {**names, "this": this})  # noqa: S307
    ((_, arguments),) = this.commands
    if keyword in {"ex", "px", "exat", "pxat", "keepttl", "persist", "nx", "xx", "gt", "lt", "ch", "get"}:
        assert keyword.upper().encode() in arguments


@pytest.mark.parametrize("method", INSTEAD)
def test_an_argument_that_redis_py_does_not_have_either_is_refused_alone(method: str) -> None:
    text = refused(BLOCKING, method, "colour")
    assert text == f"GlideClient.{method} takes no colour="


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
@pytest.mark.parametrize("method", INSTEAD)
def test_the_methods_show_their_own_parameters_alone(owner: type[Any], method: str) -> None:
    function = getattr(owner, method)
    parameters = inspect.signature(function).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert "Never" not in str(inspect.signature(function))
    assert inspect.iscoroutinefunction(function) == hasattr(owner, "aclose")
    assert f"def {method}(" in inspect.getsource(function)
    mocked = mock.create_autospec(owner, instance=True)
    with pytest.raises(TypeError, match="colour"):
        getattr(mocked, method)(*most_arguments(owner, method), colour=1)


def test_type_checkers_refuse_them(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from glidecache.sync import GlideClient\n\n\n"
        "def run(client: GlideClient) -> None:\n"
        '    client.set("key", "value")\n'
        '    client.set("key", "value", ex=10)\n'
        '    client.delete(["key"], "another")\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", program],
        env=child_environment(MYPYPATH="client:shared:daemon"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.partition(":")[2][0] for line in done.stdout.splitlines() if "error:" in line] == ["6", "7"]
    assert done.stdout.count('expected "Never"') == 2
