/* Starts threads; what they do, and how they end, is their owner's matter. A thread inherits the mask of
 * signals of the one that starts it, and so never runs without it. Signals that an instruction of its own
 * raises stay open: the system ends the process where they are blocked, and drivers take some of them, as
 * PoCL does with a division by zero in a kernel. */
#define _GNU_SOURCE /* pthread_getattr_default_np */
#include "base/thread.h"

#include <signal.h>

int sp_thread_start(pthread_t *thread, void *(*work)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    const int raised[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++)
        sigdelset(&all, raised[i]);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int code = pthread_create(thread, NULL, work, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return code;
}

uint64_t sp_thread_stack_bytes(void)
{
    pthread_attr_t usual;
    size_t bytes = 0;
    if (pthread_attr_init(&usual) != 0)
        return 0;
#ifdef __GLIBC__ /* elsewhere, attributes that nobody changed have the usual size */
    pthread_attr_t now;
    if (pthread_getattr_default_np(&now) == 0) {
        pthread_attr_destroy(&usual);
        usual = now;
    }
#endif
    if (pthread_attr_getstacksize(&usual, &bytes) != 0)
        bytes = 0;
    pthread_attr_destroy(&usual);
    return bytes;
}
