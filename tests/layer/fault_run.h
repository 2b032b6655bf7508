/* The program as a child of fault_sweep: started with a fault, watched, and what it left. */
#ifndef TESTS_LAYER_FAULT_RUN_H
#define TESTS_LAYER_FAULT_RUN_H

#include <stdbool.h>

enum { MAX_MORE = 8, TIMED_OUT = 2000, BY_SIGNAL = 1000 };

/* What is the same for all runs of a sweep. */
typedef struct sweep_setup {
    const char *program, *layer, *recipe,
        *more[MAX_MORE + 1]; /* more: arguments of train, NULL behind the last */
    char work[512];
    bool untrusted;   /* no run knows of the checks that passed before it */
    bool from_source; /* programs are built from source, not taken from the program cache */
} sweep_setup;
extern sweep_setup sweep;

void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A file of the work folder; "" when there is none. The next call overwrites it. */
char *text_of(const char *name);
/* A whole number from the layer's report; -1 when there is none (the process did not get to its end). */
long reported(const char *key);
/* A training into a new folder of the work folder, or the continuing of one. Its exit code, BY_SIGNAL + N for
 * signal N, TIMED_OUT when the time was over. */
int train(const char *fault, const char *folder);
int resume(const char *folder);
/* The caches as they are after a run are what every later run begins with. */
void keep_caches(void);

#endif
