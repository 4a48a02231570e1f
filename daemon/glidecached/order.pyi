"""The order of one client's commands: those on different connections wait for each other (contract C23).

Commands on one connection are ordered by it. A command that travels on another lane than the client's open ones starts
when these are done, and all later ones behind it. So it costs only clients that do not await each command.
"""

from glidecached.loop import Loop

class CommandOrder:
    """What one session has under way, and what waits for that. For the loop's thread.

    Compiled callers ask `may_go(lane)`; then the request takes its place (`Request.take_place`), or they call `wait`.
    """

    def __init__(self, loop: Loop) -> None: ...
    @property
    def open(self) -> int:
        """How many requests are on their way upstream."""
