/* What became of a hot key's entry in a pool of a longer TTL, as refreshes of the real entry show it.
 *
 * Each refresh says whether the value has changed since the last, so for most of the time it is known whether an entry of a
 * longer life would have been stale. Not known is it between a change and the refresh before: that time is exposed, and its
 * stale share follows from how often the value changes. Reads are taken to come at any time, as those of a hot key do.
 */
#ifndef GLIDECACHE_HOT_PATH_H
#define GLIDECACHE_HOT_PATH_H

#include <stdint.h>

typedef struct {
    int64_t begins_ns; /* when the entry was stored */
    double stale;      /* how likely it is that the entry was stale at the last refresh, 0 to 1 */
    double stale_s;    /* times, of all entries until the last refresh */
    double exposed_s;
    double total_s;
    double ages; /* the ages at all times, their integral in s squared */
} hot_path;

enum { HOT_UNCHANGED, HOT_CHANGED, HOT_CHANGED_AT };

/* The entry ends, and comes again then. */
static inline void hot_restart(hot_path *path, int64_t now_ns) {
    path->begins_ns = now_ns;
    path->stale = 0;
}

/* Follow a life of `life_ns` between two refreshes; `changed` is what the second has found, `change_ns` when that was. */
static inline void hot_follow(hot_path *path, int64_t life_ns, int64_t from_ns, int64_t until_ns, int changed,
                              int64_t change_ns) {
    double whole = (double)(until_ns - from_ns);
    path->total_s += whole * 1e-9;
    while (from_ns < until_ns) {
        /* A key that no client reads for many lives is not stored again with each. */
        if (life_ns < (until_ns - from_ns) / 64)
            from_ns = until_ns - (until_ns - from_ns) % life_ns;
        int64_t ends_ns = path->begins_ns + life_ns;
        if (ends_ns <= from_ns) {
            hot_restart(path, from_ns);
            ends_ns = from_ns + life_ns;
        }
        int64_t to_ns = ends_ns < until_ns ? ends_ns : until_ns;
        double seconds = (double)(to_ns - from_ns) * 1e-9, part = (double)(to_ns - from_ns) / whole;
        path->ages += ((double)(from_ns - path->begins_ns) * 1e-9 + seconds / 2) * seconds;
        if (changed == HOT_CHANGED_AT && from_ns < change_ns && change_ns < to_ns) {
            path->stale_s += (path->stale * (double)(change_ns - from_ns) + (double)(to_ns - change_ns)) * 1e-9;
            path->stale = 1;
        } else {
            path->stale_s += path->stale * seconds;
            if (changed == HOT_CHANGED) {
                path->exposed_s += (1 - path->stale) * part * seconds;
                path->stale += (1 - path->stale) * part;
            }
        }
        from_ns = to_ns;
        if (to_ns == ends_ns)
            hot_restart(path, to_ns);
    }
}

#endif
