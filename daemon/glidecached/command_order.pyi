"""The order of one client's commands: those on different connections wait for each other (contract C23).

A connection keeps its own commands in order. A command for another lane than the client's open ones starts when these
are done, and all later ones wait behind it. So it costs only clients that do not await each command.
"""

from glidecached.process.loop import Loop

class CommandOrder:
    """The open requests of one session, and those that wait for them. For the loop's thread.

    Compiled callers ask `may_go(lane)`; then the request takes its place (`Request.take_place`), or they call `wait`.
    """

    def __init__(self, loop: Loop) -> None: ...
    @property
    def open(self) -> int:
        """Return the number of requests on their way upstream."""
