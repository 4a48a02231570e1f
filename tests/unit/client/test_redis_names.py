"""Code that was written for redis-py: the error for each of its names names the call to write, and that call works."""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import glidecache
import glidecache.sync
from glidecache.commands import unsupported
from glidecache.commands.redis_names import CALLS, REASONS
from glidecache_shared import protocol
from support.clients import KINDS
from support.process import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FakeDaemon
    from support.clients import AnyClient

OWNERS: list[type[Any]] = [
    glidecache.GlideClient,
    glidecache.GlideClusterClient,
    glidecache.sync.GlideClient,
    glidecache.sync.GlideClusterClient,
    glidecache.Batch,
    glidecache.ClusterBatch,
]
NAMES = sorted({*CALLS, *REASONS})
COMMANDS = [name for name, call in CALLS.items() if call.startswith("client.")]
READERS_OWN = {
    **dict.fromkeys(("key", "value", "field", "member", "pattern", "token", "code"), "x"),
    **dict.fromkeys(("source", "destination", "group", "consumer", "first", "last"), "x"),
    **dict.fromkeys(("seconds", "milliseconds", "start", "end", "low", "high", "radius"), 7),
    **dict.fromkeys(("longitude", "latitude"), 1.5),
    "cursor": "0",
    "entry_id": "0-1",
}
"""Values for the placeholders of the table's calls."""


def advised(owner: type[Any], name: str) -> str:
    """The text that using a name raises."""
    with pytest.raises(AttributeError) as raised:
        getattr(owner.__new__(owner), name)
    text = str(raised.value)
    assert text.startswith(f"{owner.__name__} has no {name}, which is redis-py's: ")
    return text.partition("redis-py's: ")[2]


def test_the_names_are_those_of_the_table() -> None:
    assert sorted(unsupported._REDIS_NAMES.split()) == NAMES
    assert not set(CALLS) & set(REASONS)


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_each_name_is_absent_and_tells_what_to_write(owner: type[Any]) -> None:
    this = owner.__new__(owner)
    mocked = mock.create_autospec(this, instance=True)
    for name in NAMES:
        assert advised(owner, name), name
        assert not hasattr(this, name), name
        assert not hasattr(owner, name), name
        assert name not in dir(this), name
        assert not hasattr(mocked, name), name


@pytest.mark.parametrize("name", NAMES)
def test_redis_py_has_the_name(name: str) -> None:
    redis = pytest.importorskip("redis")
    holders = (redis.Redis(), redis.RedisCluster, redis.client.Pipeline)
    assert any(hasattr(holder, name) for holder in holders)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_is_sent(
    daemon: FakeDaemon, connect: Callable[..., AnyClient], kind: str, name: str
) -> None:
    """The text is run as it is, of a client of the kind at hand."""
    text = advised(glidecache.GlideClient if kind == KINDS[0] else glidecache.sync.GlideClient, name)
    begin = "write await " if kind == KINDS[0] else "write "
    assert text.startswith(f"{begin}client.")
    call = text.removeprefix(begin)
    expression = ast.parse(call, mode="eval").body
    assert isinstance(expression, ast.Call)
    assert isinstance(expression.func, ast.Attribute)
    daemon.answers[protocol.BATCH] = lambda _body: ["OK", b"x"]
    client = connect()
    names = {each: getattr(glidecache, each) for each in glidecache.__all__} | READERS_OWN
    arguments = [eval(ast.unparse(each), {}, names) for each in expression.args]  # noqa: S307
    options = {
        each.arg: eval(ast.unparse(each.value), {}, names)  # noqa: S307
        for each in expression.keywords
        if each.arg
    }
    before = len(daemon.seen)
    # The fake daemon's answer is no reply to that command. What counts is that the request was made.
    with contextlib.suppress(TypeError, ValueError, IndexError):
        client.call(expression.func.attr, *arguments, **options)
    assert len(daemon.seen) > before


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REASONS])
@pytest.mark.parametrize("batch", [glidecache.Batch, glidecache.ClusterBatch])
def test_a_batch_names_its_own_methods(batch: type[Any], name: str) -> None:
    text = advised(batch, name)
    if text != "run a batch by client.exec(batch, raise_on_error=True)":
        assert hasattr(batch, text.removeprefix("write batch.").partition("(")[0])


def test_a_cluster_client_names_its_own_class() -> None:
    for owner in OWNERS[:4]:
        assert f" {owner.__name__}.create({owner.__name__}Configuration(" in advised(owner, "from_url")


def test_a_subclass_may_have_such_a_name() -> None:
    class Own(glidecache.sync.GlideClient):
        def lock(self) -> str:
            return "own"

    client = Own.__new__(Own)
    assert client.lock() == "own"
    client.pipeline = "set"  # type: ignore[attr-defined]
    assert client.pipeline == "set"  # type: ignore[attr-defined]


def test_a_batch_is_copied_as_before() -> None:
    assert copy.deepcopy(glidecache.Batch(is_atomic=False).set("k", "v")).commands == [(b"SET", [b"k", b"v"])]
    assert "setex" not in dict(inspect.getmembers(glidecache.Batch(is_atomic=False)))


def test_the_table_is_imported_only_for_an_error_and_the_interpreter_adds_no_other_name() -> None:
    program = (
        "import sys, glidecache.sync\n"
        "assert 'glidecache.commands.redis_names' not in sys.modules\n"
        "client = glidecache.sync.GlideClient.__new__(glidecache.sync.GlideClient)\n"
        "client.setex\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=child_environment(), capture_output=True, text=True, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert last.endswith("write client.set(key, value, expiry=ExpirySet(ExpiryType.SEC, seconds))")
