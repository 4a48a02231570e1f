cpdef int need(object value, object kind, str name) except -1
cpdef int need_command(object value) except -1
cpdef int need_all_bytes(list values, str name) except -1
cpdef int need_kind(object value) except -1
