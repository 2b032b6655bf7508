/* Starts threads; what they do, and how they end, is their owner's matter. A thread inherits the mask of
 * signals of the one that starts it, and so never runs without it. */
#include "base/thread.h"

#include <signal.h>

int sp_thread_start(pthread_t *thread, void *(*work)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int code = pthread_create(thread, NULL, work, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return code;
}
