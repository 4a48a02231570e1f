/* Reaching the access board from the daemon without trusting its length.
 *
 * Workers may write the board file, so a worker could truncate it, and a touch beyond the end of a mapped file raises
 * SIGBUS. Each access of the daemon runs under a guard that turns this signal into a return value. One thread only: the
 * daemon's.
 */
#ifndef GLIDECACHE_GUARD_H
#define GLIDECACHE_GUARD_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

static sigjmp_buf gpool_guard_return;
static volatile sig_atomic_t gpool_guard_armed;
static struct sigaction gpool_guard_previous;

static void gpool_guard_on_sigbus(int number) {
    if (gpool_guard_armed) {
        gpool_guard_armed = 0;
        siglongjmp(gpool_guard_return, 1);
    }
    sigaction(SIGBUS, &gpool_guard_previous, NULL); /* not ours: the access is repeated under the previous handler */
    (void)number;
}

/* Install the handler. Returns 0, or -1 with errno set. Idempotent. */
static inline int gpool_guard_install(void) {
    struct sigaction ours, current;
    if (sigaction(SIGBUS, NULL, &current) != 0)
        return -1;
    if (current.sa_handler == gpool_guard_on_sigbus)
        return 0;
    memset(&ours, 0, sizeof ours);
    ours.sa_handler = gpool_guard_on_sigbus;
    ours.sa_flags = SA_NODEFER; /* siglongjmp does not restore the mask here (saving it is a system call) */
    sigemptyset(&ours.sa_mask);
    gpool_guard_previous = current;
    return sigaction(SIGBUS, &ours, NULL);
}

/* Run `work(argument)`; false when it met SIGBUS, then whatever it had not done is not done. */
static inline bool gpool_guarded(void (*work)(void *), void *argument) {
    if (sigsetjmp(gpool_guard_return, 0) != 0)
        return false;
    gpool_guard_armed = 1;
    work(argument);
    gpool_guard_armed = 0;
    return true;
}

#endif
