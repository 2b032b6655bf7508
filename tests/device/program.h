/* Running the program itself in a folder of its own, and looking at what it left there. */
#ifndef TESTS_DEVICE_PROGRAM_H
#define TESTS_DEVICE_PROGRAM_H

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/safetensors.h"

static char work[512];

/* Runs `before` (shell, such as "ulimit -f 1;") and the program with arguments in the folder; streams go to
 * the files out and err. Returns the exit code, 1000 + N for signal N. */
static inline int run_after(const char *before, const char *fmt, va_list args)
{
    char what[1024], line[2048];
    vsnprintf(what, sizeof what, fmt, args);
    snprintf(line, sizeof line, "cd '%s' && %s exec '%s' %s >out 2>err </dev/null", work, before, SP_PROGRAM,
             what);
    int rc = system(line);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 1000 + WTERMSIG(rc);
}

static inline int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline int run(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int code = run_after("", fmt, args);
    va_end(args);
    return code;
}

static inline int run_with(const char *before, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline int run_with(const char *before, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int code = run_after(before, fmt, args);
    va_end(args);
    return code;
}

/* Contents of a file of the folder, as text; stays until the next call. */
static inline const char *text_of(const char *name)
{
    static char text[1 << 16];
    char path[768];
    snprintf(path, sizeof path, "%s/%s", work, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

static inline bool exists(const char *name)
{
    char path[768];
    snprintf(path, sizeof path, "%s/%s", work, name);
    return access(path, F_OK) == 0;
}

static inline void write_text(const char *name, const char *text)
{
    char path[768];
    snprintf(path, sizeof path, "%s/%s", work, name);
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %s", path, strerror(errno));
}

#define EXPECT_CODE(wanted, call)                                                                            \
    do {                                                                                                     \
        int code_ = (call);                                                                                  \
        cr_assert_eq(code_, (wanted), "exit code %d, not %d: %s", code_, (wanted), text_of("err"));          \
    } while (0)
#define EXPECT_SAID(part)                                                                                    \
    cr_assert(strstr(text_of("err"), (part)), "\"%s\" is not in: %s", (part), text_of("err"))

static inline void program_setup(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(work, sizeof work, "%s/spikeport-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(work), "%s: %s", work, strerror(errno));
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    if (run("devices") == 4)
        cr_skip_test("no OpenCL device: %s", text_of("err"));
}

static inline void program_teardown(void)
{
    char line[600];
    snprintf(line, sizeof line, "rm -rf '%s'", work);
    if (system(line) != 0)
        fprintf(stderr, "%s was left behind\n", work);
}

static inline sp_tensor_file tensors_of(const char *name)
{
    sp_error err = {0};
    sp_tensor_file f;
    char path[768];
    snprintf(path, sizeof path, "%s/%s", work, name);
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_OK, "%s", err.text);
    return f;
}

/* Every tensor of two checkpoints bit for bit, optimizer state too, and the place in training. */
static inline void expect_same_checkpoint(const char *a, const char *b)
{
    static const char *const keys[] = {"epoch", "batch",         "iteration", "loss_sum", "correct",
                                       "seen",  "best_accuracy", "recipe",    "measured"};
    sp_tensor_file x = tensors_of(a), y = tensors_of(b);
    cr_assert(x.n == y.n && x.n > 4, "%s has %zu tensors, %s has %zu", a, x.n, b, y.n);
    for (size_t i = 0; i < x.n; i++) {
        cr_assert_str_eq(x.items[i].name, y.items[i].name);
        cr_assert_eq(x.items[i].bytes, y.items[i].bytes, "%s", x.items[i].name);
        cr_assert_eq(memcmp(x.items[i].data, y.items[i].data, x.items[i].bytes), 0,
                     "%s differs between %s and %s", x.items[i].name, a, b);
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_assert_str_eq(sp_tensors_meta(&x, keys[i]), sp_tensors_meta(&y, keys[i]), "%s of %s and %s",
                         keys[i], a, b);
    sp_tensors_free(&x);
    sp_tensors_free(&y);
}

/* The n-th line (from 0) of a run's metrics whose event is `event`; NULL when there are not so many. */
static inline json_t *metrics_event(const char *folder, const char *event, int n)
{
    char path[768];
    char *line = NULL;
    size_t cap = 0;
    json_t *found = NULL;
    snprintf(path, sizeof path, "%s/%s/metrics.jsonl", work, folder);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s: %s", path, strerror(errno));
    while (!found && getline(&line, &cap, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        cr_assert_not_null(j, "%s: not JSON: %s", path, line);
        const char *is = json_string_value(json_object_get(j, "event"));
        if (is && strcmp(is, event) == 0 && n-- == 0)
            found = json_incref(j);
        json_decref(j);
    }
    free(line);
    fclose(f);
    return found;
}

static inline double number_of(const json_t *event, const char *key)
{
    const json_t *v = json_object_get(event, key);
    cr_assert(json_is_number(v), "no number \"%s\"", key);
    return json_number_value(v);
}

/* 12 mini-batches in 2 epochs; the last mini-batch of an evaluation is padded. */
#define TINY                                                                                                 \
    "name: tiny\n"                                                                                           \
    "data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, count: 96, test_limit: 40}\n"     \
    "batch: 16\n"                                                                                            \
    "eval_batch: 24\n"                                                                                       \
    "epochs: 2\n"                                                                                            \
    "seed: 7\n"                                                                                              \
    "log_every: 2\n"
#define TINY_NETWORK                                                                                         \
    "network:\n"                                                                                             \
    "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"                                                      \
    "  - {type: batch_norm}\n"                                                                               \
    "  - {type: lif}\n"                                                                                      \
    "  - {type: avg_pool, kernel: 2}\n"                                                                      \
    "  - {type: dropout, p: 0.1}\n"                                                                          \
    "  - {type: flatten}\n"                                                                                  \
    "  - {type: linear, out: 16}\n"                                                                          \
    "  - {type: lif, v_th: 0.3}\n"                                                                           \
    "  - {type: linear, out: 4}\n"

#endif
