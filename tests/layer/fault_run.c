/* Starts the program with a fault in its environment and waits for it; fault_sweep.c judges. */
#define _XOPEN_SOURCE 700 // setenv, nanosleep
#include "fault_run.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COLD_LIMIT_S = 900, TIME_LIMIT_S = 600, HANG_LIMIT_S = 35 }; // cold: the driver compiles everything

sweep_setup sweep;

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("fault_sweep: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    exit(1);
}

void shell(const char *fmt, ...)
{
    char line[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (system(line) != 0)
        die("failed: %s", line);
}

char *text_of(const char *name)
{
    static char text[1 << 16];
    char path[640];
    snprintf(path, sizeof path, "%s/%s", sweep.work, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

long reported(const char *key)
{
    long value = -1;
    const char *at = strstr(text_of("report"), key);
    return at && sscanf(at + strlen(key), "%ld", &value) == 1 ? value : -1;
}

/* In the child: streams to files, the fault into the environment. */
static void start(const char *fault, const char *const *argv)
{
    char path[640];
    if (chdir(sweep.work) != 0 || !freopen("out", "w", stdout) || !freopen("err", "w", stderr) ||
        !freopen("/dev/null", "r", stdin))
        _exit(98);
    snprintf(path, sizeof path, "%s/report", sweep.work);
    setenv("SPIKEPORT_LAYER_REPORT", path, 1);
    setenv("SPIKEPORT_LAYER_FAULT", fault, 1);
    setenv("SPIKEPORT_BUILD_TIMEOUT", strstr(fault, "delay=40") ? "3" : "500", 1);
    setenv("SPIKEPORT_PROGRAM_CACHE", sweep.from_source ? "off" : "on", 1);
    setenv("OPENCL_LAYERS", sweep.layer, 1);
    snprintf(path, sizeof path, "%s/cache", sweep.work);
    setenv("SPIKEPORT_CACHE_DIR", path, 1);
    execv(sweep.program, (char *const *)(void *)argv);
    _exit(98);
}

static int run(const char *fault, const char *const *argv)
{
    int status, limit_s = !*fault ? COLD_LIMIT_S : strstr(fault, "delay=40") ? HANG_LIMIT_S : TIME_LIMIT_S;
    const char *w = sweep.work;
    shell("cd '%s' && rm -rf report cache && if [ -d warm ]; then cp -r warm cache; else mkdir cache; fi", w);
    pid_t child = fork();
    if (child < 0)
        die("fork: %s", strerror(errno));
    if (child == 0)
        start(fault, argv);
    for (time_t begin = time(NULL);;) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL + WTERMSIG(status);
        if (time(NULL) - begin > limit_s) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return TIMED_OUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static int run_train(const char *fault, const char *first, const char *second, const char *third)
{
    const char *argv[MAX_MORE + 6] = {sweep.program, "train", first, second};
    int n = 4;
    if (third)
        argv[n++] = third;
    for (int i = 0; sweep.more[i]; i++)
        argv[n++] = sweep.more[i];
    return run(fault, argv);
}

int train(const char *fault, const char *folder)
{
    char path[640];
    snprintf(path, sizeof path, "%s/%s", sweep.work, folder);
    shell("rm -rf '%s'", path);
    return run_train(fault, sweep.recipe, "--out", path);
}

int resume(const char *folder)
{
    char path[640];
    snprintf(path, sizeof path, "%s/%s", sweep.work, folder);
    return run_train("", "--resume", path, NULL);
}

void keep_caches(void)
{
    shell("cd '%s' && rm -rf warm && cp -r cache warm%s", sweep.work,
          sweep.untrusted ? " && rm -f warm/conformance.jsonl" : "");
}
