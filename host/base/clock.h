/* Monotonic time, processor time, dates. */
#ifndef SP_BASE_CLOCK_H
#define SP_BASE_CLOCK_H
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

static inline uint64_t sp_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Processor seconds of this process, all threads: where the device is a CPU, less noisy than the clock on a
 * busy machine. */
static inline double sp_clock_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* "2026-11-29", the date in UTC. */
typedef struct sp_date {
    char text[16];
} sp_date;
static inline sp_date sp_date_of(time_t when)
{
    sp_date d = {""};
    struct tm utc;
    if (gmtime_r(&when, &utc))
        strftime(d.text, sizeof d.text, "%Y-%m-%d", &utc);
    return d;
}
#endif
