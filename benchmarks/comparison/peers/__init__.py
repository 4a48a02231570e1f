"""The peers: each says in one place how it is opened, and what one read of it is.

A read is a call without arguments, all behind the same kind of lambda, that returns the 100-byte string of `data`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from comparison import data
from comparison.rows import OWN, LeftOut, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from comparison.stand import Stand

IN_PROCESS = "cache of one process"
ON_HOST = "shared by the host's processes"
SERVER = "asks a server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer that answers a read: `open` returns the read, and leaves what must be ended to the stack."""

    name: str
    reach: str
    """`IN_PROCESS`, `ON_HOST` or `SERVER`."""
    open: Callable[[Stand, ExitStack], Callable[[], object]]


def open_all(
    peers: Iterable[Peer], stand: Stand, stack: ExitStack
) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return the reads of all peers that can be opened here, and why the others cannot.

    Ours must open: its errors are raised. A read that returns something else than was written is left out too. So is a
    cache whose second read still reaches Valkey: it would measure something else.
    """
    reads: dict[str, Callable[[], object]] = {}
    left_out: dict[str, str] = {}
    for peer in peers:
        try:
            read = peer.open(stand, stack)
            check(peer, read, stand)
        except Exception as error:
            if peer.name == OWN:
                raise
            left_out[peer.name] = reason(error)
        else:
            reads[peer.name] = read
    return reads, left_out


def check(peer: Peer, read: Callable[[], object], stand: Stand) -> None:
    """Raise `LeftOut` where a read is not what its row would say."""
    first = read()
    if first != data.STRING:
        message = f"returned {first!r:.60}"
        raise LeftOut(message)
    before = stand.server.calls("get")
    read()
    if peer.reach != SERVER and stand.server.calls("get") != before:
        message = "its second read reached the server all the same"
        raise LeftOut(message)
