"""Single flight: concurrent misses of one pool make one request upstream (contract C22, C7a).

Every command that goes upstream has a number, in the order of sending. A flight may answer a client only if it was sent
after that client's last command that is not a known read (its session's `floor`): so a client that wrote and then
misses sees its own write. The number goes into the pool with the reply. So a reply never replaces the reply of a later
flight, and a later lookup can decide whether an entry is young enough for the client.
"""

from collections.abc import Callable
from typing import Any

from glidecached.frontend.request import Request
from glidecached.pools.entries import PoolEntries
from glidecached.upstream.interface import Upstream

class Flights:
    """The running flights of one pool: their replies become its entries. For the loop's thread."""

    def __init__(self, entries: PoolEntries, next_number: Callable[[], int]) -> None: ...
    def __len__(self) -> int: ...
    def read(
        self, request: Request, upstream: Upstream, floor: int, kind: int, key: bytes, lane: int = 0
    ) -> None:
        """Answer the request by a running flight, or by a new one."""

    def read_many(
        self,
        request: Request,
        upstream: Upstream,
        floor: int,
        keys: list[bytes],
        known: dict[bytes, bytes],
        lane: int = 0,
    ) -> None:
        """Answer `keys` in order, from `known`, from running flights, and for the rest by one MGET (contract C17)."""

def as_kind(kind: int, reply: Any) -> Any:
    """Return the reply as the kind's own type: a RESP2 server sends hashes and sets as lists."""
