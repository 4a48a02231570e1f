"""Calls made for one request: the server's reply answers it, and is not wanted once the request is answered.

`settled`, if given, is called at the outcome.
"""

from collections.abc import Callable, Sequence

from glidecached.frontend.request import Request
from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.cluster.routing import Route

class CommandCall(SingleCall):
    """A command that is passed through."""

    @property
    def request(self) -> Request: ...
    def __init__(
        self,
        request: Request,
        arguments: Sequence[bytes],
        *,
        repeatable: bool,
        route: Route | None = None,
        settled: Callable[[], object] | None = None,
    ) -> None: ...

class ReadCall(CommandCall):
    """The command for a miss of one kind, for a client without a pool."""

    def __init__(self, request: Request, kind: int, key: bytes) -> None: ...

class BatchRequestCall(BatchCall):
    """A batch that is passed through."""

    @property
    def request(self) -> Request: ...
    def __init__(
        self,
        request: Request,
        commands: Sequence[Sequence[bytes]],
        *,
        atomic: bool,
        repeatable: bool,
        route: Route | None = None,
        settled: Callable[[], object] | None = None,
    ) -> None: ...
