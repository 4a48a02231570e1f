# The keys that most hits are on, and what becomes of their entries: see hot_keys.h, hot_path.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "hot_keys.h" nogil:
    enum:
        HOT_KEYS
        HOT_NONE
    ctypedef struct hot_key:
        uint64_t hash
    ctypedef struct hot_keys:
        hot_key keys[256]
        uint64_t surveyed
        uint32_t in_use
    uint32_t hot_hits(const hot_keys *hot, uint32_t place)
    bint hot_may_have(const hot_keys *hot, uint32_t hash)
    uint32_t hot_find(const hot_keys *hot, uint64_t hash)
    uint32_t hot_count(hot_keys *hot, uint64_t hash)
    void hot_leave_out(hot_keys *hot, uint32_t place)
    void hot_begin(hot_keys *hot)

cdef extern from "hot_path.h" nogil:
    enum:
        HOT_UNCHANGED
        HOT_CHANGED
        HOT_CHANGED_AT
    ctypedef struct hot_path:
        int64_t begins_ns
        double stale
        double stale_s
        double exposed_s
        double total_s
        double ages
    void hot_restart(hot_path *path, int64_t now_ns)
    void hot_follow(hot_path *path, int64_t life_ns, int64_t from_ns, int64_t until_ns, int changed, int64_t change_ns)
