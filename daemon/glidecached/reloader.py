"""Reload at SIGHUP: the configuration file is read again, and its changes are applied while the daemon serves.

The order of changes: first smaller or stricter values, then things that others refer to, last the things that refer.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glidecached.config.load import ConfigError
from glidecached.logs import use_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.client_session import ClientSession, Sessions
    from glidecached.config.diff import ConfigDiff, Source
    from glidecached.config.model import Config
    from glidecached.frontend.dispatcher import Dispatcher
    from glidecached.frontend.listener import Listener
    from glidecached.handlers.admin import AdminHandlers
    from glidecached.handlers.attach import AttachHandlers
    from glidecached.metrics.endpoint import MetricsListener
    from glidecached.pools.manager import PoolManager
    from glidecached.process.loop import Loop
    from glidecached.upstream.registry import Upstreams

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadedParts:
    """The parts of the daemon that a reload changes, and the service manager that is told its begin and its end."""

    listener: Listener
    dispatcher: Dispatcher
    sessions: Sessions
    upstreams: Upstreams
    pools: PoolManager
    attach: AttachHandlers
    admin: AdminHandlers
    metrics: MetricsListener
    begun: Callable[[], object]
    done: Callable[[], object]


class Reloading:
    """The reloader: it does one reload at a time. For the loop's thread.

    `config` is the configuration in force. The file is read in a thread of its own, because names and files may be
    slow. If anything in it is wrong, nothing changes. The service manager gets a message when all is done, including
    pools that change their size.
    """

    def __init__(self, loop: Loop, config: Config, source: Source | None, parts: ReloadedParts) -> None:
        """Make a reloader. `source`: the file; None if the daemon has none, or was started with an embedded server."""
        self.config = config
        self._loop = loop
        self._source = source
        self._parts = parts
        self._busy = False
        self._wanted = False
        self._stopped = False

    def request(self) -> None:
        """Reload. If a reload is in progress, reload again after it: the file may have changed since it was read."""
        if self._stopped:
            logger.info("reload ignored, the daemon is stopping")
        elif self._source is None:
            self._parts.begun()
            logger.info("reload ignored, the daemon has no configuration file, or an embedded server")
            self._parts.done()
        elif self._busy:
            self._wanted = True
        else:
            self._busy = True
            self._parts.begun()
            helper = threading.Thread(
                target=self._prepare, args=(self._source, self.config), name="glidecached-reload", daemon=True
            )
            try:
                helper.start()
            except RuntimeError as error:  # there may be no more threads; later there may be
                self._prepared(self._source, [f"the file cannot be read now: {error}"])

    def stop(self) -> None:
        """Reload no more; drop a configuration that has been read already."""
        self._stopped = True

    def _prepare(self, source: Source, config: Config) -> None:
        """Read and compare the configuration, in the helper thread."""
        outcome: tuple[ConfigDiff, Config] | list[str]
        try:
            outcome = source.prepare(config)
        except ConfigError as error:
            outcome = error.faults
        except Exception as error:
            logger.exception("configuration could not be read", extra={"path": source.path})
            outcome = [f"{source.path}: {type(error).__name__}: {error}"]
        self._loop.call_from_thread(self._prepared, source, outcome)

    def _prepared(self, source: Source, outcome: tuple[ConfigDiff, Config] | list[str]) -> None:
        if self._stopped:
            return
        try:
            if isinstance(outcome, list):
                _refuse(source, outcome)
            else:
                self._change(source, *outcome)
        finally:
            # In any case: the service manager waits for the end, and so does the next reload.
            self._parts.pools.changes.when_settled(self._finish)

    def _change(self, source: Source, plan: ConfigDiff, config: Config) -> None:
        levels = [_level(each) for each in (self.config, config)]
        failed = 0
        for change in self._changes(plan, config):
            try:
                change()
            except Exception:
                # Half a reload would be worse: stricter values may be among the other changes.
                failed += 1
                logger.exception("part of the reload failed")
        self.config = _with_metrics_of(self.config, config) if plan.failed else config
        # The changes are logged if the old or the new level lets them through.
        logging.getLogger().setLevel(min(levels))
        _log_changes(source, plan)
        if failed:
            logger.error(
                "reload incomplete, restart the daemon to complete it", extra={"failed_parts": failed}
            )
        logging.getLogger().setLevel(levels[1])
        use_format(config.daemon.log_format)

    def _finish(self) -> None:
        if self._stopped:
            return
        self._busy = False
        logger.debug("reload finished")
        self._parts.done()
        if self._wanted:
            self._wanted = False
            self.request()

    def _changes(self, plan: ConfigDiff, config: Config) -> Iterator[Callable[[], object]]:
        """Yield all changes in order; each works without the others."""
        yield functools.partial(self._apply_bounds, config)
        for name in config.upstreams:
            yield functools.partial(self._apply_upstream, config, name)
        yield functools.partial(self._remove_upstreams, config)
        yield functools.partial(self._end_sessions, config)
        yield from self._changes_of_caches(config)
        yield functools.partial(self._apply_metrics, plan, config)

    def _apply_bounds(self, config: Config) -> None:
        parts, settings = self._parts, config.daemon
        parts.attach.config = config
        parts.admin.admin_uids = config.admin_uids
        parts.listener.limit_requests(settings.max_requests_per_client)
        parts.dispatcher.limit_requests(settings.max_requests_per_client)
        parts.listener.limit_connections(settings.max_connections)
        parts.listener.budget.limit(settings.max_client_memory_mb)
        parts.sessions.max_sessions = settings.max_sessions
        parts.sessions.idle_seconds = settings.session_idle_seconds
        parts.upstreams.max_upstreams = settings.max_upstreams
        parts.pools.max_total_cache_kb = settings.max_total_cache_kb
        parts.pools.max_pools = settings.max_pools
        parts.pools.advice_enabled = config.advice.enabled

    def _apply_metrics(self, plan: ConfigDiff, config: Config) -> None:
        try:
            self._parts.metrics.start(config.metrics)
        except OSError as error:
            logger.error(  # noqa: TRY400 - not a fault of the program
                "metrics address not changed", extra={"reason": error}
            )
            plan.fail("metrics")

    def _apply_upstream(self, config: Config, name: str) -> None:
        upstreams, upstream = self._parts.upstreams, config.upstreams[name]
        old = self.config.upstreams.get(name)
        if old is None:
            upstreams.configure(name, upstream.target, upstream.options)
        elif (old.target, old.options) != (upstream.target, upstream.options):
            upstreams.reconfigure(name, old.target, upstream.target, upstream.options)

    def _remove_upstreams(self, config: Config) -> None:
        for name, upstream in self.config.upstreams.items():
            if name not in config.upstreams:
                self._parts.upstreams.unconfigure(name, upstream.target)

    def _end_sessions(self, config: Config) -> None:
        """Have clients attach again that might be refused now: they are then checked like new clients.

        A client with its own addresses and credentials may share a configured upstream. It has to prove them again
        when those of the upstream change.
        """
        before = self.config
        changed = {
            target
            for name, upstream in config.upstreams.items()
            if name in before.upstreams and before.upstreams[name].target != upstream.target
            for target in (before.upstreams[name].target, upstream.target)
        }
        judged = {
            name
            for name, upstream in before.upstreams.items()
            if name not in config.upstreams or upstream.access != config.upstreams[name].access
        }
        pools = {
            name
            for name, cache in before.caches.items()
            if name not in config.caches or before.access_to(cache) != config.access_to(config.caches[name])
        }
        closed = before.daemon.allow_adhoc_upstreams and not config.daemon.allow_adhoc_upstreams

        def concerned(session: ClientSession) -> bool:
            if session.upstream_name in judged:
                return True
            if session.pool is not None and session.pool.configured and session.pool.key.name in pools:
                return True
            return session.upstream_name is None and (closed or session.upstream.target in changed)

        ended = self._parts.sessions.end(concerned)
        if ended:
            logger.info("sessions ended, access has changed", extra={"sessions": ended})

    def _changes_of_caches(self, config: Config) -> Iterator[Callable[[], object]]:
        """Yield the changes of caches, smaller ones first: others may need the memory that these give back."""
        pools, before = self._parts.pools.changes, self.config.caches
        for name in before:
            if name not in config.caches:
                yield functools.partial(pools.unconfigure, name)
        yield lambda: pools.readmit({name: each.access for name, each in config.upstreams.items()})
        sizes = {name: cache.settings.max_cache_kb for name, cache in before.items()}
        caches = config.configured_caches()
        for cache in sorted(caches, key=lambda each: each.settings.max_cache_kb - sizes.get(each.name, 0)):
            yield functools.partial(pools.reconfigure, cache)


def _level(config: Config) -> int:
    return logging.getLevelNamesMapping()[config.daemon.log_level.upper()]


def _with_metrics_of(before: Config, config: Config) -> Config:
    """Return the configuration in force when the listener could not be changed: the next reload tries again."""
    form = dataclasses.replace(config.form, metrics=before.form.metrics)
    return dataclasses.replace(config, metrics=before.metrics, form=form)


def _refuse(source: Source, faults: list[str]) -> None:
    for fault in faults:
        logger.error("configuration fault", extra={"fault": fault})
    logger.error(
        "reload refused, the previous configuration stays", extra={"path": source.path, "faults": len(faults)}
    )


def _log_changes(source: Source, plan: ConfigDiff) -> None:
    """Log one line for changes, one for keys that were kept: the values of keys, never the contents of files."""
    if plan.empty:
        logger.info("reloaded, nothing has changed", extra={"path": source.path})
        return
    changed = [*map(str, plan.changed), *plan.reread]
    changed += [f"[{name}] added" for name in plan.added] + [f"[{name}] removed" for name in plan.removed]
    logger.info("reloaded", extra={"path": source.path, "changed": "; ".join(changed) or "nothing"})
    if plan.kept:
        logger.warning("changes need a restart", extra={"kept": "; ".join(map(str, plan.kept))})
