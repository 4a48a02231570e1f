"""aiocache with the shared cache: the program of docs/integrations.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.recipe_programs import check_other_writers, check_own_timeout, check_reads, check_write

if TYPE_CHECKING:
    from support.recipe_programs import Recipe, RecipeProgram

PROGRAM = "aiocache_shop"
CACHE = "aiocache"

WRITES = {
    "await cache.set('k', 2)": 2,
    "await cache.set('k', 2, ttl=60)": 2,
    "await cache.set('k', 2, ttl=60.5)": 2,
    "await cache.multi_set([('k', 2), ('l', 3)])": 2,
    "await cache.multi_set([('k', 2), ('l', 3)], ttl=60)": 2,
    "await cache.increment('k')": 2,
    "await cache.delete('k')": None,
    "await cache.clear(namespace='shop')": None,
}
READ = "await cache.get('k')"


def test_reads_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    first.do("await cache.multi_set([('k', ['value']), ('l', 'other')])")
    check_reads(recipe, first, second, READ, ["value"])
    check_reads(recipe, first, second, "await cache.multi_get(['k', 'l'])", [["value"], "other"])
    check_reads(recipe, first, second, "await cache.raw('get', 'shop:l')", '"other"')


def test_functions_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    check_reads(recipe, first, second, "await price(7)", 107)
    assert (first.value("calls"), second.value("calls")) == ([7], [])


def test_writes_are_seen_at_once(first: RecipeProgram, second: RecipeProgram) -> None:
    for write, value in WRITES.items():
        first.do("await cache.set('k', 1)")
        check_write(first, second, write, READ, value)


def test_optimistic_locks_are_compared_at_the_server(first: RecipeProgram, second: RecipeProgram) -> None:
    first.do("from aiocache.lock import OptimisticLock, OptimisticLockError")
    first.do("await cache.set('k', 1)")
    assert first.value(READ) == second.value(READ) == 1
    first.do("async with OptimisticLock(cache, 'k') as lock: await lock.cas(2)")
    assert first.value(READ) == second.value(READ) == 2


def test_writes_past_the_framework_are_seen_after_a_minute(recipe: Recipe, first: RecipeProgram) -> None:
    first.do("await cache.set('k', 1)")
    check_other_writers(recipe, first, "shop:k", READ, CACHE)


def test_a_values_own_timeout_holds(first: RecipeProgram) -> None:
    check_own_timeout(first, "await cache.set('k', 1, ttl=1)", READ)
