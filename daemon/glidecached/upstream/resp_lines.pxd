"""Readers of RESP's lines: `line` is without its mark and its end."""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memchr

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)

cdef enum:
    # The most bytes of a number, a length, a count. A double that is written out has some 330 digits.
    LONGEST_NUMBER = 512
    SHORT_LINE = 8


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
