"""Commands and batches for an upstream (see call.pyi)."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.sequence cimport PySequence_Fast_GET_ITEM, PySequence_Fast_GET_SIZE

from glidecache_shared.protocol import ERROR_EXEC_ABORT, ERROR_REQUEST, ReplyError


cdef enum:
    COMMANDS_IN_SLICE = 2_000
    PIECE_BYTES = 65_536

cdef bytes PTTL = b"PTTL"


cpdef bytes pack_command(object arguments):
    return packed_command(arguments if type(arguments) is tuple or type(arguments) is list else tuple(arguments))


cdef bytes packed_command(object arguments):
    """Pack a command like `pack_command`, from a list or a tuple."""
    cdef bytes packed = PyBytes_FromStringAndSize(NULL, command_size(arguments))
    put_command(<uint8_t *>PyBytes_AS_STRING(packed), arguments)
    return packed


cdef bytes pack_key_command(bytes name, bytes key):
    """Pack a command of a name and a key like `pack_command`."""
    cdef bytes packed = PyBytes_FromStringAndSize(NULL, key_command_size(name, key))
    put_key_command(<uint8_t *>PyBytes_AS_STRING(packed), name, key)
    return packed


cdef inline Py_ssize_t key_command_size(bytes name, bytes key) noexcept:
    cdef Py_ssize_t name_bytes = PyBytes_GET_SIZE(name)
    cdef Py_ssize_t key_bytes = PyBytes_GET_SIZE(key)
    return head_size(2) + head_size(name_bytes) + name_bytes + 2 + head_size(key_bytes) + key_bytes + 2


cdef inline uint8_t *put_key_command(uint8_t *at, bytes name, bytes key) noexcept:
    cdef Py_ssize_t name_bytes = PyBytes_GET_SIZE(name)
    cdef Py_ssize_t key_bytes = PyBytes_GET_SIZE(key)
    at = put_head(put_head(at, b"*", 2), b"$", name_bytes)
    memcpy(at, PyBytes_AS_STRING(name), name_bytes)
    at = put_head(put_end(at + name_bytes), b"$", key_bytes)
    memcpy(at, PyBytes_AS_STRING(key), key_bytes)
    return put_end(at + key_bytes)


cdef list command_pieces(object arguments):
    """Pack a command like `pack_command`, in pieces: long arguments are not copied."""
    return pieces_of((arguments,))


cdef list pieces_of(object commands):
    cdef list pieces = []
    cdef list short = []
    for arguments in commands:
        short.append(b"*%d\r\n" % len(arguments))
        for each in arguments:
            short.append(b"$%d\r\n" % len(<bytes?>each))
            if len(<bytes>each) >= PIECE_BYTES:
                pieces.append(b"".join(short))
                pieces.append(each)
                short = [b"\r\n"]
            else:
                short.append(each)
                short.append(b"\r\n")
    pieces.append(b"".join(short))
    return pieces


cdef list with_ttls(object arguments, bint asking):
    """Return a command and PTTL of each of its keys; with `asking`, ASKING before each, which holds for one command."""
    cdef list commands = [arguments]
    for key in arguments[1:]:
        commands.append((PTTL, key))
    return [command for each in commands for command in ((b"ASKING",), each)] if asking else commands


cdef bytes packed_with_ttls(object arguments, bint asking):
    """Pack `with_ttls`."""
    cdef Py_ssize_t count = PySequence_Fast_GET_SIZE(arguments)
    cdef Py_ssize_t index, size
    cdef bytes packed
    cdef uint8_t *at
    if asking:
        return packed_commands(with_ttls(arguments, True), b"", b"")
    # The usual way, without objects for the other commands.
    size = command_size(arguments)
    for index in range(1, count):
        size += key_command_size(PTTL, <bytes>PySequence_Fast_GET_ITEM(arguments, index))
    packed = PyBytes_FromStringAndSize(NULL, size)
    at = put_command(<uint8_t *>PyBytes_AS_STRING(packed), arguments)
    for index in range(1, count):
        at = put_key_command(at, PTTL, <bytes>PySequence_Fast_GET_ITEM(arguments, index))
    return packed


cdef list pieces_with_ttls(object arguments, bint asking):
    """Pack `with_ttls` in pieces."""
    return pieces_of(with_ttls(arguments, asking))


cdef bytes packed_commands(object commands, bytes before, bytes behind):
    """Pack many commands without an object for each; `before` and `behind` are packed already."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(before) + PyBytes_GET_SIZE(behind)
    cdef bytes packed
    cdef uint8_t *at
    commands = [command if type(command) is tuple or type(command) is list else tuple(command) for command in commands]
    for command in <list>commands:
        size += command_size(command)
    packed = PyBytes_FromStringAndSize(NULL, size)
    at = <uint8_t *>PyBytes_AS_STRING(packed)
    memcpy(at, PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
    at += PyBytes_GET_SIZE(before)
    for command in <list>commands:
        at = put_command(at, command)
    memcpy(at, PyBytes_AS_STRING(behind), PyBytes_GET_SIZE(behind))
    return packed


cdef Py_ssize_t command_size(object arguments) except -1:
    cdef Py_ssize_t count = PySequence_Fast_GET_SIZE(arguments)
    cdef Py_ssize_t size = head_size(count)
    cdef Py_ssize_t index, length
    for index in range(count):
        each = <object>PySequence_Fast_GET_ITEM(arguments, index)
        if type(each) is not bytes:
            raise TypeError(f"an argument of a command is {type(each).__name__}; expected bytes")
        length = PyBytes_GET_SIZE(each)
        size += head_size(length) + length + 2
    return size


cdef uint8_t *put_command(uint8_t *at, object arguments) except NULL:
    """Write what `command_size` has measured. Return the end of it. No Python code runs in between."""
    cdef Py_ssize_t count = PySequence_Fast_GET_SIZE(arguments)
    cdef Py_ssize_t index, length
    cdef bytes argument
    at = put_head(at, b"*", count)
    for index in range(count):
        argument = <bytes>PySequence_Fast_GET_ITEM(arguments, index)
        length = PyBytes_GET_SIZE(argument)
        at = put_head(at, b"$", length)
        memcpy(at, PyBytes_AS_STRING(argument), length)
        at = put_end(at + length)
    return at


cdef inline Py_ssize_t head_size(Py_ssize_t number) noexcept nogil:
    """Return the size of a mark, the digits, and the end of the line."""
    cdef Py_ssize_t size = 4
    while number >= 10:
        number //= 10
        size += 1
    return size


cdef inline uint8_t *put_head(uint8_t *at, char mark, Py_ssize_t number) noexcept nogil:
    cdef Py_ssize_t place = head_size(number) - 3
    cdef uint8_t *end = at + place + 1
    at[0] = mark
    while place:
        at[place] = <uint8_t>(48 + number % 10)
        number //= 10
        place -= 1
    return put_end(end)


cdef inline uint8_t *put_end(uint8_t *at) noexcept nogil:
    at[0] = 13
    at[1] = 10
    return at + 2


def pack_in_slices(commands, *, bint atomic):
    """Pack some commands a step; the generator returns the pieces: joining megabytes would take milliseconds."""
    cdef list parts = [MULTI] if atomic else []
    cdef Py_ssize_t begin
    for begin in range(0, len(commands), COMMANDS_IN_SLICE):
        parts.append(packed_commands(commands[begin:begin + COMMANDS_IN_SLICE], b"", b""))
        yield None
    if atomic:
        parts.append(EXEC)
    return parts


cdef bytes MULTI = packed_command((b"MULTI",))
cdef bytes EXEC = packed_command((b"EXEC",))


cdef class Call:
    def __init__(self, int64_t deadline_ns, *, bint repeatable):
        self.deadline_ns = deadline_ns
        self.repeatable = repeatable

    cpdef bytes pack(self):
        raise NotImplementedError

    cpdef list pack_pieces(self):
        return [self.pack()]

    cpdef bint receive(self, object reply) except -1:
        self.succeed(reply)
        return True

    cpdef Py_ssize_t replies_left(self) except -1:
        return 1

    cpdef object restart(self):
        """Do nothing: a call that waits for a single reply has nothing to forget."""

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return now_ns < self.deadline_ns

    cpdef object abandon(self):
        raise NotImplementedError

    cpdef object succeed(self, object reply):
        raise NotImplementedError

    cpdef object fail(self, int code, str message):
        raise NotImplementedError

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        """Return None: a call is refused only by subclasses."""

    cpdef bint may_move(self) except -1:
        return self.repeatable

    cpdef list clients(self):
        return []

    cpdef object travel(self, int way):
        self.way = way

    cpdef object divide(self, object pinned):
        """Return None: most calls answer one client."""


cdef class SingleCall(Call):
    def __init__(self, arguments, int64_t deadline_ns, *, bint repeatable):
        self.arguments = arguments
        self.deadline_ns = deadline_ns
        self.repeatable = repeatable

    cpdef bytes pack(self):
        return pack_command(self.arguments)

    cpdef list pack_pieces(self):
        return command_pieces(self.arguments)


cdef class BatchCall(Call):
    def __init__(self, commands, int64_t deadline_ns, *, bint atomic, bint repeatable):
        self.commands = commands
        self.atomic = atomic
        self.replies = []
        self.deadline_ns = deadline_ns
        self.repeatable = repeatable

    cpdef bytes pack(self):
        if self.packed is not None:
            return b"".join(self.packed)
        return packed_commands(self.commands, MULTI if self.atomic else b"", EXEC if self.atomic else b"")

    cpdef list pack_pieces(self):
        return [self.pack()] if self.packed is None else self.packed

    cpdef bint receive(self, object reply) except -1:
        replies = self.replies
        replies.append(reply)
        if len(replies) < len(self.commands) + 2 * self.atomic:
            return False
        if self.atomic:
            self.settle_transaction(replies)
        else:
            self.succeed(replies)
        return True

    cpdef Py_ssize_t replies_left(self) except -1:
        return len(self.commands) + 2 * self.atomic - len(self.replies)

    cpdef object restart(self):
        self.replies = []

    cdef object settle_transaction(self, list replies):
        outcome = replies[-1]
        if not isinstance(outcome, ReplyError):
            self.succeed(outcome)
            return
        causes = [str(reply) for reply in replies[:-1] if isinstance(reply, ReplyError)]
        if str(outcome).startswith("EXECABORT"):
            cause = f" ({causes[0]})" if causes else ""
            self.fail(ERROR_EXEC_ABORT, f"{outcome}{cause}")
        else:
            # MULTI itself was refused, and EXEC for want of it: the first error is the reason.
            self.fail(ERROR_REQUEST, causes[0] if causes else str(outcome))
