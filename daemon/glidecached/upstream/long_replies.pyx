"""Keys with long replies (see long_replies.pyi)."""

from collections import OrderedDict

cdef enum:
    MOST_KEYS = 1_024


cdef class LongReplies:
    def __init__(self):
        self.keys = OrderedDict()

    cdef bint has(self, object arguments) except -1:
        return self.count > 0 and len(arguments) > 1 and arguments[1] in self.keys

    def has_call(self, call):
        return self.has(getattr(call, "arguments", ()))

    cpdef object add(self, object arguments):
        if len(arguments) < 2 or len(arguments[1]) > 65_536:
            return
        self.keys[arguments[1]] = None
        self.keys.move_to_end(arguments[1])
        if len(self.keys) > MOST_KEYS:
            self.keys.popitem(last=False)
        self.count = len(self.keys)


LONG_REPLIES = LongReplies()
