/* Building with a time limit: a compiler that hangs must end in words, not in a process that never returns.
 * The driver's call cannot be stopped, so it runs in a thread that is left behind when the time is over. */
#include "cl/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/scope.h"

enum { DEFAULT_LIMIT_S = 600 };

typedef struct job {
    cl_program program;
    cl_device_id device;
    char *options;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool done, abandoned;
    cl_int code;
} job;

static void job_destroy(job *j)
{
    pthread_cond_destroy(&j->finished);
    pthread_mutex_destroy(&j->lock);
    sp_free(j->options);
    sp_free(j);
}

static void *work(void *arg)
{
    job *j = arg;
    sigset_t before;
    sp_signals_hold(&before); // a compiler may start processes
    cl_int code = clBuildProgram(j->program, 1, &j->device, j->options, NULL, NULL);
    pthread_mutex_lock(&j->lock);
    j->code = code;
    j->done = true;
    bool mine = j->abandoned;
    pthread_cond_signal(&j->finished);
    pthread_mutex_unlock(&j->lock);
    if (mine)
        job_destroy(j); // late after all; the program stays, nobody waits for it
    return NULL;
}

static job *job_create(cl_program program, cl_device_id device, const char *options)
{
    pthread_condattr_t clock;
    job *j = sp_alloc(sizeof *j);
    if (!j || !(j->options = sp_strdup(options))) {
        sp_free(j);
        return NULL;
    }
    j->program = program;
    j->device = device;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&j->finished, &clock);
    pthread_condattr_destroy(&clock);
    return j;
}

static long limit_seconds(void)
{
    const char *text = sp_setting("SPIKEPORT_BUILD_TIMEOUT");
    return text && *text ? strtol(text, NULL, 10) : DEFAULT_LIMIT_S; /* sp_settings_check has looked at it */
}

static struct timespec from_now(long seconds, long ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += seconds + (t.tv_nsec + ns) / 1000000000;
    t.tv_nsec = (t.tv_nsec + ns) % 1000000000;
    return t;
}

/* Waits; false when the time was over first. Afterwards the job is gone or the thread's. Until a driver has
 * shown what it does with the program's signals, that is looked after every millisecond, for a second. */
static bool wait_for(job *j, long seconds, cl_int *code)
{
    const struct timespec until = from_now(seconds, 0);
    int rc = 0;
    pthread_mutex_lock(&j->lock);
    for (long ms = 0; !j->done && ms < 1000 && !sp_handlers_restore(); ms++) {
        const struct timespec soon = from_now(0, 1000000);
        pthread_cond_timedwait(&j->finished, &j->lock, &soon);
    }
    while (!j->done && rc == 0)
        rc = pthread_cond_timedwait(&j->finished, &j->lock, &until);
    bool done = j->done;
    *code = j->code;
    j->abandoned = !done;
    pthread_mutex_unlock(&j->lock);
    if (done)
        job_destroy(j);
    return done;
}

sp_status sp_build_program(sp_device *dev, cl_program program, const char *options, const char *label,
                           cl_int *code, sp_error *err)
{
    pthread_t thread;
    long seconds = limit_seconds();
    sp_handlers_note();
    job *j = seconds ? job_create(program, dev->info.device_id, options) : NULL;
    if (j && pthread_create(&thread, NULL, work, j) != 0) {
        job_destroy(j);
        j = NULL;
    }
    if (!j) {
        *code = clBuildProgram(program, 1, &dev->info.device_id, options, NULL, NULL);
        sp_handlers_restore();
        return SP_OK;
    }
    pthread_detach(thread);
    const bool answered = wait_for(j, seconds, code);
    sp_handlers_restore();
    if (answered)
        return SP_OK;
    dev->compiler_hangs = true;
    return SP_FAIL(err, SP_E_BUILD,
                   "%s: the compiler of \"%s\" has not answered for %ld seconds; is the driver in order? "
                   "SPIKEPORT_BUILD_TIMEOUT=SECONDS gives it longer (0: no limit)",
                   label, dev->info.name, seconds);
}
