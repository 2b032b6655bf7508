/* Drivers and the signals of the program. A Ctrl-C in a terminal reaches every process that a driver has
 * started, such as a linker; and LLVM, the compiler in many drivers, puts handlers in place that remove the
 * files it is writing. Here both are kept from it: a kernel is compiled to its end, and the program hears of
 * the signal. */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include "cl/internal.h"

#include <pthread.h>

enum { N_SIGNALS = 3 };
static const int numbers[N_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

void sp_signals_hold(sigset_t *before)
{
    sigset_t held;
    sigemptyset(&held);
    for (int i = 0; i < N_SIGNALS; i++)
        sigaddset(&held, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &held, before);
}

void sp_signals_release(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Handlers of the program, and what a driver has put in their place once. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction own[N_SIGNALS], drivers[N_SIGNALS];
static bool known[N_SIGNALS];

static bool is_default(const struct sigaction *a)
{
    return !(a->sa_flags & SA_SIGINFO) && a->sa_handler == SIG_DFL;
}

static bool is_same(const struct sigaction *a, const struct sigaction *b)
{
    if ((a->sa_flags & SA_SIGINFO) != (b->sa_flags & SA_SIGINFO))
        return false;
    return a->sa_flags & SA_SIGINFO ? a->sa_sigaction == b->sa_sigaction : a->sa_handler == b->sa_handler;
}

void sp_handlers_note(void)
{
    struct sigaction now;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_SIGNALS; i++)
        if (sigaction(numbers[i], NULL, &now) == 0 && !(known[i] && is_same(&now, &drivers[i])))
            own[i] = now;
    pthread_mutex_unlock(&lock);
}

/* Where the program has no handler, the driver's may stay: it tidies up, and the program ends. */
bool sp_handlers_restore(void)
{
    struct sigaction now;
    bool all = true;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_SIGNALS; i++) {
        if (is_default(&own[i]) || sigaction(numbers[i], NULL, &now) != 0)
            continue;
        if (!known[i] && !is_same(&now, &own[i])) {
            drivers[i] = now;
            known[i] = true;
        }
        if (known[i] && is_same(&now, &drivers[i]))
            sigaction(numbers[i], &own[i], NULL);
        all = all && known[i];
    }
    pthread_mutex_unlock(&lock);
    return all;
}
