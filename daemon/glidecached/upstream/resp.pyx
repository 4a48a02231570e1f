"""The servers' protocol (see resp.pyi)."""

from libc.stdint cimport INT64_MAX, UINT32_MAX, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from cpython.list cimport PyList_Append, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.set cimport PySet_Add

from glidecache_shared.protocol import ReplyError

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **string, Py_ssize_t size) except -1
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    void Py_XDECREF(PyObject *value)
    void Py_DECREF_RAW "Py_DECREF" (PyObject *value)

cdef enum:
    # Shapes of containers. PAIRS is a map that has a key which no dict takes.
    LIST = 1
    SET = 2
    MAP = 3
    PAIRS = 4

    DEEPEST = 500
    FIRST_FRAMES = 8
    LONGEST_BULK = 536_870_912
    LONGEST_SKIPPED_BULK = 4_294_967_296
    LONGEST_LINE = 536_870_912
    SHORT_LINE = 8
    SHORTEST_STRING = 6
    SHORT_LENGTH = 7
    # Of a number, a length, a count. A double that is written out has some 330 digits.
    LONGEST_NUMBER = 512
    MOST_DIGITS = 4_300
    HEAVIEST_REPLY = 1_073_741_824
    # What is made room for by an announcement alone.
    TRUSTED_BYTES = 262_144
    TRUSTED_COUNT = 1_024
    # From here on a string is received without a copy in between.
    DIRECT_BYTES = 65_536

    # What an object takes besides its content: CPython's sizes, and the place in its container.
    BYTES_SIZE = 48
    SCALAR_SIZE = 40
    LIST_SIZE = 80
    DICT_SIZE = 128
    SET_SIZE = 232
    MEMBER_SIZE = 48

cdef object INCOMPLETE = object()
cdef object AGAIN = object()
globals().update(
    INCOMPLETE=INCOMPLETE, MOST_NESTED=DEEPEST, MOST_BULK_BYTES=LONGEST_BULK, MOST_REPLY_BYTES=HEAVIEST_REPLY
)

cdef str OK = "OK"
cdef str QUEUED = "QUEUED"


class UnreadableError(Exception):
    """What came is not RESP (see resp.pyi)."""


cdef class Reader:
    def __init__(self, int64_t most_bytes=HEAVIEST_REPLY):
        self.most_bytes = most_bytes

    def __dealloc__(self):
        self.drop()
        free(self.frames)
        free(self.line)

    def feed(self, bytes data not None):
        cdef bytes rest = data
        if self.at != self.end:
            rest = (<const char *>self.at)[:self.end - self.at] + data
            self.received_bytes -= self.end - self.at
        self.set_input(<const uint8_t *>PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))
        self.held = rest

    def gets(self):
        return self.next_reply()

    @property
    def unread_bytes(self):
        return self.received_bytes - self.begun_bytes

    cdef int set_input(self, const uint8_t *data, Py_ssize_t size) except -1:
        """Read from here; it must stay in place until all of it is read. What came before must have been read."""
        self.at = data
        self.end = data + size
        self.received_bytes += size
        return 0

    cdef object next_reply(self):
        """The next whole reply, or INCOMPLETE: then the input has been read to its end."""
        cdef const uint8_t *line
        cdef const uint8_t *newline
        if self.fault is not None:
            raise UnreadableError(self.fault)
        value = AGAIN
        while value is AGAIN:
            if self.in_bulk:
                value = self.take_bulk()
            elif self.at == self.end:
                self.held = None
                return INCOMPLETE
            elif self.line_bytes:
                value = self.take_line()
            else:
                if self.depth and not self.skipping and self.at[0] == b"$":
                    self.take_strings()
                line = self.at
                newline = find_newline(line, self.end)
                if newline == NULL:
                    self.keep_line(line, self.end - line)
                    return INCOMPLETE
                self.at = newline + 1
                value = self.read_line(line, newline - line)
        return value

    cdef int keep_input(self) except -1:
        """Let what is not read yet stay, wherever it was."""
        cdef bytes rest
        if self.at != self.end and self.held is None:
            rest = (<const char *>self.at)[:self.end - self.at]
            self.at = <const uint8_t *>PyBytes_AS_STRING(rest)
            self.end = self.at + PyBytes_GET_SIZE(rest)
            self.held = rest
        return 0

    cdef uint8_t *room(self, Py_ssize_t *size) except? NULL:
        """Where the rest of a long string may be received straight, and how much of it; NULL: there is none."""
        if self.bulk == NULL or self.at != self.end or self.bulk_bytes - self.bulk_filled < DIRECT_BYTES:
            return NULL
        if self.bulk_filled == PyBytes_GET_SIZE(<bytes>self.bulk):
            self.grow_bulk()
        size[0] = PyBytes_GET_SIZE(<bytes>self.bulk) - self.bulk_filled
        return <uint8_t *>PyBytes_AS_STRING(<bytes>self.bulk) + self.bulk_filled

    cdef int filled(self, Py_ssize_t size) except -1:
        """So much was received there."""
        self.bulk_filled += size
        self.received_bytes += size
        return 0

    cdef int64_t progress_bytes(self) noexcept:
        """How much of a reply has come that is not whole yet; a push is none."""
        return 0 if self.in_push else self.received_bytes - (self.end - self.at) - self.begun_bytes

    # ---- lines

    cdef object take_line(self):
        """Go on with a line that began in what came before."""
        cdef const uint8_t *begin = self.at
        cdef const uint8_t *newline = <const uint8_t *>memchr(begin, 10, self.end - begin)
        cdef Py_ssize_t size
        if newline == NULL:
            self.keep_line(begin, self.end - begin)
            return INCOMPLETE
        self.keep_line(begin, newline - begin)
        self.at = newline + 1
        size = self.line_bytes
        self.line_bytes = 0
        value = self.read_line(self.line, size)
        if self.line_room > TRUSTED_BYTES:
            free(self.line)
            self.line = NULL
            self.line_room = 0
        return value

    cdef int keep_line(self, const uint8_t *data, Py_ssize_t size) except -1:
        cdef Py_ssize_t needed = self.line_bytes + size
        cdef Py_ssize_t room
        cdef uint8_t *line
        if needed > self.line_room:
            room = max(needed, 2 * self.line_room, 64)
            line = <uint8_t *>realloc(self.line, room)
            if line == NULL:
                raise MemoryError
            self.line = line
            self.line_room = room
        if size:
            memcpy(self.line + self.line_bytes, data, size)
        self.line_bytes = needed
        self.at = data + size
        if needed > LONGEST_LINE or needed > LONGEST_NUMBER and self.line[0] not in b"+-(":
            self.spoil(f"a line of more than {needed} bytes")
        return 0

    cdef object read_line(self, const uint8_t *line, Py_ssize_t size):
        """What a line says, which comes without its newline."""
        cdef int mark
        cdef int64_t number
        if size < 2 or line[size - 1] != 13:
            self.spoil(f"a line that does not end with CR and LF: {shown(line, size)}")
        mark = line[0]
        size -= 2
        line += 1
        if mark == b"$":
            if not parse_count(line, size, &number):
                self.spoil(f"a string's length is {shown(line, size)}")
            return self.begin_bulk(mark, number) if number >= 0 else self.put(None, False, SCALAR_SIZE)
        if mark == b":":
            if not parse_integer(line, size, &number):
                self.spoil(f"an integer is {shown(line, size)}")
            return self.put(number, False, SCALAR_SIZE)
        if mark == b"+":
            return self.put(status(line, size), False, BYTES_SIZE + size)
        if mark == b"-":
            return self.put(ReplyError(PyUnicode_DecodeUTF8(<const char *>line, size, b"replace")), False,
                            LIST_SIZE + 2 * size)
        if mark in b"*~%|>":
            if not parse_count(line, size, &number):
                self.spoil(f"a container's count is {shown(line, size)}")
            if number < 0:
                if mark == b"|" or mark == b">":
                    self.spoil("an attribute or a push has no count")
                return self.put(None, False, SCALAR_SIZE)
            if mark == b"|" or mark == b">" or self.skipping:
                return self.begin_skipped(mark, number)
            return self.begin_container(LIST if mark == b"*" else SET if mark == b"~" else MAP, number)
        if mark == b"_":
            if size:
                self.spoil(f"a null with a content: {shown(line, size)}")
            return self.put(None, False, SCALAR_SIZE)
        if mark == b"#":
            if size != 1 or line[0] not in b"tf":
                self.spoil(f"a boolean is {shown(line, size)}")
            return self.put(line[0] == b"t", False, SCALAR_SIZE)
        if mark == b",":
            value = parse_double(line, size)
            if value is None:
                self.spoil(f"a double is {shown(line, size)}")
            return self.put(value, False, SCALAR_SIZE)
        if mark == b"(":
            value = parse_big_number(line, size)
            # Such integers can be chosen to have one hash: a set of them would take the square of their number.
            return self.put(value, type(value) is int and not -INT64_MAX <= value <= INT64_MAX, BYTES_SIZE + size)
        if mark == b"=" or mark == b"!":
            if not parse_count(line, size, &number) or number < (4 if mark == b"=" else 0):
                self.spoil(f"a string's length is {shown(line, size)}")
            return self.begin_bulk(mark, number)
        self.spoil(f"a reply begins with {shown(line - 1, size + 1)}")

    # ---- strings

    cdef object begin_bulk(self, int mark, int64_t length):
        cdef const uint8_t *content = self.at
        if not self.skipping:
            if length + 2 <= self.end - content and length + self.weight_bytes < self.most_bytes:
                if content[length] != 13 or content[length + 1] != 10:
                    self.spoil(f"a string of {length} bytes does not end there")
                self.at = content + length + 2
                value = PyBytes_FromStringAndSize(<const char *>content, length)
                if mark == b"$":
                    return self.put(value, False, BYTES_SIZE + length)
                return self.put_bulk(mark, value)
            if LONGEST_SKIPPED_BULK >= length > LONGEST_BULK:
                self.refuse(f"a string of {length} bytes, more than {LONGEST_BULK}")
            elif length + self.weight_bytes >= self.most_bytes:
                self.refuse(f"more than {self.most_bytes} bytes in memory")
        if length > LONGEST_SKIPPED_BULK:
            self.spoil(f"a string of {length} bytes is announced")
        self.in_bulk = True
        self.bulk_mark = mark
        self.bulk_bytes = length
        self.bulk_filled = 0
        self.bulk_end = 2
        if self.skipping:
            self.bulk_ignored = length
        else:
            self.bulk_ignored = 0
            value = PyBytes_FromStringAndSize(NULL, min(length, TRUSTED_BYTES))
            Py_INCREF(value)
            self.bulk = <PyObject *>value
        return AGAIN

    cdef object take_bulk(self):
        cdef int64_t size
        cdef PyObject *bulk
        if self.bulk_ignored:
            size = min(self.bulk_ignored, <int64_t>(self.end - self.at))
            self.at += size
            self.bulk_ignored -= size
            if self.bulk_ignored:
                return INCOMPLETE
        while self.bulk != NULL and self.bulk_filled < self.bulk_bytes:
            if self.at == self.end:
                self.held = None
                return INCOMPLETE
            if self.bulk_filled == PyBytes_GET_SIZE(<bytes>self.bulk):
                self.grow_bulk()
            size = min(PyBytes_GET_SIZE(<bytes>self.bulk) - self.bulk_filled, <int64_t>(self.end - self.at))
            memcpy(PyBytes_AS_STRING(<bytes>self.bulk) + self.bulk_filled, self.at, size)
            self.at += size
            self.bulk_filled += size
        while self.bulk_end:
            if self.at == self.end:
                self.held = None
                return INCOMPLETE
            if self.at[0] != (13 if self.bulk_end == 2 else 10):
                self.spoil(f"a string of {self.bulk_bytes} bytes does not end there")
            self.at += 1
            self.bulk_end -= 1
        self.in_bulk = False
        if self.bulk == NULL:
            return self.skipped(1)
        bulk = self.bulk
        self.bulk = NULL
        value = <bytes>bulk
        Py_DECREF_RAW(bulk)
        return self.put_bulk(self.bulk_mark, value)

    cdef int grow_bulk(self) except -1:
        """Twice the room: as much again as has come true."""
        cdef Py_ssize_t room = PyBytes_GET_SIZE(<bytes>self.bulk)
        _PyBytes_Resize(&self.bulk, min(self.bulk_bytes, 2 * room))
        return 0

    cdef object put_bulk(self, int mark, bytes value):
        cdef Py_ssize_t size = BYTES_SIZE + PyBytes_GET_SIZE(value)
        if mark == b"=":
            if value[3] != 58:
                self.spoil(f"a verbatim string has no format: {value[:16]!r}")
            return self.put(value[4:], False, size)
        if mark == b"!":
            return self.put(ReplyError(value.decode("utf-8", "replace")), False, LIST_SIZE + 2 * size)
        return self.put(value, False, size)

    cdef int take_strings(self) except -1:
        """The usual content of a container, short strings that have come whole, by a short way: all but the last value.

        The last may end the container. Whatever is not as expected is left to the long way.
        """
        cdef Frame *frame = &self.frames[self.depth - 1]
        cdef const uint8_t *at = self.at
        cdef const uint8_t *end = self.end
        cdef const uint8_t *digit
        cdef Py_ssize_t length
        cdef bytes value
        if frame.shape == PAIRS or self.weight_bytes >= self.most_bytes - (end - at):
            return 0
        # No reads past the end: what is shorter than this is no string with its length and both its ends.
        while frame.left > 1 and end - at >= SHORTEST_STRING and at[0] == b"$":
            digit = at + 1
            length = 0
            while b"0" <= digit[0] <= b"9" and digit - at <= SHORT_LENGTH:
                length = 10 * length + (digit[0] - 48)
                digit += 1
                if digit == end:
                    break
            if digit == at + 1 or end - digit < length + 4 or digit[0] != 13 or digit[1] != 10:
                break
            digit += 2
            if digit[length] != 13 or digit[length + 1] != 10:
                break
            value = PyBytes_FromStringAndSize(<const char *>digit, length)
            if frame.shape == LIST:
                if frame.filled < PyList_GET_SIZE(<list>frame.container):
                    Py_INCREF(value)
                    PyList_SET_ITEM(<list>frame.container, frame.filled, value)
                else:
                    PyList_Append(<list>frame.container, value)
                frame.filled += 1
            elif frame.shape == SET:
                PySet_Add(<set>frame.container, value)
            elif frame.key == NULL:
                Py_INCREF(value)
                frame.key = <PyObject *>value
            else:
                PyDict_SetItem(<dict>frame.container, <object>frame.key, value)
                Py_DECREF_RAW(frame.key)
                frame.key = NULL
            self.weight_bytes += BYTES_SIZE + MEMBER_SIZE + length
            frame.left -= 1
            at = digit + length + 2
            self.at = at
        return 0

    # ---- containers

    cdef object begin_container(self, int shape, int64_t count):
        cdef int64_t values = 2 * count if shape == MAP else count
        cdef Frame *frames
        cdef Frame *frame
        if count > <int64_t>UINT32_MAX:
            self.spoil(f"a container of {count} values is announced")
        if self.depth == DEEPEST:
            self.refuse(f"more than {DEEPEST} containers in one another")
            return self.skipped(1 - values)
        if count == 0:
            if shape == LIST:
                return self.put([], True, LIST_SIZE)
            return self.put(set(), True, SET_SIZE) if shape == SET else self.put({}, True, DICT_SIZE)
        if shape == LIST:
            value = PyList_New(min(count, TRUSTED_COUNT))
            self.weight_bytes += LIST_SIZE
        elif shape == SET:
            value = set()
            self.weight_bytes += SET_SIZE
        else:
            value = {}
            self.weight_bytes += DICT_SIZE
        if self.depth == self.frames_room:
            frames = <Frame *>realloc(self.frames, max(FIRST_FRAMES, 2 * self.frames_room) * sizeof(Frame))
            if frames == NULL:
                raise MemoryError
            self.frames = frames
            self.frames_room = max(FIRST_FRAMES, 2 * self.frames_room)
        frame = &self.frames[self.depth]
        Py_INCREF(value)
        frame.container = <PyObject *>value
        frame.key = NULL
        frame.left = values
        frame.filled = 0
        frame.shape = shape
        self.depth += 1
        return AGAIN

    cdef object begin_skipped(self, int mark, int64_t count):
        """An attribute, a push, or a container in what is dropped."""
        cdef int64_t values = 2 * count if mark == b"%" or mark == b"|" else count
        if count > <int64_t>UINT32_MAX or self.skipping > INT64_MAX - 2 * <int64_t>UINT32_MAX:
            self.spoil(f"a container of {count} values is announced")
        if mark == b"|":
            self.skipping += values
            return AGAIN
        if mark == b">":
            if self.depth or self.skipping:
                self.spoil("a push within a reply")
            self.in_push = True
            self.skipping = 1
        return self.skipped(1 - values)

    cdef object put(self, object value, bint unhashable, Py_ssize_t size):
        """A value is whole: put it into its container, and a container that is whole into its own, or return it."""
        cdef Frame *frame
        cdef list values
        if self.skipping:
            return self.skipped(1)
        self.weight_bytes += size
        while self.depth:
            frame = &self.frames[self.depth - 1]
            if frame.shape == LIST:
                values = <list>frame.container
                if frame.filled < PyList_GET_SIZE(values):
                    Py_INCREF(value)
                    PyList_SET_ITEM(values, frame.filled, value)
                else:
                    PyList_Append(values, value)
                frame.filled += 1
            elif frame.shape == SET:
                self.weight_bytes += MEMBER_SIZE
                if unhashable:
                    in_list(frame, [*<set>frame.container, value])
                else:
                    PySet_Add(<set>frame.container, value)
            elif frame.key == NULL:
                self.weight_bytes += MEMBER_SIZE
                if unhashable and frame.shape == MAP:
                    in_list(frame, [[key, held] for key, held in (<dict>frame.container).items()])
                    frame.shape = PAIRS
                Py_INCREF(value)
                frame.key = <PyObject *>value
            else:
                if frame.shape == MAP:
                    PyDict_SetItem(<dict>frame.container, <object>frame.key, value)
                else:
                    self.weight_bytes += LIST_SIZE
                    PyList_Append(<list>frame.container, [<object>frame.key, value])
                Py_DECREF_RAW(frame.key)
                frame.key = NULL
            frame.left -= 1
            if frame.left:
                if self.weight_bytes >= self.most_bytes:
                    self.refuse(f"more than {self.most_bytes} bytes in memory")
                return AGAIN
            self.depth -= 1
            value = <object>frame.container
            Py_DECREF_RAW(frame.container)
            unhashable = True
        return self.complete(value)

    # ---- what is not kept

    cdef object skipped(self, int64_t values):
        """So many values of what is dropped are over."""
        self.skipping -= values
        if self.skipping:
            return AGAIN
        if self.in_push:
            self.in_push = False
            self.pushes += 1
            self.begun_bytes = self.received_bytes - (self.end - self.at)
        elif self.verdict is not None:
            verdict = self.verdict
            self.verdict = None
            return self.complete(verdict)
        return AGAIN  # an attribute: what it is about follows

    cdef int refuse(self, str reason) except -1:
        """Drop what came of this reply and what is still to come; an error takes its place."""
        cdef int place
        # A container within another is one of the other's values, and is over with the last of its own.
        self.skipping = 1 if not self.depth else 1 - self.depth
        for place in range(self.depth):
            self.skipping += self.frames[place].left
        self.drop()
        self.verdict = ReplyError(f"ERR the reply is too large for the cache's daemon: {reason}")
        return 0

    cdef object complete(self, object reply):
        self.last_begun_bytes = self.begun_bytes
        self.begun_bytes = self.received_bytes - (self.end - self.at)
        self.last_weight_bytes = self.weight_bytes
        self.weight_bytes = 0
        return reply

    cdef int drop(self) noexcept:
        """Forget what has come of a reply."""
        while self.depth:
            self.depth -= 1
            Py_XDECREF(self.frames[self.depth].key)
            Py_XDECREF(self.frames[self.depth].container)
        Py_XDECREF(self.bulk)
        self.bulk = NULL
        return 0

    cdef int spoil(self, str reason) except -1:
        self.fault = reason
        self.drop()
        raise UnreadableError(reason)


cdef inline const uint8_t *find_newline(const uint8_t *at, const uint8_t *end) noexcept nogil:
    """Lines are short, mostly: a call for each would cost more than it finds."""
    cdef const uint8_t *near_end = at + min(<Py_ssize_t>SHORT_LINE, end - at)
    while at < near_end:
        if at[0] == 10:
            return at
        at += 1
    return <const uint8_t *>memchr(at, 10, end - at)


cdef int in_list(Frame *frame, list values) except -1:
    """Go on with a list where the set or the dict cannot take what comes."""
    cdef PyObject *before = frame.container
    Py_INCREF(values)
    frame.container = <PyObject *>values
    frame.shape = LIST
    frame.filled = PyList_GET_SIZE(values)
    Py_DECREF_RAW(before)
    return 0


cdef str status(const uint8_t *text, Py_ssize_t size):
    if size == 2 and text[0] == b"O" and text[1] == b"K":
        return OK
    if size == 6 and text[0] == b"Q" and text[5] == b"D":
        value = PyUnicode_DecodeUTF8(<const char *>text, size, b"replace")
        return QUEUED if value == QUEUED else value
    return PyUnicode_DecodeUTF8(<const char *>text, size, b"replace")


cdef bint parse_count(const uint8_t *digits, Py_ssize_t size, int64_t *number) noexcept nogil:
    """A length or a count: digits, or -1."""
    if size == 2 and digits[0] == 45 and digits[1] == 49:
        number[0] = -1
        return True
    return size and digits[0] != 45 and digits[0] != 43 and parse_integer(digits, size, number)


cdef bint parse_integer(const uint8_t *digits, Py_ssize_t size, int64_t *number) noexcept nogil:
    cdef uint64_t sum = 0
    cdef Py_ssize_t place = 0
    cdef bint negative = size > 0 and digits[0] == 45
    if size and (negative or digits[0] == 43):
        place = 1
    if place == size or size - place > 19:
        return False
    for place in range(place, size):
        if digits[place] < 48 or digits[place] > 57:
            return False
        sum = sum * 10 + (digits[place] - 48)
    if sum > <uint64_t>INT64_MAX + negative:
        return False
    number[0] = <int64_t>(-sum) if negative else <int64_t>sum
    return True


cdef object parse_double(const uint8_t *digits, Py_ssize_t size):
    text = (<const char *>digits)[:size]
    if not size or size > LONGEST_NUMBER or b"_" in text or text != text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return None


cdef object parse_big_number(const uint8_t *digits, Py_ssize_t size):
    """An int; or the text as it is: what scripts call so need not be a number."""
    text = (<const char *>digits)[:size]
    if 0 < size <= MOST_DIGITS and (text[1:] if text[0] in b"+-" else text).isdigit():
        return int(text)
    return text


cdef str shown(const uint8_t *data, Py_ssize_t size):
    return repr((<const char *>data)[:min(size, 40)])
