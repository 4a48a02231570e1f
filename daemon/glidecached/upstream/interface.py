"""The interface of every upstream, whether it has one server or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.call import BatchCall, Call, SingleCall
    from glidecached.upstream.dedicated import ReservationHolder
    from glidecached.upstream.target import Target, UpstreamOptions


class Reservation(Protocol):
    """A connection that one holder keeps between its calls, or one at each server concerned: see `blocking`."""

    def submit(self, call: Call, *, last: bool = False) -> None:
        """Send the call, behind those before it. `last`: it ends what the servers keep, and the reservation."""

    def close(self) -> None:
        """Close what is reserved; open calls fail. Idempotent."""


class Upstream(Protocol):
    """The connections of one target. Used by the daemon's one thread; no method blocks or raises.

    Calls that are submitted one after another reach a standalone server in that order (contract C23). Blocking calls
    are excepted: they have connections of their own. Each call ends exactly once, at the latest when the upstream
    closes.
    """

    target: Target
    sessions: int
    """The number of sessions that use it. The sessions keep this count."""

    @property
    def fills_cache(self) -> bool:
        """Return whether its replies may be cached: not those of a replica (isolation I14)."""

    @property
    def proved(self) -> bool:
        """Return whether the servers accepted the credentials, and did not refuse them since (contract C18)."""

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""

    def submit(self, call: SingleCall) -> None:
        """Send one command as soon as the connection allows."""

    def submit_read(self, call: SingleCall, floor: int, *, primary_too: bool) -> None:
        """Send a known read of the data, as `submit` does. A replica may answer if it has all writes up to `floor`.

        `primary_too`: replicas and primary take turns; otherwise the primary answers only where no replica can.
        """

    def submit_batch(self, call: BatchCall) -> None:
        """Send a batch, in one write per server."""

    def submit_blocking(self, call: SingleCall | BatchCall) -> None:
        """Send on a connection of its own, whose reply may take until the call's deadline."""

    def reserve(self, keys: Sequence[bytes], holder: ReservationHolder) -> Reservation | str:
        """Reserve a connection to the server that has these keys; or return why there is none."""

    def drop_unwanted(self) -> None:
        """Drop calls that no client waits for any more (`Call.is_wanted`), and end connections that only they use."""

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Make connections with these from now on; open connections stay. Addresses, mode and database are the same.

        If there is a connection, new credentials are proved by a connection that is made only for that.
        """

    def close(self, reason: str) -> None:
        """Close all connections; calls that are still open fail with `reason`. Idempotent."""

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator, by name; `connected_to` is None while there is no connection."""
