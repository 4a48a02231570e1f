"""The programs of docs/integrations.md, each in processes of its own that a test commands."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from support.process import ROOT, child_environment
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

PAGE = (ROOT / "docs" / "integrations.md").read_text()
PROGRAMS: dict[str, str] = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
PAGES_SERVER = "localhost:6379"
PATIENCE_MS = 20_000
"""Instead of 250 ms, after which a read of a loaded machine is the library's own, and a forget is given up."""
_OF_CONNECTIONS = {"hello", "select", "ping", "client|setinfo", "client|setname", "echo", "role"}
_OF_THE_TEST = {"config|get", "config|resetstat", "flushall", "info"}
_OF_A_CLIENT = "client_side_cache=cache"
_EVALUATOR = """
import ast, asyncio, inspect, pickle, sys
from glidecache.fronts import server_identity
assert server_identity._timeout_ms(None) is None
server_identity._timeout_ms = lambda seconds: PATIENCE_MS
names, runner = {}, asyncio.Runner()
async def end_of(awaitable): return await awaitable
def run(source, mode):
    result = eval(compile(source, "test", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    return runner.run(end_of(result)) if inspect.isawaitable(result) else result
while True:
    source, mode = pickle.load(sys.stdin.buffer)
    try: answer = None, run(source, mode)
    except Exception as error: answer = f"{type(error).__name__}: {error}", None
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


class RecipeProgram:
    """One process that has imported a program of the page; names of the program are names here."""

    def __init__(self, name: str, directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _EVALUATOR.replace("PATIENCE_MS", str(PATIENCE_MS))],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(**environment),
        )
        if name.endswith("_settings"):
            self.do(f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = {name!r}")
            self.do("from django.core.cache import cache")
        else:
            self.do(f"from {name} import *")

    def do(self, statements: str) -> None:
        """Run statements there; they may await."""
        self._ask(statements, "exec")

    def value(self, expression: str) -> Any:
        """The value of an expression there; it may await."""
        return self._ask(expression, "eval")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, source: str, mode: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((source, mode), self._process.stdin)
        self._process.stdin.flush()
        error, result = pickle.load(self._process.stdout)
        assert error is None, f"{source}: {error}"
        return result


class Recipe:
    """A program of the page at a server and a daemon. A context manager, which ends its processes.

    `directory`: where all programs of the page are, as the reader would have written them.
    """

    def __init__(self, name: str, directory: Path, server: ValkeyServer, daemon: Daemon) -> None:
        self.name = name
        self.directory = directory
        self.server = server
        self.daemon = daemon
        for each, text in PROGRAMS.items():
            assert PAGES_SERVER in text or 'NodeAddress("localhost", 6379)' in text or '"port": 6379' in text
            changed = text.replace(PAGES_SERVER, f"{HOST}:{server.port}")
            changed = changed.replace('"localhost", 6379', f'"{HOST}", {server.port}')
            changed = changed.replace('"port": 6379', f'"port": {server.port}')
            changed = changed.replace(_OF_A_CLIENT, f"{_OF_A_CLIENT}, request_timeout={PATIENCE_MS}")
            (directory / f"{each}.py").write_text(changed)
        self.environment = {
            "GLIDECACHED_RUNTIME_DIR": str(daemon.runtime_dir),
            "PYTHONPATH": f"{directory}:{child_environment()['PYTHONPATH']}",
        }
        self._programs: list[RecipeProgram] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._programs:
            program.end()

    def program(self) -> RecipeProgram:
        """Start another process of the program."""
        program = RecipeProgram(self.name, self.directory, self.environment)
        self._programs.append(program)
        return program

    def commands(self) -> dict[str, int]:
        """The calls of each command since the last `reset`, by others than the test and connections."""
        stats = self.server.admin.info("commandstats")
        counts = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
        return {name: count for name, count in counts.items() if name not in _OF_CONNECTIONS | _OF_THE_TEST}

    def cache(self, name: str) -> dict[str, Any]:
        """The daemon's row of the cache of this name."""
        (row,) = (row for row in self.daemon.stats()["caches"] if row["name"] == name)
        return dict(row)


def check_reads(recipe: Recipe, first: RecipeProgram, second: RecipeProgram, read: str, value: Any) -> None:
    """Check that reads after the first ones, in this process and in another, send nothing to the server."""
    for _ in range(2):  # a function that is cached writes with the first
        assert first.value(read) == value
    before = recipe.commands()
    for program in (first, second, first):
        assert program.value(read) == value
    after = recipe.commands()
    assert after == before, f"{read} asked the server: {before}, {after}"


def check_write(first: RecipeProgram, second: RecipeProgram, write: str, read: str, value: Any) -> None:
    """Check that what one process writes, both read, after both have had the value from before in their cache."""
    assert first.value(read) == second.value(read) != value, write
    first.do(write)
    found = (first.value(read), second.value(read))
    assert found == (value, value), f"{write}: {found}"


def check_other_writers(recipe: Recipe, program: RecipeProgram, key: str, read: str, cache: str) -> None:
    """Check that a write past the framework is not seen before the entry ends, a minute after it was read."""
    value = program.value(read)
    recipe.server.admin.delete(key)
    assert program.value(read) == value
    assert recipe.cache(cache)["settings"]["entry_ttl_ms"] == 60_000
    assert recipe.cache(cache)["settings"]["server_ttl"] is True


def check_own_timeout(program: RecipeProgram, write: str, read: str, missing: Any = None) -> None:
    """Check that a value that was written with a time-out of a second is not read for the cache's minute."""
    program.do(write)
    assert program.value(read) != missing
    wait_until(
        lambda: program.value(read) == missing, "the value's own time-out ends it in the cache, too", 20
    )
