"""The configuration file of a running daemon: read at its start, and again at each reload."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from glidecached.config.diff import ConfigDiff, Difference, compare
from glidecached.config.files import PUBLIC_KEYS, SECRET_KEYS
from glidecached.config.load import read, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from glidecached.config.model import Config, NamedUpstream
    from glidecached.config.schema import File

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
