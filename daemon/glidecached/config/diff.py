"""What a reload changes, and what it keeps: two configuration files compared, key by key."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glidecached.config.keys import KEYS
from glidecached.upstream.target import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glidecached.config.keys import Key
    from glidecached.config.schema import File


@dataclass(frozen=True, slots=True)
class Difference:
    """One key of one table that the file now says differently: `table` is `"daemon"` or `"upstreams.default"`."""

    table: str
    key: str
    old: object
    new: object

    def __str__(self) -> str:
        return f"[{self.table}] {self.key} {_shown(self.old)} → {_shown(self.new)}"


@dataclass(slots=True)
class ConfigDiff:
    """What to do: `form` is the configuration from now on, with what cannot change as it was.

    `added` and `removed` name whole tables, as `"caches.catalog"`; `reread` tells of files whose contents are new, and
    `failed` of what was to change and could not.
    """

    form: File
    changed: list[Difference] = field(default_factory=list)
    kept: list[Difference] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    reread: list[str] = field(default_factory=list)
    failed: list[Difference] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether the file says what it said before."""
        return not (self.changed or self.kept or self.added or self.removed or self.reread or self.failed)

    def fail(self, table: str) -> None:
        """Take back what was to change in this table: it cannot be done, and whoever tried has said why."""
        self.failed += [each for each in self.changed if each.table == table]
        self.changed = [each for each in self.changed if each.table != table]


def compare(old: File, new: File) -> ConfigDiff:
    """From the configuration that is in force, `old`, to what the file says now. Changes neither."""
    plan = ConfigDiff(form=new)
    sections: dict[str, Any] = {}
    for section in (each.name for each in dataclasses.fields(new)):
        before, after = getattr(old, section), getattr(new, section)
        sections[section] = (
            _compare_tables(section, before, after, plan)
            if isinstance(after, dict)
            else _compare_keys(section, KEYS[section], before, after, plan)
        )
    plan.form = dataclasses.replace(new, **sections)
    return plan


def _compare_tables(
    section: str, old: Mapping[str, Any], new: Mapping[str, Any], plan: ConfigDiff
) -> dict[str, Any]:
    plan.removed += [f"{section}.{name}" for name in old if name not in new]
    plan.added += [f"{section}.{name}" for name in new if name not in old]
    return {
        name: _compare_keys(f"{section}.{name}", KEYS[section], old[name], table, plan)
        if name in old
        else table
        for name, table in new.items()
    }


def _compare_keys(table: str, keys: Mapping[str, Key], old: Any, new: Any, plan: ConfigDiff) -> Any:
    """One table; returns it with the old values of what is kept."""
    kept = {}
    for name in (each.name for each in dataclasses.fields(new)):
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        difference = Difference(table, name, before, after)
        if keys[name].reloads:
            plan.changed.append(difference)
        else:
            plan.kept.append(difference)
            kept[name] = before
    return dataclasses.replace(new, **kept)


def _shown(value: object) -> str:
    """A value as it stands in the file."""
    if value is None:
        return "(not given)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and not isinstance(value, Address):
        return f"[{', '.join(str(each) for each in value)}]"
    return str(value)
