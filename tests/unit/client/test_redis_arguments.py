"""Code that was written for redis-py: arguments that methods of the same name do not take tell the call to write."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import redis
import valkey

import glidecache
import glidecache.sync
from glidecache.commands.redis_arguments import INSTEAD
from support.process import child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    **dict.fromkeys(
        ("key", "another", "value", "element", "former", "field", "member", "entry_id", "pattern"), "0-1"
    ),
    **dict.fromkeys(
        ("source", "destination", "group", "consumer", "producer", "token", "digest", "size"), "x"
    ),
    **dict.fromkeys(
        ("channel", "function", "host", "name", "password", "sha1", "first", "last", "cursor"), "x"
    ),
    **dict.fromkeys(("seconds", "milliseconds", "unix_seconds", "unix_milliseconds", "database"), 7),
    **dict.fromkeys(("start", "end", "amount", "count", "score", "offset", "bit", "port"), 7),
    **dict.fromkeys(("longitude", "latitude", "radius", "width", "height", "low", "high"), 1.5),
}
"""Values for the placeholders of the table's calls."""
SENT = re.findall(
    r"\w+",
    "ex px exat pxat keepttl persist nx xx gt lt ch fnx fxx get ifne ifdeq ifdne idmp idmpauto match count maxlen "
    "minid idle time retrycount force justid block noack withscores withcoord withdist withhash storedist aggregate "
    "limit len idx minmatchlen withmatchlen full by store withvalues withscore mkstream copy replace auth withcode "
    "byscore bylex min max novalues entriesread",
)
"""Keywords whose word is in the command too."""
NOT_SENT = {("xrange", "min"), ("xrange", "max"), ("xrevrange", "min"), ("xrevrange", "max")}


def parameters_of(owner: type[Any], method: str) -> list[str]:
    return list(inspect.signature(getattr(owner, method)).parameters)[1:]


def call(owner: type[Any], method: str, *arguments: str, **options: str) -> None:
    result = getattr(owner.__new__(owner), method)(*arguments, **options)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def refusal(owner: type[Any], method: str, *arguments: str, **options: str) -> str:
    """The text of the error when the method is called so."""
    with pytest.raises(TypeError) as raised:
        call(owner, method, *arguments, **options)
    return str(raised.value)


def redis_shapes(function: Any) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Calls that a library's method takes: what it needs, with no more, and with each more that there may be."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    usual = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    least = ["x" for each in usual if each.default is each.empty]
    yield least, {}
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        yield [*least, "x"], {}
        yield [*least, "x", "x"], {}
    else:
        for number in range(len(least), len(usual)):
            yield ["x"] * (number + 1), {}
    for each in parameters:
        if each.default is not each.empty:
            yield least, {each.name: "x"}


def is_taken(function: Any, arguments: list[str], options: dict[str, str]) -> bool:
    try:
        inspect.signature(function).bind(None, *arguments, **options)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
@pytest.mark.parametrize("library", [redis.Redis, valkey.Valkey], ids=["redis", "valkey"])
def test_each_call_of_the_libraries_that_is_not_taken_is_refused_with_the_call_to_write(
    owner: type[Any], library: type[Any]
) -> None:
    write = ": write batch." if "Batch" in owner.__name__ else ": write client."
    if hasattr(owner, "aclose"):
        write = ": write await client."
    refused, texts = set(), {}
    for method in dir(library):
        function = getattr(library, method)
        if method.startswith("_") or not inspect.isfunction(function) or not hasattr(owner, method):
            continue
        for arguments, options in redis_shapes(function):
            own = getattr(owner, method)
            # Python itself refuses what is given twice, before the method runs.
            is_twice = any(
                name in list(inspect.signature(own).parameters)[1:][: len(arguments)] for name in options
            )
            if not is_twice and not is_taken(own, arguments, options):
                refused.add(method)
                text = refusal(owner, method, *arguments, **options)
                if not (text.startswith(f"{owner.__name__}.{method} ") and f"{write}" in text):
                    texts[method, len(arguments), *options] = text
    assert texts == {}
    assert len(refused) > 80
    assert refused <= set(INSTEAD)


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_the_refusal_says_what_is_wrong(owner: type[Any]) -> None:
    for method, keyword in MISTAKES:
        if not hasattr(owner, method) or keyword in parameters_of(owner, method):
            continue
        parameters = inspect.signature(getattr(owner, method)).parameters
        needed = [each.name for each in list(parameters.values())[1:] if each.default is each.empty]
        if keyword:
            text, wrong = refusal(owner, method, **{keyword: "x"}), f"takes no {keyword}="
            assert text.startswith(f"{owner.__name__}.{method} {wrong}: write ")
        else:
            most = ["x"] * (len(parameters) - 1)
            text, wrong = refusal(owner, method, *most, "x"), "takes 1 positional arguments fewer"
            assert text.startswith(f"{owner.__name__}.{method} {wrong}: write ")
            if needed:
                text, wrong = refusal(owner, method, *needed[:-1]), f"needs {', '.join(needed)}"
                assert text.startswith(f"{owner.__name__}.{method} {wrong}: write ")
        assert text.endswith(INSTEAD[method][keyword])


@pytest.mark.parametrize("batch", OWNERS[4:])
def test_each_call_to_write_works(batch: type[Any]) -> None:
    names = {each: getattr(glidecache, each) for each in glidecache.__all__} | READERS_OWN
    for method, keyword in MISTAKES:
        this = batch(is_atomic=False)
        text = INSTEAD[method][keyword]
        if not hasattr(batch, text.partition("(")[0]):
            assert any(hasattr(owner, text.partition("(")[0]) for owner in OWNERS)
            continue
        eval(f"this.{text}", {}, {**names, "this": this})  # noqa: S307
        ((_, arguments),) = this.commands
        word = keyword.replace("_", "")
        if word in SENT and (method, keyword) not in NOT_SENT and "_count(" not in text:
            assert word.upper().encode() in arguments, (method, keyword)


@pytest.mark.parametrize("method", [method for method, calls in INSTEAD.items() if set(calls) - {""}])
def test_an_argument_that_redis_py_does_not_have_either_is_refused_alone(method: str) -> None:
    owner = BLOCKING if hasattr(BLOCKING, method) else glidecache.sync.GlideClusterClient
    text = refusal(owner, method, colour="x")
    assert text == f"{owner.__name__}.{method} takes no colour="


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_the_methods_show_their_own_parameters_alone(owner: type[Any]) -> None:
    mocked = mock.create_autospec(owner, instance=True)
    for method in INSTEAD:
        if hasattr(owner, method):
            shows_its_own_parameters(owner, method, mocked)


def shows_its_own_parameters(owner: type[Any], method: str, mocked: Any) -> None:
    function = getattr(owner, method)
    parameters = inspect.signature(function).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert "Never" not in str(inspect.signature(function))
    assert inspect.iscoroutinefunction(function) == hasattr(owner, "aclose")
    assert f"def {method}(" in inspect.getsource(function)
    with pytest.raises(TypeError, match="colour"):
        getattr(mocked, method)(*parameters_of(owner, method), colour=1)


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
