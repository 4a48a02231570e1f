from libc.stdint cimport int64_t, uint8_t

from cpython.object cimport PyObject

from glidecached.upstream.resp_assembly cimport Assembly


cdef class Reader(Assembly):
    # Received data that was not read; `held` keeps it alive where it belongs to a Python object.
    cdef const uint8_t *at
    cdef const uint8_t *end
    cdef object held
    # The beginning of a line whose end has not arrived.
    cdef uint8_t *line
    cdef Py_ssize_t line_bytes
    cdef Py_ssize_t line_room
    # A string that has arrived in part: its kind, its length, the bytes that have arrived, the bytes to skip instead,
    # and the missing bytes of its end.
    cdef bint in_bulk
    cdef int bulk_mark
    cdef PyObject *bulk
    cdef int64_t bulk_bytes
    cdef int64_t bulk_filled
    cdef int64_t bulk_ignored
    cdef int bulk_end
    # The number of values to read and drop, and the answer in their place if they are part of a reply.
    cdef int64_t skipping
    cdef object verdict
    cdef bint in_push
    # Bytes received in total; the positions at which the current reply and the last complete one begin.
    cdef int64_t received_bytes
    cdef int64_t begun_bytes
    cdef int64_t last_begun_bytes
    cdef int64_t most_bytes
    cdef readonly int64_t last_weight_bytes
    cdef readonly int64_t pushes
    cdef readonly str fault

    cdef int set_input(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef object next_reply(self)
    cdef int keep_input(self) except -1
    cdef uint8_t *room(self, Py_ssize_t *size) except? NULL
    cdef int filled(self, Py_ssize_t size) except -1
    cdef int64_t progress_bytes(self) noexcept

    cdef object take_line(self)
    cdef int keep_line(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef object read_line(self, const uint8_t *line, Py_ssize_t size)
    cdef object begin_bulk(self, int mark, int64_t length)
    cdef object take_bulk(self)
    cdef int grow_bulk(self) except -1
    cdef object put_bulk(self, int mark, bytes value)
    cdef object begin_container(self, int shape, int64_t count)
    cdef object begin_skipped(self, int mark, int64_t count)
    cdef object put(self, object value, bint unhashable, Py_ssize_t size)
    cdef object skipped(self, int64_t values)
    cdef int refuse(self, str reason) except -1
    cdef object complete(self, object reply)
    cdef int drop(self) noexcept
    cdef int fail(self, str reason) except -1


cdef object INCOMPLETE
