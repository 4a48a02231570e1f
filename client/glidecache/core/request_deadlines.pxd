from libc.stdint cimport int64_t

cpdef int64_t reply_deadline_ns(int64_t deadline_ns, int64_t now_ns) noexcept
cpdef bytes with_deadline(bytes message, int64_t deadline_ns)
