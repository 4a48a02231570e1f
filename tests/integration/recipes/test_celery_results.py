"""Results of Celery with the shared cache: the program of docs/integrations.md, and a real worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.process import ChildProcess
from support.recipe_programs import check_own_timeout, check_reads
from support.valkey_server import HOST
from workers.serving import module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.recipe_programs import Recipe, RecipeProgram

PROGRAM = "celery_results"
PATIENCE_S = 40


@pytest.fixture
def broker(recipe: Recipe) -> dict[str, str]:
    """The broker of the tasks, by the environment, before a program is started."""
    recipe.environment["CELERY_BROKER_URL"] = f"redis://{HOST}:{recipe.server.port}/2"
    return recipe.environment


@pytest.fixture
def worker(recipe: Recipe, broker: dict[str, str]) -> Iterator[ChildProcess]:
    """A worker of the page's application."""
    worker = ChildProcess(recipe.directory / "celery.log")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--pool", "solo")
    command = module("celery", "--app", "celery_results", "worker", *quiet)
    worker._spawn(command, C_FORCE_ROOT="1", **broker)
    yield worker
    assert worker.terminate() == 0
    assert "Traceback" not in worker.log_text()


@pytest.mark.usefixtures("worker")
def test_finished_results_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    first.do("sent = report.delay(7)")
    assert first.value(f"sent.get(timeout={PATIENCE_S})") == 49
    task = first.value("sent.id")
    read = f"(lambda found: (found['status'], found['result']))(app.backend.get_task_meta({task!r}, cache=False))"
    reads = recipe.server.calls("get") + recipe.server.calls("mget")
    for _ in range(3):
        for program in (first, second):
            assert program.value(read) == ("SUCCESS", 49)
            assert program.value(f"app.AsyncResult({task!r}).get(timeout={PATIENCE_S})") == 49
    assert recipe.server.calls("get") + recipe.server.calls("mget") <= reads + 2, "one miss, if any"
    check_reads(recipe, first, second, read, ("SUCCESS", 49))
    first.do(f"app.AsyncResult({task!r}).forget()")
    for program in (first, second):
        assert program.value(read) == ("PENDING", None)
    (row,) = (row for row in recipe.daemon.stats()["caches"] if row["name"] == "celery")
    assert (row["settings"]["entry_ttl_ms"], row["settings"]["server_ttl"]) == (60_000, True)


def test_states_that_are_not_the_last_are_never_old(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    first.do("app.backend.store_result('t', {'done': 1}, 'PROGRESS')")
    state = "app.AsyncResult('t').state"
    for program in (second, first, second):
        assert program.value(state) == "PROGRESS"
    # By another host's worker: nothing is forgotten.
    written = first.value("app.backend.encode(app.backend._get_result_meta(49, 'SUCCESS', None, None))")
    recipe.server.admin.execute_command("SELECT", 1)
    recipe.server.admin.set("celery-task-meta-t", written)
    recipe.server.admin.execute_command("SELECT", 0)
    for program in (second, first, second):
        assert program.value(state) == "SUCCESS"
    assert first.value("list(app.backend.get_many(['t']))[0][1]['result']") == 49


def test_groups_are_collected(recipe: Recipe, first: RecipeProgram) -> None:
    first.do("results = [app.AsyncResult(str(number)) for number in range(3)]")
    first.do("for number in range(3): app.backend.store_result(str(number), number, 'SUCCESS')")
    collected = f"GroupResult('g', results).get(timeout={PATIENCE_S})"
    first.do("from celery.result import GroupResult")
    assert first.value(collected) == [0, 1, 2]
    assert recipe.server.calls("get") > 0


def test_a_results_own_end_holds(first: RecipeProgram) -> None:
    first.do("app.backend.expires = 1")
    write = "app.backend.store_result('t', 49, 'SUCCESS')"
    check_own_timeout(first, write, "app.backend.get_task_meta('t', cache=False)['result']")
