"""The keys of a `get_many` (see many_keys.pyi)."""

from libc.stdint cimport uint64_t

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.pool.reader cimport PoolReader

from glidecache.commands.encoding import each_of, encode
from glidecache_shared.protocol import STRING

cdef int KIND = STRING


cdef enum:
    # As in `core.forgotten_parts`, in characters.
    FEW_KEYS = 500
    FEW_CHARACTERS = 65_536

cdef list few_keys(object keys):
    """Return the keys of a list or a tuple, encoded, if they are few and of the usual two types; else None."""
    cdef list encoded = []
    cdef Py_ssize_t left = FEW_CHARACTERS
    if (type(keys) is not list and type(keys) is not tuple) or len(keys) > FEW_KEYS:
        return None
    for key in (<list>keys if type(keys) is list else <tuple>keys):
        if type(key) is bytes:
            left -= len(<bytes>key)
            encoded.append(key)
        elif type(key) is str:
            left -= len(<str>key)
            encoded.append((<str>key).encode())
        else:
            return None
    return encoded if left >= 0 else None


cdef class ManyKeys:
    def __init__(self, PoolReader reader, keys):
        # A copy: nothing that runs during the lookups can change it.
        cdef tuple wanted = tuple(keys) if type(keys) is list or type(keys) is tuple else tuple(each_of(keys, "keys"))
        cdef Py_ssize_t count = len(wanted)
        cdef Py_ssize_t index
        cdef uint64_t now_ns
        for index in range(count):
            key = wanted[index]
            if type(key) is not bytes and type(key) is not str:
                wanted = tuple([encode(key, f"keys[{index}]") for index, key in enumerate(wanted)])
                break
        self.values = [None] * count
        self.missing = []
        self.places = []
        now_ns = monotonic_ns()
        for index in range(count):
            key = wanted[index]
            if reader is not None:
                value = reader.read(key, KIND, now_ns + <uint64_t>index)
                if value is not None:
                    self.values[index] = value
                    continue
            self.missing.append(key if type(key) is bytes else (<str>key).encode())
            self.places.append(index)

    cpdef list filled(self, list replies):
        cdef Py_ssize_t index
        cdef list values = self.values
        if len(replies) != len(self.places):
            raise ValueError(f"{len(replies)} replies for {len(self.places)} keys")
        if len(replies) == len(values):
            return replies
        for index in range(len(replies)):
            values[<Py_ssize_t>self.places[index]] = replies[index]
        return values
