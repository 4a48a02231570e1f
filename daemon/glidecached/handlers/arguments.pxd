cpdef object need(object value, type kind, str name)
cpdef object need_command(object value)
cpdef object need_all_bytes(list values, str name)
cpdef object need_kind(object value)
