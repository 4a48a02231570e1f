"""Single flight for GET_MANY: many keys, of which the missing ones are asked for by one MGET (contract C17, C22).

No object is made for a key: its hash is in an array, and so is its place among the keys that are asked for. Only where
a request comes while others are under way are flights found by key.
"""

from typing import Any

from glidecached.frontend.request import Request
from glidecached.pools.entries import PoolEntries
from glidecached.sequence import Sequence
from glidecached.upstream.call import SingleCall
from glidecached.upstream.sender import UpstreamCore

class ManyFlights:
    """The running MGETs of one pool. For the loop's thread."""

    def __init__(self, entries: PoolEntries, next_sequence: Sequence) -> None: ...
    @property
    def count(self) -> int:
        """Return the number of flights under way."""

    def read(
        self,
        request: Request,
        upstream: UpstreamCore,
        min_flight: int,
        keys: list[bytes],
        hashes: bytes,
        values: list[Any],
        lane: int = 0,
        parts: ManyReadsParts | None = None,
        part: int = 0,
    ) -> None:
        """Answer `keys` in order: from `values`, and where these are None from running flights or by one MGET.

        At least one is None. `hashes` is an array of the keys' hashes; `values` are changed. With `parts`, add the
        values to them as this part instead of answering.
        """

class ManyFlight(SingleCall):
    """One MGET and the reads that wait for some of its keys."""

class ManyReads:
    """A GET_MANY that is answered when the last of its flights has landed."""

class ManyReadsParts:
    """A GET_MANY of very many keys, answered when the last of its parts has arrived."""

    def __init__(self, request: Request, count: int) -> None: ...
    def add(self, part: int, values: list[Any]) -> None:
        """Take the values of one part. For compiled code."""
