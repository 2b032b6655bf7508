/* The guard of a rank: a thread that ends this process where it would wait without end. A call of MPI has no
 * time limit of its own, and nobody tells a rank that its launcher has gone. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "train/ranks_internal.h"

enum { LOOK_NS = 100000000, LEAVE_S = 30 };

/* MPI starts once in a process, and so does its guard. */
static struct {
    int rank;
    char host[64];
    pid_t launcher; /* whose child this process is */
    void (*print)(const sp_error *err);
    pthread_mutex_t lock;  /* of what follows */
    const sp_ranks *ranks; /* NULL: closed */
    const char *call;      /* that must have come back by until_ns; NULL: none */
    double seconds;
    uint64_t until_ns;
    int done_code;       /* of a process that has done its work; -1: it has not */
    void (*leave)(void); /* of the MPI of such a one */
} guard = {.lock = PTHREAD_MUTEX_INITIALIZER, .done_code = -1};

static void end_process(const char *why, double seconds)
{
    sp_error err = {0};
    SP_FAIL(&err, SP_E_FAILED,
            "rank %d (host %s): %s within %g s. The last checkpoint is whole: continue with --resume, on any "
            "number of ranks",
            guard.rank, guard.host, why, seconds);
    guard.print(&err);
    _exit(sp_status_exit_code(err.status));
}

static void look_at_call(uint64_t now)
{
    char why[200];
    double seconds = 0;
    pthread_mutex_lock(&guard.lock);
    const int done_code = guard.done_code;
    if (guard.call && now > guard.until_ns) {
        seconds = guard.seconds;
        snprintf(why, sizeof why, "MPI does not come back from %s", guard.call);
    }
    pthread_mutex_unlock(&guard.lock);
    if (seconds > 0 && done_code >= 0) {
        if (guard.rank == 0)
            sp_log(SP_LOG_WARNING, "rank 0 (host %s): %s within %g s; training has ended, all is written",
                   guard.host, why, seconds);
        guard.leave();
        _exit(done_code);
    }
    if (seconds > 0)
        end_process(why, seconds);
}

/* As on the launcher's own SIGTERM, training ends after the mini-batch, with a checkpoint, if all ranks can.
 */
static void look_at_launcher(uint64_t now, uint64_t *gone_ns)
{
    if (getppid() == guard.launcher)
        return;
    if (*gone_ns == 0) {
        *gone_ns = now;
        pthread_mutex_lock(&guard.lock);
        const bool stops = guard.ranks && guard.ranks->stop && *guard.ranks->stop;
        pthread_mutex_unlock(&guard.lock);
        if (!stops)
            kill(getpid(), SIGTERM);
    } else if ((double)(now - *gone_ns) * 1e-9 > LEAVE_S) {
        end_process("the launcher has ended, and training did not stop", LEAVE_S);
    }
}

static void *watch(void *unused)
{
    uint64_t gone_ns = 0;
    (void)unused;
    for (;;) {
        const uint64_t now = sp_clock_ns();
        look_at_call(now);
        look_at_launcher(now, &gone_ns);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return NULL;
}

sp_status spi_guard_start(const sp_ranks *r, void (*print)(const sp_error *err), sp_error *err)
{
    pthread_t thread;
    guard.ranks = r;
    guard.rank = r->rank;
    guard.print = print;
    guard.launcher = getppid();
    gethostname(guard.host, sizeof guard.host - 1);
    const int code = sp_thread_start(&thread, watch, NULL);
    if (code == 0)
        pthread_detach(thread);
    return code == 0 ? SP_OK
                     : SP_FAIL(err, SP_E_FAILED, "no thread can be started: is the process limit reached?");
}

const char *spi_guard_host(void)
{
    return guard.host;
}

void spi_guard_forget(void)
{
    pthread_mutex_lock(&guard.lock);
    guard.ranks = NULL;
    pthread_mutex_unlock(&guard.lock);
}

void spi_guard_begin(const char *call, double seconds)
{
    pthread_mutex_lock(&guard.lock);
    guard.call = call;
    guard.seconds = seconds;
    guard.until_ns = sp_clock_ns() + (uint64_t)(seconds * 1e9);
    pthread_mutex_unlock(&guard.lock);
}

void spi_guard_begin_finalize(double seconds, int code, void (*leave)(void))
{
    pthread_mutex_lock(&guard.lock);
    guard.leave = leave;
    guard.done_code = code;
    pthread_mutex_unlock(&guard.lock);
    spi_guard_begin("its end (MPI_Finalize)", seconds);
}

void spi_guard_end(void)
{
    pthread_mutex_lock(&guard.lock);
    guard.call = NULL;
    pthread_mutex_unlock(&guard.lock);
}
