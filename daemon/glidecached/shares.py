"""Shares of one bounded resource: how much of it each process, each user and all of them together may hold.

Rules, the first that applies (isolation I8 and I9):

1. All together never hold more than the total.
2. A process holds at most a quarter while other processes hold some, or were refused some a moment ago. Alone, it may
   hold all but a quarter of what its user may hold, so that the user's next process finds room.
3. The last eighth is for processes that hold little: less than a sixteenth each.
4. A user holds at most all but a quarter. While other users hold some, or were refused some a moment ago, it holds an
   equal part of the total, but not less than a quarter. Root and the daemon's own user are exempt from this rule.
5. One process of a user must not use up what the user's other processes need. The last eighth of what a user alone
   may hold is for its processes that hold little. Beside other users, these find room above a quarter. What one
   process took above its share while it was alone does not count against them.

Nothing is taken back: a process keeps what it holds above its share until it gives it up.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")

_RECENT_NS = 5_000_000_000
"""The time for which a refusal counts as waiting."""

_MOST_REMEMBERED = 64
"""The number of refused processes, and of refused users, that are remembered."""

_QUARTERS = 4
_EIGHTHS = 8
_SIXTEENTHS = 16
_MB = 1_048_576


class Holder(Protocol):
    """The part of a `Peer` that shares need."""

    @property
    def uid(self) -> int:
        """Return the user."""

    @property
    def pid(self) -> int:
        """Return the process; 0 where the kernel does not show it. All such processes of one user count as one."""


class Shares:
    """The holders of one resource. For the loop's thread.

    `total` is in units of the resource and may be set at any time; what is held stays. Texts name the resource by
    `what`, and its configuration key by `key`: `"connections"`, `"max_connections"`. `show` writes a number of units.
    """

    def __init__(
        self,
        total: int,
        what: str,
        key: str = "",
        *,
        show: Callable[[int], str] = str,
        exempt_uids: frozenset[int] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.total = total
        self.what = what
        self.key = key
        self.held = 0
        self._show = show
        self._exempt_uids = frozenset((0, os.geteuid())) if exempt_uids is None else exempt_uids
        self._clock = clock
        self._by_process: dict[tuple[int, int], int] = {}
        self._by_uid: dict[int, int] = {}
        # The time of the last refusal of each, the oldest first.
        self._refused_processes: dict[tuple[int, int], int] = {}
        self._refused_uids: dict[int, int] = {}

    @property
    def share(self) -> int:
        """Return the most that a process may hold beside others: a quarter of the total, at least one unit."""
        return max(1, self.total // _QUARTERS)

    @property
    def holders(self) -> int:
        """Return the number of processes that hold some."""
        return len(self._by_process)

    def held_by(self, peer: Holder) -> int:
        """Return how much the peer's process holds."""
        return self._by_process.get((peer.uid, peer.pid), 0)

    def enter(self, peer: Holder, units: int = 1) -> str | None:
        """Count units for the peer. Return None if admitted, else the text of what is full, and for which holder."""
        full = self._judge(peer.uid, peer.pid, units)
        if full is not None:
            self._remember(peer.uid, peer.pid)
            return full
        self.add(peer, units)
        return None

    def would_refuse(self, peer: Holder, units: int = 1) -> str | None:
        """Return what `enter` would return, without counting anything or remembering a refusal."""
        return self._judge(peer.uid, peer.pid, units)

    def add(self, peer: Holder, units: int = 1) -> None:
        """Count units unconditionally, even beyond the shares."""
        process = (peer.uid, peer.pid)
        self.held += units
        self._by_process[process] = self._by_process.get(process, 0) + units
        self._by_uid[peer.uid] = self._by_uid.get(peer.uid, 0) + units

    def leave(self, peer: Holder, units: int = 1) -> None:
        """Give back units that were admitted."""
        process = (peer.uid, peer.pid)
        self.held -= units
        _lower(self._by_process, process, units)
        _lower(self._by_uid, peer.uid, units)

    def _judge(self, uid: int, pid: int, units: int) -> str | None:
        if self.held + units > self.total:
            return self._text("", self.held, f"{self._show(self.total)} in total are allowed")
        process = (uid, pid)
        mine = self._by_process.get(process, 0)
        exempt = uid in self._exempt_uids
        if _others(process, self._by_process, self._recent(self._refused_processes)):
            if mine + units > self.share:
                allowed = f"a process may hold {self._show(self.share)} while others hold or want some"
                return self._text(_process_text(uid, pid), mine, allowed)
        else:
            most = _all_but_a_quarter(self.total)
            most = most if exempt else _all_but_a_quarter(most)
            if mine + units > most:
                allowed = f"a process may hold {self._show(most)}; the rest is for others"
                return self._text(_process_text(uid, pid), mine, allowed)
        last = self.total // _EIGHTHS
        little = max(1, self.total // _SIXTEENTHS)
        has_little = mine + units <= little
        if last and self.held + units > self.total - last and not has_little:
            allowed = (
                f"the last {self._show(last)} are for processes that hold less than {self._show(little)}"
            )
            return self._text(_process_text(uid, pid), mine, allowed)
        return None if exempt else self._judge_user(uid, units, has_little=has_little)

    def _judge_user(self, uid: int, units: int, *, has_little: bool) -> str | None:
        mine = self._by_uid.get(uid, 0)
        most = ceiling = _all_but_a_quarter(self.total)
        others = _others(uid, self._by_uid, self._recent(self._refused_uids))
        if others:
            most = max(1, self.total // _QUARTERS, min(ceiling, self.total // (others + 1)))
        if mine + units <= (most if others or has_little else most - most // _EIGHTHS):
            return None
        if others and has_little and mine + units <= ceiling:
            # Rule 5. This is rare, and there are no more processes than units.
            counted = sum(
                min(held, self.share) for (owner, _), held in self._by_process.items() if owner == uid
            )
            if counted + units <= max(most, self.share + max(1, self.share // _QUARTERS)):
                return None
        reason = "while other users hold or want some" if others else "the rest is for other users"
        return self._text(f" for uid {uid}", mine, f"this user may hold {self._show(most)}, {reason}")

    def _recent(self, refused: dict[Key, int]) -> dict[Key, int]:
        """Return the refusals without those that are too old."""
        if refused:
            oldest_ns = self._clock() - _RECENT_NS
            for key, refused_ns in list(refused.items()):
                if refused_ns > oldest_ns:
                    break
                del refused[key]
        return refused

    def _remember(self, uid: int, pid: int) -> None:
        now_ns = self._clock()
        _put_last(self._refused_processes, (uid, pid), now_ns)
        _put_last(self._refused_uids, uid, now_ns)

    def _text(self, whose: str, held: int, allowed: str) -> str:
        key = f" ({self.key})" if self.key else ""
        return f"{self.what} are full{whose}: {self._show(held)} in use; {allowed}{key}"


def megabytes(size_bytes: int) -> str:
    """Format a number of bytes for texts, in MB where that is exact enough."""
    return f"{size_bytes / _MB:.0f} MB" if size_bytes >= _MB else f"{size_bytes} bytes"


def _all_but_a_quarter(units: int) -> int:
    """Return this many units without a quarter, but at least without one where there are two."""
    return max(1, units - max(1, units // _QUARTERS))


def _process_text(uid: int, pid: int) -> str:
    return (
        f" for process {pid} of uid {uid}" if pid else f" for the processes of uid {uid} in other namespaces"
    )


def _others(me: Key, held: dict[Key, int], refused: dict[Key, int]) -> int:
    """Return how many others hold some, or were refused some a moment ago."""
    return len(held) - (me in held) + sum(key != me and key not in held for key in refused)


def _lower(counts: dict[Key, int], key: Key, units: int) -> None:
    left = counts.get(key, 0) - units
    if left > 0:
        counts[key] = left
    else:
        counts.pop(key, None)


def _put_last(times: dict[Key, int], key: Key, now_ns: int) -> None:
    times.pop(key, None)
    times[key] = now_ns
    if len(times) > _MOST_REMEMBERED:
        del times[next(iter(times))]
