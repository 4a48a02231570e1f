"""django-redis with the shared cache: the settings of docs/integrations.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.recipe_programs import check_other_writers, check_own_timeout, check_reads, check_write

if TYPE_CHECKING:
    from support.recipe_programs import Recipe, RecipeProgram

PROGRAM = "django_redis_settings"
CACHE = "django-redis"

WRITES = {
    "cache.set('k', 2)": 2,
    "cache.set_many({'k': 2, 'l': 3})": 2,
    "cache.incr('k')": 2,
    "cache.delete('k')": None,
    "cache.delete_many(['k', 'l'])": None,
    "cache.delete_pattern('k*')": None,
    "cache.clear()": None,
}


def test_reads_of_all_processes_come_from_the_pool(
    recipe: Recipe, first: RecipeProgram, second: RecipeProgram
) -> None:
    first.do("cache.set_many({'k': ['value'], 'l': 'other'})")
    check_reads(recipe, first, second, "cache.get('k')", ["value"])
    check_reads(recipe, first, second, "cache.get_many(['k', 'l'])", {"k": ["value"], "l": "other"})


def test_writes_are_seen_at_once(first: RecipeProgram, second: RecipeProgram) -> None:
    for write, value in WRITES.items():
        first.do("cache.set('k', 1)")
        check_write(first, second, write, "cache.get('k')", value)


def test_writes_past_the_framework_are_seen_after_a_minute(recipe: Recipe, first: RecipeProgram) -> None:
    first.do("cache.set('k', 1)")
    check_other_writers(recipe, first, "site:1:k", "cache.get('k')", CACHE)


def test_a_values_own_timeout_holds(first: RecipeProgram) -> None:
    check_own_timeout(first, "cache.set('k', 1, timeout=1)", "cache.get('k')")


def test_locks_are_the_servers(first: RecipeProgram, second: RecipeProgram) -> None:
    first.do("lock = cache.lock('k', timeout=60); assert lock.acquire()")
    assert second.value("cache.lock('k', timeout=60).acquire(blocking=False)") is False
    assert second.value("cache.ttl('k')") > 0
    first.do("lock.release()")
    assert second.value("cache.lock('k', timeout=60).acquire(blocking=False)") is True
