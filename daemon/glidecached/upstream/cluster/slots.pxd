cpdef int key_slot(bytes key) except -1
cpdef int slot_of_one_key(object arguments) except -2
