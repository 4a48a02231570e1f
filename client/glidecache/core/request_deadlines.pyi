"""The deadlines of a client's requests: how long it waits for a reply, and a request whose deadline is later."""

def reply_deadline_ns(deadline_ns: int, now_ns: int) -> int:
    """Return until when to wait for a reply: the daemon's own answer about a deadline comes a little after it.

    The daemon's timers are up to 5 ms late, and up to a hundredth of longer time-outs.
    """

def with_deadline(message: bytes, deadline_ns: int) -> bytes:
    """Return a request's message with another deadline in it."""
