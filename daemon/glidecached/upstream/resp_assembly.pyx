"""Containers of a reply, built as their values arrive: the base of `resp.Reader`."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_SetItem
from cpython.list cimport PyList_Append, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.set cimport PySet_Add

cdef extern from "Python.h":
    void Py_XDECREF(PyObject *value)
    void Py_DECREF_RAW "Py_DECREF" (PyObject *value)

cdef enum:
    FIRST_FRAMES = 8
    # The most elements for which an announcement alone makes room.
    TRUSTED_COUNT = 1_024
    SHORTEST_STRING = 6
    SHORT_LENGTH = 7

cdef object AGAIN = object()


cdef class Assembly:
    def __dealloc__(self):
        self.drop_containers()
        free(self.frames)

    cdef object open(self, int shape, int64_t count):
        """Begin a container, which is not empty, within the one that is being filled."""
        cdef int64_t values = 2 * count if shape == MAP else count
        cdef Frame *frames
        cdef Frame *frame
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

    cdef object add(self, object value, bint unhashable):
        """Add a value to the innermost container, and a full container into its own; return the outermost or AGAIN."""
        cdef Frame *frame
        cdef list values
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
                return AGAIN
            self.depth -= 1
            value = <object>frame.container
            Py_DECREF_RAW(frame.container)
            unhashable = True
        return value

    cdef const uint8_t *take_strings(self, const uint8_t *at, const uint8_t *end, int64_t most_bytes) except NULL:
        """Take the usual content of a container, complete short strings, on a fast path: all but the last value.

        The last value may end the container. Anything unexpected is left to the slow path. Return where that begins.
        """
        cdef Frame *frame = &self.frames[self.depth - 1]
        cdef const uint8_t *digit
        cdef Py_ssize_t length
        cdef bytes value
        if frame.shape == PAIRS or self.weight_bytes >= most_bytes - (end - at):
            return at
        # No reads past the end: anything shorter than this is no string with its length and both its ends.
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
        return at

    cdef int64_t values_left(self) noexcept:
        """Return how many values the whole reply still waits for, if none of them is a container."""
        cdef int place
        # A container within another is one of the other's values, and ends with the last of its own.
        cdef int64_t left = 1 if not self.depth else 1 - self.depth
        for place in range(self.depth):
            left += self.frames[place].left
        return left

    cdef int drop_containers(self) noexcept:
        while self.depth:
            self.depth -= 1
            Py_XDECREF(self.frames[self.depth].key)
            Py_XDECREF(self.frames[self.depth].container)
        return 0


cdef int in_list(Frame *frame, list values) except -1:
    """Continue with a list where the set or the dict cannot take a value."""
    cdef PyObject *before = frame.container
    Py_INCREF(values)
    frame.container = <PyObject *>values
    frame.shape = LIST
    frame.filled = PyList_GET_SIZE(values)
    Py_DECREF_RAW(before)
    return 0
