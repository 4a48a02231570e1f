"""fastapi-cache with the shared cache: the program of docs/integrations.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.recipe_programs import check_other_writers, check_own_timeout, check_reads, check_write

if TYPE_CHECKING:
    from support.recipe_programs import Recipe, RecipeProgram

PROGRAM = "fastapi_cache_shop"
CACHE = "fastapi"
WRITES = {
    "await backend.set('shop:k', b'2')": b"2",
    "await backend.set('shop:k', b'2', 60)": b"2",
    "await backend.clear(key='shop:k')": None,
    "await backend.clear(namespace='shop')": None,
    "await FastAPICache.clear()": None,
}
READ = "(await backend.get_with_ttl('shop:k'))[1]"


@pytest.fixture(autouse=True)
def _started(first: RecipeProgram, second: RecipeProgram) -> None:
    """Both processes have begun their applications' lives."""
    for program in (first, second):
        program.do("life = lifespan(app); await life.__aenter__(); backend = FastAPICache.get_backend()")


def test_endpoints_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    check_reads(recipe, first, second, "await product(7)", {"number": 7, "made": 1})
    assert (first.value("calls"), second.value("calls")) == ([7], [])
    assert second.value("await clear()") == 1
    assert first.value("await product(7)") == second.value("await product(7)") == {"number": 7, "made": 2}


def test_writes_are_seen_at_once(first: RecipeProgram, second: RecipeProgram) -> None:
    for write, value in WRITES.items():
        first.do("await backend.set('shop:k', b'1')")
        check_write(first, second, write, READ, value)


def test_answers_from_the_cache_are_asked_for_again(first: RecipeProgram) -> None:
    first.do("from starlette.responses import Response; answers = [Response(), Response()]")
    first.do("for answer in answers: await product(7, __fastapi_cache_response=answer)")
    made, cached = first.value("[dict(answer.headers) for answer in answers]")
    assert (made["x-fastapi-cache"], made["cache-control"]) == ("MISS", "max-age=300")
    assert (cached["x-fastapi-cache"], cached["cache-control"]) == ("HIT", "max-age=0")
    assert made["etag"] == cached["etag"]


def test_writes_past_the_framework_are_seen_after_a_minute(recipe: Recipe, first: RecipeProgram) -> None:
    first.do("await backend.set('shop:k', b'1')")
    check_other_writers(recipe, first, "shop:k", READ, CACHE)


def test_a_values_own_timeout_holds(first: RecipeProgram) -> None:
    check_own_timeout(first, "await backend.set('shop:k', b'1', 1)", READ)
