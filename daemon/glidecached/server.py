"""The daemon as a whole: its parts, and the order of its start and its stop."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecache_shared import __version__, protocol
from glidecache_shared.pool.files.boot_identity import boot_id, time_namespace
from glidecache_shared.pool.reader import LAYOUT_VERSION
from glidecached.advice.digests import AdviceDigests
from glidecached.budget import Budget, DedicatedShares
from glidecached.client_processes import NO_USERS, ClientProcesses
from glidecached.client_session import Sessions
from glidecached.doctor.self_examination import SelfExamination
from glidecached.formatting import counted
from glidecached.frontend.dispatcher import Dispatcher, MessageIntake
from glidecached.frontend.listener import Listener
from glidecached.handlers.admin import MOST_CACHES, AdminHandlers, OncePerTurn, bounded_upstreams
from glidecached.handlers.advice import AdviceHandler
from glidecached.handlers.attach import AttachHandlers
from glidecached.handlers.cancel import CancelHandler
from glidecached.handlers.commands import (
    CommandHandlers,
    CommandOperation,
    GetManyOperation,
    ReadOperation,
)
from glidecached.handlers.forget import ForgetHandler
from glidecached.handlers.watch import WatchHandlers
from glidecached.metrics.endpoint import MetricsListener
from glidecached.pools.manager import PoolManager
from glidecached.pools.pool_dir import PoolDirectory, default_pool_dir
from glidecached.pools.previous_dir import end_previous, record
from glidecached.pools.warm_restart import PreviousPools, remove_all
from glidecached.process.deadlines import Deadlines
from glidecached.process.limits import plan_descriptors
from glidecached.process.loop import READABLE, Loop
from glidecached.process.runtime_lock import DirectoryLockedError
from glidecached.process.sd_notify import ServiceManager
from glidecached.process.sliced_work import SlicedWork
from glidecached.process.watchdog import Supervision, allow_for_take_over
from glidecached.reloader import ReloadedParts, Reloading
from glidecached.sequence import Sequence
from glidecached.upstream.registry import Upstreams
from glidecached.upstream.reply_room import ROOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.config.diff import Source
    from glidecached.config.model import Config
    from glidecached.frontend.caller import Caller
    from glidecached.process.runtime_lock import OwnedRuntimeDir

logger = logging.getLogger(__name__)

_SWITCH_SECONDS = 0.0005
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_DRAIN_INTERVAL_MS = 10
_PLACES_MS = 1_000
_FOR_A_WHILE = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM)
"""Errors in binding a socket that may be gone a second later."""


class Server:
    """One daemon: made, `run` once, then closed. Not for threads.

    `source`: the configuration file, which SIGHUP reads again. `warm`: pools are taken over from the previous daemon,
    and left to the next one. The caller owns the runtime directory, and must release it after `close`.
    Construction raises `DirectoryLockedError`, `PoolDirectoryError` or `OSError`, and then leaves nothing behind.
    """

    def __init__(
        self,
        config: Config,
        directory: OwnedRuntimeDir,
        *,
        warm: bool,
        source: Source | None = None,
        service_manager: ServiceManager | None = None,
    ) -> None:
        self._config = config
        self._source = source
        self._manager = service_manager or ServiceManager()
        self._warm = warm
        self._started_ns = time.monotonic_ns()
        self._started_at = time.time()
        self._instance_id = secrets.randbits(62) + 1
        self._stopping = False
        self._directory = directory
        self.failure = ""
        """The reason why the daemon ended without being asked to, once `run` has returned."""
        with contextlib.ExitStack() as undo:
            pool_dir = config.daemon.pool_dir
            self._pool_directory = PoolDirectory(
                default_pool_dir(directory.path) if pool_dir is None else Path(pool_dir),
                disposable=pool_dir is None,
                runtime_dir=directory.path if pool_dir is None else None,
            )
            undo.callback(self._pool_directory.release)
            end_previous(directory.path, self.pool_dir)
            self._loop = Loop()
            self._sliced_work = SlicedWork(self._loop)
            self._descriptors = plan_descriptors()
            undo.callback(self._loop.close)
            self._listener = self._bind(directory.socket_path)
            self._connections = self._listener.connections
            undo.callback(self._listener.close)
            self._assemble()
            undo.callback(self._pools.close)
            undo.callback(self._upstreams.close, "glidecached is stopping")
            self._metrics.start(config.metrics)
            undo.callback(self._metrics.stop)
            self._undo = undo.pop_all()

    @property
    def pool_dir(self) -> Path:
        """Return the directory of the pool files."""
        return self._pool_directory.path

    def call_regularly(self, interval_ms: float, callback: Callable[[], object]) -> None:
        """Call `callback` every `interval_ms` while the daemon serves."""

        def call() -> None:
            self._loop.call_later(interval_ms, call)
            callback()

        self._loop.call_later(interval_ms, call)

    def run(self, ready: Callable[[], object]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once clients can come. A SIGHUP held back counts now."""
        # The longest time that threads which make connections may hold the interpreter while the loop has work (I10).
        sys.setswitchinterval(_SWITCH_SECONDS)
        with (
            self._loop.signals(_SIGNALS, self._stop),
            self._loop.signals((signal.SIGHUP,), lambda _number: self._reloading.request()),
        ):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
            self._loop.set_intake(self._connections.descriptor, MessageIntake(self._dispatcher))
            self._pools.start()
            self._advice.start()
            self._supervision.start()
            self.call_regularly(_PLACES_MS, self._look_after_places)
            ready()
            self._loop.run()

    def close(self) -> None:
        """Undo construction in reverse order: upstreams, pools, socket, locks. Idempotent."""
        self._undo.close()

    def _bind(self, path: Path) -> Listener:
        settings = self._config.daemon
        return Listener(
            str(path),
            max_message_bytes=settings.max_message_bytes,
            max_requests=settings.max_requests_per_client,
            turn_end=self._loop.turn_end,
            call_later=self._loop.call_later,
            budget=Budget(settings.max_client_memory_mb),
            max_connections=settings.max_connections,
            descriptor_bound=self._descriptors.connections,
        )

    def _assemble(self) -> None:
        config = self._config
        settings = config.daemon
        loop = self._loop
        ROOM.use(self._listener.budget.memory)
        next_sequence = Sequence()
        if not self._warm:
            remove_all(self._pool_directory.path)
        allow_for_take_over(self._manager, self._pool_directory.path)
        self._upstreams = Upstreams(loop, settings.max_upstreams)
        for upstream in config.upstreams.values():
            self._upstreams.configure(upstream.name, upstream.target, upstream.options)
        self._pools = PoolManager(
            loop,
            self._pool_directory.path,
            instance_id=self._instance_id,
            grace_ms=settings.grace_ms,
            max_total_cache_kb=settings.max_total_cache_kb,
            max_pools=settings.max_pools,
            next_number=next_sequence,
            previous_pools=PreviousPools(self._pool_directory.path) if self._warm else None,
            restore_directory=self._pool_directory.restore,
            advice_enabled=config.advice.enabled,
        )
        self._advice = AdviceDigests(self._sliced_work, self._pools)
        for cache in config.configured_caches():
            self._pools.changes.configure(cache)
        self._pools.inherit({name: upstream.access for name, upstream in config.upstreams.items()})
        self._sessions = Sessions(loop, settings.max_sessions, settings.session_idle_seconds)
        self._supervision = Supervision(self._manager, loop, self._upstreams.configured, self._status)
        self._dispatcher = Dispatcher(
            self._connections,
            Deadlines(loop),
            instance_id=self._instance_id,
            max_requests_per_peer=settings.max_requests_per_client,
            sliced_work=self._sliced_work,
            knows_session=lambda session_id, uid: self._sessions.known(session_id, uid) is not None,
            refused=self._listener.refused,
        )
        self._client_processes = ClientProcesses(loop, self._sessions, self._listener.connected_processes)
        cancellations = self._dispatcher.cancellations
        attach = AttachHandlers(
            loop,
            config,
            self._upstreams,
            self._pools,
            self._sessions,
            next_sequence,
            detached=cancellations.session_ended,
        )
        dedicated = DedicatedShares()
        data = CommandHandlers(self._sessions, next_sequence, dedicated)
        watching = WatchHandlers(loop, self._sessions, next_sequence, dedicated)

        def peer_ended(caller: Caller) -> None:
            cancellations.peer_ended(caller)
            watching.peer_ended(caller.identity)

        self._listener.peer_ended = peer_ended
        self._metrics = MetricsListener(
            loop,
            self._stats,
            grace_ms=settings.grace_ms,
            examination=SelfExamination(lambda: self._reloading.config, str(self._directory.path)),
        )
        admin = AdminHandlers(self._about(), OncePerTurn(loop, self._stats), self._pools, config.admin_uids)
        self._reloading = Reloading(
            loop,
            config,
            self._source,
            ReloadedParts(
                listener=self._listener,
                dispatcher=self._dispatcher,
                sessions=self._sessions,
                upstreams=self._upstreams,
                pools=self._pools,
                attach=attach,
                admin=admin,
                metrics=self._metrics,
                begun=self._manager.reloading,
                done=self._manager.ready,
            ),
        )
        self._dispatcher.serve(
            {
                protocol.HELLO: admin.hello,
                protocol.PING: admin.ping,
                protocol.STATS: admin.stats,
                protocol.FLUSH: admin.flush,
                protocol.DROP: admin.drop,
                protocol.HOTTEST: admin.hottest,
                protocol.ATTACH: attach.attach,
                protocol.DETACH: attach.detach,
                protocol.COMMAND: CommandOperation(data),
                protocol.READ: ReadOperation(data),
                protocol.GET_MANY: GetManyOperation(data),
                protocol.BATCH: data.batch,
                protocol.WATCH: watching.watch,
                protocol.UNWATCH: watching.unwatch,
                protocol.EXEC: watching.execute,
                protocol.FORGET: ForgetHandler(self._sessions, next_sequence, admin.pool_of).forget,
                protocol.ADVISE: AdviceHandler(self._pools, admin.administers).advise,
                protocol.CANCEL: CancelHandler(cancellations).cancel,
            }
        )

    def _about(self) -> dict[str, Any]:
        return {
            "protocol_version": protocol.PROTOCOL_VERSION,
            "instance_id": self._instance_id,
            "daemon_version": __version__,
            "pid": os.getpid(),
            "grace_ms": self._config.daemon.grace_ms,
            "max_message_bytes": self._config.daemon.max_message_bytes,
            "layout_version": LAYOUT_VERSION,
        }

    def _stats(self) -> dict[str, Any]:
        processes, users = self._client_processes.users()
        upstreams, upstreams_left_out = bounded_upstreams(
            {**found, **users.get(upstream, NO_USERS).stats()}
            for upstream, found in zip(self._upstreams, self._upstreams.stats(), strict=True)
        )
        caches_left_out = max(0, len(self._pools) - MOST_CACHES)
        caches = self._pools.stats(processes, most=MOST_CACHES)
        self._advice.add_to(caches)
        return {
            "daemon": {
                "version": __version__,
                "pid": os.getpid(),
                "started_at": self._started_at,
                "pool_dir": str(self.pool_dir),
                "pool_dir_id": self._pool_directory.identity(),
                "boot_id": boot_id().hex(),
                "time_namespace": time_namespace(),
                "uptime_seconds": (time.monotonic_ns() - self._started_ns) / 1e9,
                "sessions": len(self._sessions),
                "connections": len(self._connections),
                "client_memory_bytes": self._listener.budget.memory.held,
                "client_memory_max_bytes": self._listener.budget.memory.total,
                "caches_left_out": caches_left_out,
                "upstreams_left_out": upstreams_left_out,
                "accepted_requests": self._dispatcher.accepted,
                "open_requests": self._dispatcher.open_requests,
                "refused": dict(self._dispatcher.refused),
                "max_total_cache_kb": self._pools.max_total_cache_kb,
            },
            "upstreams": upstreams,
            "caches": caches,
        }

    def _status(self) -> str:
        upstreams = self._upstreams.stats()
        connected = sum(upstream["connected_to"] is not None for upstream in upstreams)
        return (
            f"{counted(len(self._pools), 'cache')}, {connected} of {counted(len(upstreams), 'upstream')} connected, "
            f"{counted(len(self._sessions), 'session')}"
        )

    def _stop(self, number: int) -> None:
        """Take no new requests, answer the accepted ones, and leave the rest to `close`: so no request is lost."""
        if self._stopping:
            logger.warning("stopping at once", extra={"signal": signal.Signals(number).name})
            self._loop.stop()
            return
        logger.info("stopping", extra={"signal": signal.Signals(number).name})
        self._begin_stopping()

    def _begin_stopping(self) -> None:
        self._stopping = True
        drain_ms = self._reloading.config.daemon.stop_timeout_ms
        self._supervision.stop(drain_ms / 1e3)
        self._reloading.stop()
        until_ns = time.monotonic_ns() + drain_ms * 1_000_000
        self._listener.hide()
        # Requests that have arrived count as accepted: their senders cannot know better.
        while not self._dispatcher.receive() and time.monotonic_ns() < until_ns:
            pass
        self._loop.remove_intake(self._connections.descriptor)
        self._listener.stop_receiving()
        self._loop.watch(self._connections.descriptor, READABLE, lambda _events: self._connections.write())
        self._drain(until_ns)

    def _look_after_places(self) -> None:
        """Keep the socket, by which clients find the daemon, in a directory that this daemon owns (I13)."""
        if self._stopping:
            return
        try:
            made = self._directory.restore()
            if made:
                record(self._directory.path, self.pool_dir)
            bound = self._listener.restore()
        except (DirectoryLockedError, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _FOR_A_WHILE:
                logger.warning("socket vanished, cannot be bound again now", extra={"reason": error})
                return
            self.failure = f"the socket has vanished and cannot be bound again: {error}"
            self._begin_stopping()
            return
        if made:
            logger.warning("runtime directory restored", extra={"path": self._directory.path})
        elif bound:
            logger.warning("socket restored", extra={"path": self._directory.socket_path})

    def _drain(self, until_ns: int) -> None:
        if not self._dispatcher.open_requests and not self._connections.unsent:
            self._loop.stop()
        elif time.monotonic_ns() >= until_ns:
            logger.warning(
                "stop timeout reached, requests still open",
                extra={"requests": self._dispatcher.open_requests},
            )
            self._loop.stop()
        else:
            self._loop.call_later(_DRAIN_INTERVAL_MS, self._drain, until_ns)
