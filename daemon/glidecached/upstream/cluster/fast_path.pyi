"""The fast path of a cluster's calls: one command with one key, and no route, to the primary of the key's slot.

A call takes it if it is recognized at first sight and the topology is known. All other calls are planned by `routing`.
The result is the same where a call could take either.
"""

from collections import deque
from collections.abc import Sequence

from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.cluster.redirects import ClusterDispatcher
from glidecached.upstream.replicas import Freshness
from glidecached.upstream.target import UpstreamOptions

class FastPath:
    """The entry of calls, which sends the usual ones. Subclasses implement `_begin`, for all others."""

    _options: UpstreamOptions
    _closed_reason: str | None
    """The reason why no call is taken any more; None while calls are taken."""
    _early: deque[tuple[SingleCall | BatchCall, bool, Freshness | None]]
    """Calls that wait for the topology."""
    _submitted: int
    _journeys: ClusterDispatcher

    def __init__(self, options: UpstreamOptions, journeys: ClusterDispatcher) -> None: ...
    def submit(self, call: SingleCall) -> None:
        """Send the command to the node of its keys, or to where it goes without keys."""

    def _has_room(self) -> bool:
        """Return whether one more call may wait."""

def slot_of_one_key(arguments: Sequence[bytes]) -> int:
    """Return the slot of a command whose first argument is its one key; -1 for any other, or if uncertain."""
