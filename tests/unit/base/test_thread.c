#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <signal.h>

#include "base/thread.h"

static void *read_mask(void *mask)
{
    pthread_sigmask(SIG_BLOCK, NULL, mask);
    return NULL;
}

Test(thread, takes_only_signals_of_its_own_instructions)
{
    sigset_t of_thread, before, after;
    pthread_t thread;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    cr_assert_eq(sp_thread_start(&thread, read_mask, &of_thread), 0);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    const int kept[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE, SIGALRM, SIGCHLD};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        cr_assert(sigismember(&of_thread, kept[i]), "signal %d", kept[i]);
    // blocked, they would end the process where a driver has a handler for them
    const int raised[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++)
        cr_assert_not(sigismember(&of_thread, raised[i]), "signal %d", raised[i]);
    for (int number = 1; number < 32; number++)
        cr_assert_eq(sigismember(&before, number), sigismember(&after, number), "signal %d", number);
}
