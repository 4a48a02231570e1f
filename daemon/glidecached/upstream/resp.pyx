"""The servers' protocol (see resp.pyi)."""

from libc.stdint cimport INT64_MAX, UINT32_MAX, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from glidecached.upstream.resp_assembly cimport (
    AGAIN,
    BYTES_SIZE,
    DICT_SIZE,
    LIST,
    LIST_SIZE,
    MAP,
    SCALAR_SIZE,
    SET,
    SET_SIZE,
    Assembly,
)

from glidecache_shared.protocol import ReplyError

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **string, Py_ssize_t size) except -1
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    void Py_XDECREF(PyObject *value)
    void Py_DECREF_RAW "Py_DECREF" (PyObject *value)

cdef enum:
    # The most bytes of a number, a length, a count. A double that is written out has some 330 digits.
    LONGEST_NUMBER = 512
    SHORT_LINE = 8
    DEEPEST = 500
    LONGEST_BULK = 536_870_912
    LONGEST_SKIPPED_BULK = 4_294_967_296
    LONGEST_LINE = 536_870_912
    HEAVIEST_REPLY = 1_073_741_824
    # The most room that is made for an announcement alone.
    TRUSTED_BYTES = 262_144
    # A string at least this long is received without an intermediate copy.
    DIRECT_BYTES = 65_536

cdef object INCOMPLETE = object()
globals().update(
    INCOMPLETE=INCOMPLETE, MOST_NESTED=DEEPEST, MOST_BULK_BYTES=LONGEST_BULK, MOST_REPLY_BYTES=HEAVIEST_REPLY
)


class UnreadableError(Exception):
    """The received data is not RESP (see resp.pyi)."""


cdef class Reader(Assembly):
    def __init__(self, int64_t most_bytes=HEAVIEST_REPLY):
        self.most_bytes = most_bytes

    def __dealloc__(self):
        self.drop()
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
        """Read from here. The data must stay in place until it is read; earlier data must have been read."""
        self.at = data
        self.end = data + size
        self.received_bytes += size
        return 0

    cdef object next_reply(self):
        """Return the next whole reply, or INCOMPLETE: then the input has been read to its end."""
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
                    self.at = self.take_strings(self.at, self.end, self.most_bytes)
                line = self.at
                newline = find_newline(line, self.end)
                if newline == NULL:
                    self.keep_line(line, self.end - line)
                    return INCOMPLETE
                self.at = newline + 1
                value = self.read_line(line, newline - line)
        return value

    cdef int keep_input(self) except -1:
        """Keep the unread data, wherever it was."""
        cdef bytes rest
        if self.at != self.end and self.held is None:
            rest = (<const char *>self.at)[:self.end - self.at]
            self.at = <const uint8_t *>PyBytes_AS_STRING(rest)
            self.end = self.at + PyBytes_GET_SIZE(rest)
            self.held = rest
        return 0

    cdef uint8_t *room(self, Py_ssize_t *size) except? NULL:
        """Return where the rest of a long string may be received directly, and how much of it; NULL: there is none."""
        if self.bulk == NULL or self.at != self.end or self.bulk_bytes - self.bulk_filled < DIRECT_BYTES:
            return NULL
        if self.bulk_filled == PyBytes_GET_SIZE(<bytes>self.bulk):
            self.grow_bulk()
        size[0] = PyBytes_GET_SIZE(<bytes>self.bulk) - self.bulk_filled
        return <uint8_t *>PyBytes_AS_STRING(<bytes>self.bulk) + self.bulk_filled

    cdef int filled(self, Py_ssize_t size) except -1:
        """Note that this many bytes were received there."""
        self.bulk_filled += size
        self.received_bytes += size
        return 0

    cdef int64_t progress_bytes(self) noexcept:
        """Return how much of an unfinished reply has arrived; a push is none."""
        return 0 if self.in_push else self.received_bytes - (self.end - self.at) - self.begun_bytes

    # ---- lines

    cdef object take_line(self):
        """Continue a line that began in earlier data."""
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
            self.fail(f"a line of more than {needed} bytes")
        return 0

    cdef object read_line(self, const uint8_t *line, Py_ssize_t size):
        """Read a line, which is given without its newline."""
        cdef int mark
        cdef int64_t number = 0
        if size < 2 or line[size - 1] != 13:
            self.fail(f"a line that does not end with CR and LF: {shown(line, size)}")
        mark = line[0]
        size -= 2
        line += 1
        if mark == b"$":
            if not parse_count(line, size, &number):
                self.fail(f"a string's length is {shown(line, size)}")
            return self.begin_bulk(mark, number) if number >= 0 else self.put(None, False, SCALAR_SIZE)
        if mark == b":":
            if not parse_integer(line, size, &number):
                self.fail(f"an integer is {shown(line, size)}")
            return self.put(number, False, SCALAR_SIZE)
        if mark == b"+":
            return self.put(status(line, size), False, BYTES_SIZE + size)
        if mark == b"-":
            return self.put(ReplyError(PyUnicode_DecodeUTF8(<const char *>line, size, b"replace")), False,
                            LIST_SIZE + 2 * size)
        if mark in b"*~%|>":
            if not parse_count(line, size, &number):
                self.fail(f"a container's count is {shown(line, size)}")
            if number < 0:
                if mark == b"|" or mark == b">":
                    self.fail("an attribute or a push has no count")
                return self.put(None, False, SCALAR_SIZE)
            if mark == b"|" or mark == b">" or self.skipping:
                return self.begin_skipped(mark, number)
            return self.begin_container(LIST if mark == b"*" else SET if mark == b"~" else MAP, number)
        if mark == b"_":
            if size:
                self.fail(f"a null with a content: {shown(line, size)}")
            return self.put(None, False, SCALAR_SIZE)
        if mark == b"#":
            if size != 1 or line[0] not in b"tf":
                self.fail(f"a boolean is {shown(line, size)}")
            return self.put(line[0] == b"t", False, SCALAR_SIZE)
        if mark == b",":
            value = parse_double(line, size)
            if value is None:
                self.fail(f"a double is {shown(line, size)}")
            return self.put(value, False, SCALAR_SIZE)
        if mark == b"(":
            # Kept as digits: scripts may call any text a big number, and such integers can be chosen to have one hash.
            return self.put((<const char *>line)[:size], False, BYTES_SIZE + size)
        if mark == b"=" or mark == b"!":
            if not parse_count(line, size, &number) or number < (4 if mark == b"=" else 0):
                self.fail(f"a string's length is {shown(line, size)}")
            return self.begin_bulk(mark, number)
        self.fail(f"a reply begins with {shown(line - 1, size + 1)}")

    # ---- strings

    cdef object begin_bulk(self, int mark, int64_t length):
        cdef const uint8_t *content = self.at
        if not self.skipping:
            if length + 2 <= self.end - content and length + self.weight_bytes < self.most_bytes:
                if content[length] != 13 or content[length + 1] != 10:
                    self.fail(f"a string of {length} bytes does not end there")
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
            self.fail(f"a string of {length} bytes is announced")
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
                self.fail(f"a string of {self.bulk_bytes} bytes does not end there")
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
        """Double the room: make as much again as has really arrived."""
        cdef Py_ssize_t room = PyBytes_GET_SIZE(<bytes>self.bulk)
        _PyBytes_Resize(&self.bulk, min(self.bulk_bytes, 2 * room))
        return 0

    cdef object put_bulk(self, int mark, bytes value):
        cdef Py_ssize_t size = BYTES_SIZE + PyBytes_GET_SIZE(value)
        if mark == b"=":
            if value[3] != 58:
                self.fail(f"a verbatim string has no format: {value[:16]!r}")
            return self.put(value[4:], False, size)
        if mark == b"!":
            return self.put(ReplyError(value.decode("utf-8", "replace")), False, LIST_SIZE + 2 * size)
        return self.put(value, False, size)

    # ---- containers

    cdef object begin_container(self, int shape, int64_t count):
        if count > <int64_t>UINT32_MAX:
            self.fail(f"a container of {count} values is announced")
        if self.depth == DEEPEST:
            self.refuse(f"more than {DEEPEST} containers in one another")
            return self.skipped(1 - (2 * count if shape == MAP else count))
        if count == 0:
            if shape == LIST:
                return self.put([], True, LIST_SIZE)
            return self.put(set(), True, SET_SIZE) if shape == SET else self.put({}, True, DICT_SIZE)
        return self.open(shape, count)

    cdef object begin_skipped(self, int mark, int64_t count):
        """Begin an attribute, a push, or a container within dropped values."""
        cdef int64_t values = 2 * count if mark == b"%" or mark == b"|" else count
        if count > <int64_t>UINT32_MAX or self.skipping > INT64_MAX - 2 * <int64_t>UINT32_MAX:
            self.fail(f"a container of {count} values is announced")
        if mark == b"|":
            self.skipping += values
            return AGAIN
        if mark == b">":
            if self.depth or self.skipping:
                self.fail("a push within a reply")
            self.in_push = True
            self.skipping = 1
        return self.skipped(1 - values)

    cdef object put(self, object value, bint unhashable, Py_ssize_t size):
        """Put a complete value into its container, and a complete container into its own, or return it."""
        if self.skipping:
            return self.skipped(1)
        self.weight_bytes += size
        value = self.add(value, unhashable)
        if value is not AGAIN:
            return self.complete(value)
        if self.weight_bytes >= self.most_bytes:
            self.refuse(f"more than {self.most_bytes} bytes in memory")
        return AGAIN

    # ---- dropped values

    cdef object skipped(self, int64_t values):
        """Note that this many dropped values are complete."""
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
        return AGAIN  # an attribute: its reply follows

    cdef int refuse(self, str reason) except -1:
        """Drop what has arrived of this reply and what is still to come; an error takes its place."""
        self.skipping = self.values_left()
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
        """Forget the part of a reply that has arrived."""
        self.drop_containers()
        Py_XDECREF(self.bulk)
        self.bulk = NULL
        return 0

    cdef int fail(self, str reason) except -1:
        self.fault = reason
        self.drop()
        raise UnreadableError(reason)


# ---- the parts of a line, without its mark and its end

cdef inline const uint8_t *find_newline(const uint8_t *at, const uint8_t *end) noexcept nogil:
    """Find the end of a line. Lines are mostly short: a call for each would cost more than the search."""
    cdef const uint8_t *near_end = at + min(<Py_ssize_t>SHORT_LINE, end - at)
    while at < near_end:
        if at[0] == 10:
            return at
        at += 1
    return <const uint8_t *>memchr(at, 10, end - at)


cdef inline object status(const uint8_t *text, Py_ssize_t size):
    if size == 2 and text[0] == b"O" and text[1] == b"K":
        return "OK"
    return PyUnicode_DecodeUTF8(<const char *>text, size, b"replace")


cdef inline bint parse_count(const uint8_t *digits, Py_ssize_t size, int64_t *number) noexcept nogil:
    """Read a length or a count: digits, or -1."""
    if size == 2 and digits[0] == 45 and digits[1] == 49:
        number[0] = -1
        return True
    return size and digits[0] != 45 and digits[0] != 43 and parse_integer(digits, size, number)


cdef inline bint parse_integer(const uint8_t *digits, Py_ssize_t size, int64_t *number) noexcept nogil:
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


cdef inline object parse_double(const uint8_t *digits, Py_ssize_t size):
    text = (<const char *>digits)[:size]
    if not size or size > LONGEST_NUMBER or b"_" in text or text != text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return None


cdef inline object shown(const uint8_t *data, Py_ssize_t size):
    return repr((<const char *>data)[:min(size, 40)])
