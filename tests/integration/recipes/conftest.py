"""Programs of docs/integrations.md at the common server and a daemon of the recipes' own, which caches by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.daemon import Daemon
from support.recipe_programs import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.recipe_programs import RecipeProgram
    from support.valkey_server import ValkeyServer


@pytest.fixture(scope="session")
def recipe_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that has room for all caches of the page at once."""
    daemon = Daemon(tmp_path_factory.mktemp("recipes"), {"daemon": {"max_total_cache_kb": 4_194_304}})
    daemon.start()
    yield daemon
    daemon.stop()
    assert "Traceback" not in daemon.log_text()
    daemon.discard()


@pytest.fixture
def recipe(
    request: pytest.FixtureRequest, valkey: ValkeyServer, recipe_daemon: Daemon, tmp_path: Path
) -> Iterator[Recipe]:
    """The program that the test's module is about, in `PROGRAM`."""
    with Recipe(request.module.PROGRAM, tmp_path, valkey, recipe_daemon) as made:
        for row in recipe_daemon.stats()["caches"]:
            flush(recipe_daemon, row["name"])
        yield made


@pytest.fixture
def first(recipe: Recipe) -> RecipeProgram:
    """A process."""
    return recipe.program()


@pytest.fixture
def second(recipe: Recipe) -> RecipeProgram:
    """Another process."""
    return recipe.program()


def flush(daemon: Daemon, name: str) -> None:
    """Empty a cache, which other tests may have filled."""
    from click.testing import CliRunner

    from glidecached.cli import operator

    arguments = ["flush", "--yes", name, "--runtime-dir", str(daemon.runtime_dir)]
    result = CliRunner().invoke(operator.main, arguments)
    assert result.exit_code == 0, result.output
