"""Lanes: which of the connections to one server a call travels on. What every call passes here is compiled."""

from glidecached.upstream.call import Call
from glidecached.upstream.line import Line

BULK: int
"""The lane of requests and of replies that are so long that others would wait for them; beside those of the table."""

PROBE: int
"""The lane of the daemon's own questions: the shared connection while it is idle, else out of band."""

class Lane:
    """One pipeline in use. A subclass watches it, and says where calls go while it is held."""

    main: Line
    held: bool
    """Whether calls that can go elsewhere do so: `submit_while_held` gets all calls then."""
    watched: bool
    """Whether `watch` was called since the lane was idle; the subclass sets it."""

    def __init__(self, main: Line) -> None: ...
    def submit(self, call: Call) -> None:
        """Send the call on the lane's connection, in the order of submission, or refuse it."""

class Lanes:
    """The lanes to one server. A subclass has all but the usual one, and `submit_elsewhere(call)` for them."""

    shared: Lane
    """The lane of commands with one reply each, at once: `call.lane` is 0."""

    def submit(self, call: Call) -> None:
        """Send the call on its lane."""
