"""The changes of a reload, and what it keeps: two configuration files compared, key by key."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glidecached.config.key_reference import KEYS
from glidecached.config.load import PUBLIC_KEYS, SECRET_KEYS, read, resolve
from glidecached.upstream.target import Address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from glidecached.config.key_reference import Key
    from glidecached.config.model import Config, NamedUpstream
    from glidecached.config.schema import File


@dataclass(frozen=True, slots=True)
class Difference:
    """One key of one table with a new value in the file: `table` is `"daemon"` or `"upstreams.default"`."""

    table: str
    key: str
    old: object
    new: object

    def __str__(self) -> str:
        return f"[{self.table}] {self.key} {_shown(self.old)} → {_shown(self.new)}"


@dataclass(slots=True)
class ConfigDiff:
    """The plan of a reload: `form` is the configuration from now on, with keys that cannot change as they were.

    `added` and `removed` name whole tables, as `"caches.catalog"`. `reread` lists files with new contents, and
    `failed` lists changes that could not be made.
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
        """Return whether the file has the same contents as before."""
        return not (self.changed or self.kept or self.added or self.removed or self.reread or self.failed)

    def fail(self, table: str) -> None:
        """Take back the changes of this table: they could not be made, and the log has the reason."""
        self.failed += [each for each in self.changed if each.table == table]
        self.changed = [each for each in self.changed if each.table != table]


def compare(old: File, new: File) -> ConfigDiff:
    """Compare the configuration in force, `old`, with the file's present contents, `new`. Changes neither."""
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
    """Compare one table. Return it with the old values of keys that are kept."""
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
    """Return a value in the file's notation."""
    if value is None:
        return "(not given)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and not isinstance(value, Address):
        return f"[{', '.join(str(each) for each in value)}]"
    return str(value)


_FILES = (*SECRET_KEYS, *PUBLIC_KEYS)


class Source:
    """A configuration file; the log level of the command line has priority. Reading raises `ConfigError`."""

    def __init__(self, path: Path, *, log_level: str | None = None) -> None:
        self.path = path
        self._log_level = log_level

    def load(self) -> Config:
        """Return the configuration that the file describes now."""
        return resolve(self.path, self._read())

    def prepare(self, current: Config) -> tuple[ConfigDiff, Config]:
        """Return the changes that the file would make now, and the new configuration. Blocks: files, name lookups.

        All of the file has to be right, even keys that cannot change. Then keys that cannot change get their old
        values, and the result has to be right as a whole.
        """
        form = self._read()
        resolve(self.path, form)
        plan = compare(current.form, form)
        config = resolve(self.path, plan.form)
        for name, upstream in config.upstreams.items():
            before = current.upstreams.get(name)
            if before is not None and before.target != upstream.target:
                config = _with_upstream(config, _settle(plan, before, upstream))
        return plan, dataclasses.replace(config, form=plan.form)

    def _read(self) -> File:
        form = read(self.path)
        if self._log_level is None:
            return form
        level: Any = self._log_level.lower()  # the command line allows the same words
        return dataclasses.replace(form, daemon=dataclasses.replace(form.daemon, log_level=level))


def _settle(plan: ConfigDiff, before: NamedUpstream, upstream: NamedUpstream) -> NamedUpstream:
    """Return an upstream with its new files or contents, or as before if its identity requires that."""
    table = f"upstreams.{upstream.name}"
    keeps = before.target.mode == upstream.target.mode and before.target.identity == upstream.target.identity
    told = {each.key for each in (*plan.changed, *plan.kept) if each.table == table}
    if keeps:
        if not told.intersection(_FILES):
            plan.reread.append(f"[{table}] the files of its credentials have new contents")
        return upstream
    moved = [each for each in plan.changed if each.table == table and each.key in _FILES]
    plan.changed = [each for each in plan.changed if each not in moved]
    plan.kept += moved or [Difference(table, "identity", before.target.identity, upstream.target.identity)]
    form = plan.form.upstreams.get(upstream.name)
    if form is not None and moved:
        before_files: dict[str, Any] = {each.key: each.old for each in moved}
        form = dataclasses.replace(form, **before_files)
        plan.form = dataclasses.replace(plan.form, upstreams={**plan.form.upstreams, upstream.name: form})
    return dataclasses.replace(upstream, target=before.target)


def _with_upstream(config: Config, upstream: NamedUpstream) -> Config:
    return dataclasses.replace(config, upstreams={**config.upstreams, upstream.name: upstream})
