"""What a reload changes and keeps: every key of the file is one or the other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import TypeAdapter

from glidecached.config.diff import compare
from glidecached.config.key_reference import KEYS
from glidecached.config.schema import (
    AdviceSettings,
    CacheSettings,
    DaemonSettings,
    File,
    MetricsSettings,
    UpstreamSettings,
)

BASE: dict[str, Any] = {
    "daemon": {},
    "upstreams": {"main": {"addresses": ["a:1"]}},
    "caches": {"catalog": {"upstream": "main", "max_cache_kb": 64, "entry_ttl_ms": 0}},
}
TABLES = {
    "daemon": "daemon",
    "metrics": "metrics",
    "advice": "advice",
    "upstreams": "upstreams.main",
    "caches": "caches.catalog",
}
FORMS = {
    "daemon": DaemonSettings,
    "metrics": MetricsSettings,
    "advice": AdviceSettings,
    "upstreams": UpstreamSettings,
    "caches": CacheSettings,
}
OTHER: dict[type, Any] = {int: 4_097, str: "/other", bool: None, tuple: ["b"]}
OTHER_BY_NAME: dict[str, Any] = {
    "mode": "cluster",
    "addresses": ["b:2"],
    "listen": "127.0.0.1:1",
    "log_level": "debug",
    "log_format": "json",
    "eviction_policy": "LFU",
    "max_message_bytes": 100_000,
}


def file(content: dict[str, Any]) -> File:
    return TypeAdapter(File).validate_python(content)


def table(form: File, section: str) -> Any:
    found = getattr(form, section)
    return next(iter(found.values())) if isinstance(found, dict) else found


def with_key(section: str, key: str, value: object) -> File:
    content = {name: dict(tables) for name, tables in BASE.items()}
    if section in {"daemon", "metrics", "advice"}:
        content[section] = {key: value}
    else:
        ((name, keys),) = BASE[section].items()
        content[section] = {name: {**keys, key: value}}
    return file(content)


def another(section: str, key: str) -> Any:
    """A value that the key does not have in `BASE`."""
    if key in OTHER_BY_NAME:
        return OTHER_BY_NAME[key]
    now = getattr(table(file(BASE), section), key)
    if isinstance(now, bool):
        return not now
    return OTHER["".__class__ if now is None else type(now)]


EACH_KEY = [(section, key) for section, keys in KEYS.items() for key in keys]


def test_every_key_of_the_schema_is_classified_and_no_other() -> None:
    sections = {each.name for each in dataclasses.fields(File)}
    assert set(KEYS) == sections, (
        "glidecached.config.key_reference.KEYS has to say what a reload does with each key"
    )
    for section, keys in KEYS.items():
        names = {each.name for each in dataclasses.fields(table(file(BASE), section))}
        assert set(keys) == names, f"glidecached.config.key_reference: [{section}]"


@pytest.mark.parametrize(("section", "key"), EACH_KEY)
def test_a_key_changes_or_is_kept_as_its_classification_says(section: str, key: str) -> None:
    value = another(section, key)
    old, new = file(BASE), with_key(section, key, value)
    assert old != new
    plan = compare(old, new)
    told, silent = (plan.changed, plan.kept) if KEYS[section][key].reloads else (plan.kept, plan.changed)
    assert [(each.table, each.key) for each in told] == [(TABLES[section], key)]
    assert silent == []
    assert plan.form == (new if KEYS[section][key].reloads else old)


@pytest.mark.parametrize(
    ("section", "key", "told"),
    [
        ("metrics", "listen", "[metrics] listen (not given) → 127.0.0.1:1"),
        ("upstreams", "addresses", "[upstreams.main] addresses [a:1] → [b:2]"),
        ("caches", "eviction_policy", "[caches.catalog] eviction_policy LRU → LFU"),
    ],
)
def test_a_difference_is_told_in_the_files_own_words(section: str, key: str, told: str) -> None:
    plan = compare(file(BASE), with_key(section, key, another(section, key)))
    assert list(map(str, (*plan.changed, *plan.kept))) == [told]


def test_tables_come_and_go() -> None:
    new = file({**BASE, "caches": {"other": {"upstream": "main", "max_cache_kb": 1, "entry_ttl_ms": 1}}})
    plan = compare(file(BASE), new)
    assert (plan.added, plan.removed) == (["caches.other"], ["caches.catalog"])
    assert plan.form == new
    assert not plan.empty


def test_the_same_file_changes_nothing() -> None:
    plan = compare(file(BASE), file(BASE))
    assert plan.empty
    assert plan.form == file(BASE)


def test_what_is_said_of_a_difference_is_what_stands_in_the_file() -> None:
    plan = compare(file(BASE), with_key("daemon", "admin_users", ["root", "eve"]))
    assert str(plan.changed[0]) == "[daemon] admin_users [] → [root, eve]"
    plan = compare(file(BASE), with_key("upstreams", "tls_insecure", value=True))
    assert str(plan.kept[0]) == "[upstreams.main] tls_insecure false → true"
    plan = compare(file(BASE), with_key("daemon", "pool_dir", "/dev/shm/x"))  # noqa: S108 - a value, not a file
    assert str(plan.kept[0]) == "[daemon] pool_dir (not given) → /dev/shm/x"
