"""Limits of the number and the KB of pools that each process and each user may have made (isolation I9).

Only pools that clients made count: those of the configuration are the operator's. A pool counts for its maker as long
as it lives, whichever process uses it. After a restart it counts only for the user: processes have other numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from glidecached.process.limits import plan_descriptors
from glidecached.shares import Shares

if TYPE_CHECKING:
    from glidecached.shares import Holder

_RESERVED_PART = 16
"""This part of `max_total_cache_kb` is reserved for processes and users that have no pool yet."""


class Maker(NamedTuple):
    """The maker of a pool: a user, and the process while that is known, else 0."""

    uid: int
    pid: int


class PoolShares:
    """The pools of each maker. For the loop's thread. `max_pools` may be set at any time."""

    def __init__(self, max_pools: int, *, exempt_uids: frozenset[int] | None = None) -> None:
        self.max_pools = max_pools
        self._count = Shares(max_pools, "caches", "max_pools", exempt_uids=exempt_uids)
        self._kb: dict[Maker, int] = {}

    @property
    def held(self) -> int:
        """Return the number of existing pools that clients have made."""
        return self._count.held

    def room(self, configured: int) -> int:
        """Return how many pools clients may make beside `configured` ones; descriptors count as well."""
        return max(1, min(self.max_pools, plan_descriptors().pools) - configured)

    def is_full(self, configured: int) -> bool:
        """Return whether no maker at all may make another one."""
        return self._count.held >= self.room(configured)

    def has_its_share(self, maker: Maker) -> bool:
        """Return whether the process has made as many as it may while others want some."""
        return self._count.held_by(maker) >= self._count.share

    def refusal(self, maker: Maker, kb: int, *, configured: int, total_kb: int) -> str | None:
        """Return why this maker may not make a pool of that size, or None. A refused maker counts as waiting."""
        self._count.total = self.room(configured)
        full = self._count.enter(maker)
        if full is not None:
            if self._count.total < self.max_pools - configured:
                full += (
                    f"; the limit of open files (RLIMIT_NOFILE) allows {self._count.total} caches of clients"
                )
            return full
        self._count.leave(maker)
        reserve_kb = total_kb // _RESERVED_PART
        held_kb = self._kb.get(maker, 0)
        if held_kb and held_kb + kb > total_kb - reserve_kb:
            return (
                f"max_total_cache_kb is full for process {maker.pid} of uid {maker.uid}: its caches have {held_kb} KB, "
                f"and {kb} KB more would leave less than {reserve_kb} KB for others"
            )
        return None

    def add(self, maker: Maker, kb: int) -> None:
        """Count a pool that was made."""
        self._count.add(maker)
        self._kb[maker] = self._kb.get(maker, 0) + kb

    def remove(self, maker: Maker, kb: int) -> None:
        """Stop counting a pool."""
        self._count.leave(maker)
        left_kb = self._kb.get(maker, 0) - kb
        if left_kb > 0:
            self._kb[maker] = left_kb
        else:
            self._kb.pop(maker, None)


def maker_of(peer: Holder | None) -> Maker | None:
    """Return the maker of pools that this peer asks for."""
    return None if peer is None else Maker(peer.uid, peer.pid)
