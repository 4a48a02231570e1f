"""ATTACH and DETACH: from a client's request to its session (docs/protocol.md, contract C18 to C20)."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import (
    ERROR_BUSY,
    ERROR_CLOSING,
    ERROR_CONFIGURATION,
    ERROR_FORBIDDEN,
    ReplyError,
)
from glidecached.client_session import TooManySessionsError
from glidecached.config.model import DEFAULT_REQUEST_TIMEOUT_MS
from glidecached.formatting import shown
from glidecached.handlers.arguments import need, need_fields
from glidecached.handlers.attach_request import AttachSpec, SpecError, read_spec
from glidecached.handlers.same_cluster import SeedsCheck, target_by_pools_seeds
from glidecached.pools.metadata import OPEN, Admission
from glidecached.pools.table import CacheBusyError, CacheRefusedError
from glidecached.upstream.call import SingleCall
from glidecached.upstream.cluster.cluster_upstream import ClusterUpstream
from glidecached.upstream.cluster.routing import MultiNodeRoute
from glidecached.upstream.lane import PROBE
from glidecached.upstream.registry import TooManyUpstreamsError
from glidecached.upstream.target import TlsMaterialError, UpstreamOptions, check_tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.client_session import ClientSession, Sessions
    from glidecached.config.model import Config, NamedUpstream
    from glidecached.frontend.request import Request
    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool
    from glidecached.process.loop import Loop
    from glidecached.upstream.interface import Upstream
    from glidecached.upstream.registry import Upstreams
    from glidecached.upstream.target import Target

_PING = (b"PING",)
_LAZY_WAIT_MS = 100


class AttachHandlers:
    """The maker of sessions. For the loop's thread.

    A client may join a pool if its credentials are a configured upstream's, asked for by its name, or if the servers
    have accepted them. A client that connects lazily while its servers cannot be reached gets a session without a
    pool. Once its credentials have proved valid, that session is forgotten, and the client attaches again.

    A client attaches again when its pool's generation or its session has ended. It continues with its previous session,
    or with that session's record of its writes: no flight that was sent before them may answer it (contract C22).

    `config` may be replaced: clients whose ATTACH is in progress begin again then.
    """

    def __init__(
        self,
        loop: Loop,
        config: Config,
        upstreams: Upstreams,
        pools: PoolManager,
        sessions: Sessions,
        next_sequence: Callable[[], int],
        detached: Callable[[ClientSession, Request], object] | None = None,
    ) -> None:
        """Handle ATTACH and DETACH. `detached` is called with the session that ended and the request that ended it."""
        self._loop = loop
        self._next_sequence = next_sequence
        self.config = config
        self._upstreams = upstreams
        self._pools = pools
        self._sessions = sessions
        self._detached = detached

    def attach(self, request: Request, body: list[Any]) -> None:
        """Handle ATTACH: check the upstream once unless the client connects lazily, join the pool, open the session."""
        need_fields(body, "spec")
        try:
            spec = self._with_configured_cache(read_spec(body[0]))
        except SpecError as error:
            request.fail(ERROR_CONFIGURATION, str(error))
        else:
            self._begin(request, spec)

    def _with_configured_cache(self, spec: AttachSpec) -> AttachSpec:
        """Return the spec with the configured cache in place of settings that are defaults only."""
        name = None if spec.pool_key is None else spec.pool_key.name
        if not spec.settings_are_defaults or name not in self.config.caches:
            return spec
        return dataclasses.replace(spec, configured_cache=name, pool_key=None, pool_settings=None)

    def _begin(self, request: Request, spec: AttachSpec, *, by_own_seeds: bool = False) -> None:
        """Check the upstream. by_own_seeds: the pool's cluster, if it has other seeds, is known to be another one."""
        try:
            named = self._find_named(spec)
            target = spec.target if named is None else named.target
            if target.credentials.tls is not None:
                check_tls(target.credentials.tls)
        except (SpecError, TlsMaterialError) as error:
            request.fail(ERROR_CONFIGURATION, str(error))
            return
        if named is not None and not named.access.allows(request.peer):
            request.fail(ERROR_FORBIDDEN, f"uid {request.peer.uid} may not use the upstream {named.name!r}")
            return
        if named is None and not by_own_seeds and self._begins_by_pools_seeds(request, spec, target):
            return
        try:
            options = UpstreamOptions() if named is None else named.options
            upstream = self._upstreams.get(target, options, request.peer)
        except TooManyUpstreamsError as error:
            request.fail(ERROR_BUSY, str(error))
            return
        finish = functools.partial(self._finish, request, spec, self.config, named, upstream, by_own_seeds)
        request.expiry = (ERROR_CLOSING, f"timed out: the upstream {_names(target)} did not answer in time")
        if not spec.lazy_connect:
            upstream.submit(_CheckCall(request, finish))
        elif spec.has_cache and named is None and not upstream.proved:
            attempt = _TryCall(request, finish)
            half_ns = (request.deadline_ns - time.monotonic_ns()) // 2
            self._loop.call_later(min(half_ns / 1e6, _LAZY_WAIT_MS), attempt.give_up)
            upstream.submit(attempt)
        else:
            finish()

    def _begins_by_pools_seeds(self, request: Request, spec: AttachSpec, target: Target) -> bool:
        """Ask the pool's cluster whether it is this client's, if it could be. Return whether the check has begun."""
        by_pools_seeds = target_by_pools_seeds(
            target, self._pools.identity_of(spec.pool_key, spec.configured_cache)
        )
        if by_pools_seeds is None:
            return False
        try:
            known = self._upstreams.in_known_order(by_pools_seeds)
            upstream = self._upstreams.get(known, UpstreamOptions(), request.peer)
        except TooManyUpstreamsError:
            return False
        if not isinstance(upstream, ClusterUpstream):
            return False
        config = self.config

        def conclude(is_same: bool) -> None:
            if is_same:
                self._finish(request, spec, config, None, upstream, False)
            else:
                self._begin(request, spec, by_own_seeds=True)

        check = SeedsCheck(self._loop, upstream, target.addresses, request, conclude)
        self._loop.call_later((request.deadline_ns - time.monotonic_ns()) / 2e6, check.give_up)
        upstream.submit(check)
        return True

    def detach(self, request: Request, body: list[Any]) -> None:
        """Handle DETACH: forget the session; the open requests of its process in it fail."""
        need_fields(body, "session_id")
        need(body[0], int, "session_id")
        session = self._sessions.known(body[0], request.peer.uid)
        if session is not None:
            self._sessions.close(body[0], request.peer.uid)
            if self._detached is not None:
                self._detached(session, request)
        request.reply(None)

    def _find_named(self, spec: AttachSpec) -> NamedUpstream | None:
        if spec.upstream is None:
            if not self.config.daemon.allow_adhoc_upstreams:
                known = ", ".join(sorted(self.config.upstreams))
                message = (
                    "the daemon's configuration does not let clients bring their own addresses "
                    f"(allow_adhoc_upstreams = false); ask for an upstream by its name: {known}"
                )
                raise SpecError(message)
            return None
        named = self.config.upstreams.get(spec.upstream)
        if named is None:
            known = ", ".join(sorted(self.config.upstreams))
            message = (
                f"the daemon's configuration has no upstream {shown(spec.upstream, 80)}; it has: {known}"
            )
            raise SpecError(message)
        if named.target.mode != spec.mode:
            message = (
                f"the upstream {spec.upstream!r} is a {named.target.mode} one; this client is for {spec.mode}"
            )
            raise SpecError(message)
        if spec.expected_database not in (None, named.target.database):
            message = (
                f"the upstream {spec.upstream!r} is of database {named.target.database}; this client is for database "
                f"{spec.expected_database}"
            )
            raise SpecError(message)
        return named

    def _finish(
        self,
        request: Request,
        spec: AttachSpec,
        config: Config,
        named: NamedUpstream | None,
        upstream: Upstream,
        by_own_seeds: bool,
    ) -> None:
        if config is not self.config:  # reloaded meanwhile: the new one may refuse what the old one allowed
            self._begin(request, spec)
            return
        awaits_proof = spec.has_cache and named is None and not upstream.proved
        may_be_the_pools = named is None and not awaits_proof and not by_own_seeds
        if may_be_the_pools and self._begins_by_pools_seeds(request, spec, upstream.target):
            return  # another client made the pool meanwhile, by other seeds
        try:
            pool = None if awaits_proof else self._join(request, spec, named, upstream.target)
        except CacheBusyError as error:
            request.fail(ERROR_BUSY, str(error))
            return
        except CacheRefusedError as error:
            request.fail(ERROR_CONFIGURATION, str(error))
            return
        if pool is not None and not pool.admission.access.allows(request.peer):
            request.fail(ERROR_FORBIDDEN, f"uid {request.peer.uid} may not use {pool.key}")
            return
        name = None if named is None else named.name
        try:
            session = self._open(request, spec, upstream, pool, name, awaits_proof=awaits_proof)
        except TooManySessionsError as error:
            request.fail(ERROR_BUSY, str(error))
            return
        session.processes.add(request.peer.pid)
        session.cache_label = spec.cache_label
        timeout_ms = spec.request_timeout_ms or (
            named.request_timeout_ms if named else DEFAULT_REQUEST_TIMEOUT_MS
        )
        request.reply(
            {
                "session_id": session.session_id,
                "request_timeout_ms": timeout_ms,
                "mode": upstream.target.mode,
                "pool": None if pool is None else pool.client_info(),
            }
        )

    def _open(
        self,
        request: Request,
        spec: AttachSpec,
        upstream: Upstream,
        pool: Pool | None,
        upstream_name: str | None,
        *,
        awaits_proof: bool,
    ) -> ClientSession:
        """Return the client's previous session if a new one would be no better, else a new one with its writes."""
        peer, sessions = request.peer, self._sessions
        before = None if spec.follows is None else sessions.known(spec.follows, peer.uid)
        if before is not None and before.pid == peer.pid:
            if before.is_for(upstream, pool, upstream_name, spec.read_from):
                return before
            sessions.close(before.session_id, peer.uid)
        session = sessions.open(
            peer.uid,
            upstream,
            pool,
            awaits_proof=awaits_proof,
            read_from=spec.read_from,
            upstream_name=upstream_name,
            pid=peer.pid,
        )
        if before is not None:
            session.min_flight = before.min_flight
        elif spec.follows is not None:
            min_flight = sessions.min_flight_of_forgotten(spec.follows, peer.uid)
            # Its writes in a session that is forgotten completely were before this.
            session.min_flight = self._next_sequence() if min_flight is None else min_flight
        return session

    def _join(
        self, request: Request, spec: AttachSpec, named: NamedUpstream | None, target: Target
    ) -> Pool | None:
        if spec.configured_cache is not None:
            return self._pools.join_configured(spec.configured_cache, target.identity)
        if spec.pool_key is not None and spec.pool_settings is not None:
            admission = OPEN if named is None else Admission(upstream=named.name, access=named.access)
            return self._pools.join(
                spec.pool_key, target.identity, spec.pool_settings, admission, request.peer
            )
        return None


class _CheckCall(SingleCall):
    """The check at creation: one PING. A failure closes the client, with the server's own text."""

    __slots__ = ("_finish", "_request")

    def __init__(self, request: Request, finish: functools.partial[None]) -> None:
        super().__init__(_PING, request.deadline_ns, repeatable=True)
        self._request = request
        self._finish = finish
        self.lane = PROBE
        # In a cluster, one node that answers is enough.
        self.route = MultiNodeRoute.RANDOM

    def is_wanted(self, now_ns: int) -> bool:
        return not self._request.finished and now_ns < self.deadline_ns

    def abandon(self) -> None:
        self.fail(ERROR_CLOSING, "timed out: not connected in time")

    def succeed(self, reply: Any) -> None:
        if self._request.finished:
            return
        # A user that may not PING has proved its password all the same.
        if isinstance(reply, ReplyError) and not str(reply).startswith("NOPERM"):
            self._request.fail(ERROR_CLOSING, str(reply))
        else:
            self._finish()

    def fail(self, code: int, message: str) -> None:
        del code
        self._request.fail(ERROR_CLOSING, message)


class _TryCall(_CheckCall):
    """The same check for a client that connects lazily: it gets its session in any case, and in time."""

    __slots__ = ()

    def give_up(self) -> None:
        """Open the session with the facts known by now."""
        if not self._request.finished:
            self._finish()

    def succeed(self, reply: Any) -> None:
        del reply
        self.give_up()

    def fail(self, code: int, message: str) -> None:
        del code, message
        self.give_up()


def _names(target: Target) -> str:
    return ", ".join(str(address) for address in target.addresses)
