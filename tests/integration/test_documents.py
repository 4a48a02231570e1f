"""The documents' examples, run as they stand."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.process import ROOT, child_environment
from support.waiting import wait_until
from support.wire import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CHANGES = re.findall(r"```diff\n(.*?)```", README, re.DOTALL)
FIRST_SCREEN_LINES = 60


@pytest.fixture
def embedded_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the first terminal of the README runs; the others find it by the environment."""
    runtime_dir = tmp_path / "run"
    monkeypatch.setenv("GLIDECACHED_RUNTIME_DIR", str(runtime_dir))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "glidecached", "--embedded"],
            env=child_environment(GLIDECACHED_RUNTIME_DIR=str(runtime_dir)),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: answers(runtime_dir), "the daemon answers", 20)
        yield
    finally:
        process.terminate()
        process.wait(15)


def run(example: str) -> list[str]:
    """Paste an example into an interpreter, one that awaits if the example does; the lines that it prints."""
    printed = io.StringIO()
    code = compile(example, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, object] = {}

    async def interpreter() -> None:
        result = eval(code, names)  # noqa: S307 - the README's own text
        if inspect.isawaitable(result):
            await result
            await names["client"].close()  # type: ignore[attr-defined]

    with contextlib.redirect_stdout(printed):
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(interpreter())
        else:
            eval(code, names)  # noqa: S307 - the README's own text
            names["client"].close()  # type: ignore[attr-defined]
    return printed.getvalue().splitlines()


def promised(example: str) -> list[str]:
    """The output that the example's comments promise."""
    return [line.removeprefix("# ") for line in example.splitlines() if line.startswith(("# b'", "# None"))]


@pytest.mark.usefixtures("embedded_daemon")
@pytest.mark.parametrize("pasted", [slice(0, 1), slice(0, 2)], ids=["the first", "both"])
def test_the_readmes_examples_print_what_they_promise(pasted: slice) -> None:
    *examples, third_terminal = EXAMPLES
    for example in examples[pasted]:
        assert len([line for line in example.splitlines() if line and not line.startswith("#")]) <= 6
        assert run(example) == promised(example)
    assert run(third_terminal) == promised(third_terminal)


def side(change: str, *signs: str) -> str:
    """The settings before a change, or after it."""
    return "\n".join(line[1:] for line in change.splitlines() if not line or line[0] in (" ", *signs))


def test_the_readmes_first_screen_has_a_two_line_change_for_each_library() -> None:
    screen = "\n".join(README.splitlines()[:FIRST_SCREEN_LINES])
    assert [change in screen for change in CHANGES] == [True] * 3
    for change in CHANGES:
        assert sum(line.startswith("+") for line in change.splitlines()) == 2


@pytest.mark.usefixtures("embedded_daemon")
@pytest.mark.parametrize("change", CHANGES[:2], ids=["valkey-py", "redis-py"])
def test_the_readmes_changes_make_a_client_of_the_library(change: str) -> None:
    names: list[dict[str, Any]] = [{}, {}]
    for sign, found in zip("-+", names, strict=True):
        exec(side(change, sign), found)  # noqa: S102 - the README's own text
    before, after = (found["client"] for found in names)
    try:
        assert isinstance(after, type(before))
        assert type(after).__module__.startswith("glidecache.")
        assert after.get_connection_kwargs()["host"] == before.get_connection_kwargs()["host"] == "localhost"
    finally:
        before.close()
        after.close()


def test_the_readmes_change_of_djangos_settings_names_backends_that_exist() -> None:
    backends = pytest.importorskip("django.utils.module_loading")
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for sign, found in zip("-+", (before, after), strict=True):
        exec(side(CHANGES[2], sign), found)  # noqa: S102 - the README's own text
    old, new = (found["CACHES"]["default"] for found in (before, after))
    assert old["LOCATION"] == new["LOCATION"]
    for settings in (old, new):
        assert callable(backends.import_string(settings["BACKEND"]))
    assert new["BACKEND"] == "glidecache.django.SharedCache"


@pytest.mark.usefixtures("embedded_daemon")
def test_code_written_for_glide_runs_with_another_import() -> None:
    """What GLIDE's page shows: every option by keyword, metrics awaited, two clients on one cache object."""
    example = """
from glidecache import (
    ClientSideCache, EvictionPolicy, GlideClient, GlideClientConfiguration,
    GlideClusterClient, GlideClusterClientConfiguration, NodeAddress,
)
cache = ClientSideCache.create(
    max_cache_kb=1024, entry_ttl_ms=60_000, eviction_policy=EvictionPolicy.LRU, enable_metrics=True
)
client = await GlideClient.create(GlideClientConfiguration(addresses=None, client_side_cache=cache))
other = await GlideClient.create(GlideClientConfiguration(client_side_cache=cache))
await client.set("key", "value")
await client.get("key")
print(await other.get("key"))
hit_rate = await client.get_cache_hit_rate()
miss_rate = await client.get_cache_miss_rate()
entry_count = await client.get_cache_entry_count()
evictions = await client.get_cache_evictions()
expirations = await client.get_cache_expirations()
total = await client.get_cache_total_lookups()
print(f"{hit_rate:.2%} {miss_rate:.2%} {entry_count} {evictions} {expirations} {total}")
await other.close()
"""
    assert run(example) == ["b'value'", "50.00% 50.00% 1 0 0 2"]


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory whose path is short enough for a Unix socket some levels below; pytest's own may be too long."""
    with tempfile.TemporaryDirectory(prefix="glidecached-test-") as directory:
        yield Path(directory)


def test_the_demo_ends_by_itself(short_directory: Path) -> None:
    environment = {**os.environ, **child_environment(TMPDIR=str(short_directory))}
    shown = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", "--seconds", "2"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    steps = [line.split() for line in shown.stdout.splitlines() if re.match(r"  [1-6]  ", line)]
    assert [step[0] for step in steps] == list("123456")
    load = re.findall(r"^ +([\d,]+) +([\d.]+)% +([\d,]+) +([\d,]+) +([\d,]+)$", shown.stdout, re.MULTILINE)
    assert len(load) >= 2
    hits_per_second, hit_rate, entries, *_ = load[-1]
    assert int(hits_per_second.replace(",", "")) > 0
    assert float(hit_rate) > 10
    assert int(entries.replace(",", "")) > 100
    assert list(short_directory.iterdir()) == []


def test_the_session_of_advice_gives_each_cache_the_advice_that_it_needs(short_directory: Path) -> None:
    """Through real workers and a real daemon: a cache too small, one too large, a wrong TTL, one that is written to."""
    environment = {**os.environ, **child_environment(TMPDIR=str(short_directory))}
    shown = subprocess.run(
        [sys.executable, ROOT / "scripts" / "advice_session.py", "--seconds", "12"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, ""), shown.stderr
    parts = dict(re.findall(r"\$ glidecache (\w+ ?\w*)[^\n]*\n(.*?)```", shown.stdout, re.DOTALL))
    for name, advice in (
        ("small", r"→ max_cache_kb = (1536|2048|4096):"),
        ("large", r"→ max_cache_kb = 16384:"),
        ("brief", r"→ entry_ttl_ms = \d{4,}:"),
        ("cart", r"→ cached_key_writes = 0:"),
    ):
        part = parts[f"advise {name}"]
        assert re.search(advice, part), part
        assert part.endswith("\n1\n"), "something should be changed"
        assert max(map(len, part.splitlines())) <= 100
    assert "keys that begin with cart:" in " ".join(parts["advise cart"].split())
    judged = re.findall(r"warn +advice: (\w+) is (starved|wasteful|written to): ", parts["doctor"])
    assert {("small", "starved"), ("large", "wasteful"), ("cart", "written to")} <= set(judged)
    assert list(short_directory.iterdir()) == []
