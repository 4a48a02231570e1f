"""Lanes: the connections to one server among which calls are divided. The part that every call passes is compiled."""

from glidecached.upstream.call import Call
from glidecached.upstream.line import Line

BULK: int
"""The lane of requests and replies so long that others would wait for them; an addition to the table's lanes."""

PROBE: int
"""The lane of the daemon's own questions: the shared connection while it is idle, else out of band."""

class Lane:
    """One pipeline in use. A subclass watches it, and decides where calls go while it is held."""

    main: Line
    held: bool
    """True while calls may take other connections: `submit_while_held` gets all calls then."""
    watched: bool
    """True once `watch` was called, until the lane is idle; the subclass sets it."""

    def __init__(self, main: Line) -> None: ...
    def submit(self, call: Call) -> None:
        """Send the call on the lane's connection, in the order of submission, or refuse it."""

class Lanes:
    """The lanes to one server. A subclass has all but the shared one, and `submit_elsewhere(call)` for them."""

    shared: Lane
    """The lane of commands with one immediate reply each: `call.lane` is 0."""

    def submit(self, call: Call) -> None:
        """Send the call on its lane."""
