"""The part of an upstream that requests need: where calls are submitted, and whether replies may be cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glidecached.upstream.call import Call


class CallSender:
    """The receiver of an upstream's calls: the lanes to one server, or a cluster's dispatcher."""

    def submit(self, call: Call) -> None:
        """Send a single command. Implemented by subclasses."""
        raise NotImplementedError


class UpstreamCore:
    """The compiled part of an upstream (`interface.Upstream`)."""

    sender: CallSender
    """The receiver of its calls with one immediate reply."""
    fills_cache: bool
    """True if its replies may be cached: not those of a replica (isolation I14)."""
