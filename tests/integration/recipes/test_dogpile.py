"""dogpile.cache with the shared cache: the program of docs/integrations.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.recipe_programs import check_other_writers, check_own_timeout, check_reads, check_write

if TYPE_CHECKING:
    from support.recipe_programs import Recipe, RecipeProgram

PROGRAM = "dogpile_shop"
CACHE = "dogpile"

WRITES = {
    "region.set('k', 2)": 2,
    "region.set_multi({'k': 2, 'l': 3})": 2,
    "region.delete('k')": None,
    "region.delete_multi(['k', 'l'])": None,
}
READ = "region.get('k') or None"


def test_reads_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    first.do("region.set_multi({'k': ['value'], 'l': 'other'})")
    check_reads(recipe, first, second, READ, ["value"])
    check_reads(recipe, first, second, "region.get_multi(['k', 'l'])", [["value"], "other"])


def test_functions_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    check_reads(recipe, first, second, "price(7)", 107)
    assert (first.value("calls"), second.value("calls")) == ([7], [])
    check_write(first, second, "price.set(3, 7)", "price(7)", 3)
    second.do("price.invalidate(7)")
    assert first.value("price(7)") == second.value("price(7)") == 107
    assert first.value("calls") == [7, 7]


def test_writes_are_seen_at_once(first: RecipeProgram, second: RecipeProgram) -> None:
    for write, value in WRITES.items():
        first.do("region.set('k', 1)")
        check_write(first, second, write, READ, value)


def test_writes_past_the_framework_are_seen_after_a_minute(recipe: Recipe, first: RecipeProgram) -> None:
    first.do("region.set('k', 1)")
    check_other_writers(recipe, first, "shop:k", READ, CACHE)


def test_a_values_own_timeout_holds(first: RecipeProgram) -> None:
    first.do("region.actual_backend.valkey_expiration_time = 1")
    check_own_timeout(first, "region.set('k', 1)", READ)


def test_locks_are_the_servers(first: RecipeProgram, second: RecipeProgram) -> None:
    first.do("mutex = region.actual_backend.get_mutex('k'); assert mutex.acquire()")
    assert second.value("region.actual_backend.get_mutex('k').acquire(wait=False)") is False
    assert second.value("region.actual_backend.get_mutex('k').locked()") is True
    first.do("mutex.release()")
    assert second.value("region.actual_backend.get_mutex('k').locked()") is False
