/* Makes the n-th OpenCL call of a training fail, for n = 1, 2, 3, ... until a run passes untouched, and looks at how each
 * run ends: by a documented fall-back, or with an exit code and an error that names what failed; the last checkpoint must
 * be there and continue to the same bits; nothing may leak, crash or hang.
 *   fault_sweep PROGRAM LAYER RECIPE WORK [--every N] [--first N] [--only KIND]
 * Of each kind the first N calls (--first, 3) are all tried, and after them every N-th (--every, 0: some spread out). */
#define _XOPEN_SOURCE 700 // realpath
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/safetensors.h"

enum { TIME_LIMIT_S = 120, HANG_S = 40, SPREAD = 3 };

typedef struct plan {
    const char *kind, *what, *label;
    long most; // calls tried after the first ones at most; 0: the default
} plan;

static const plan plans[] = {
    {"create", "CL_OUT_OF_HOST_MEMORY", "objects: out of host memory", 0},
    {"alloc", "CL_MEM_OBJECT_ALLOCATION_FAILURE", "buffers: no device memory", 0},
    {"alloc", "CL_OUT_OF_HOST_MEMORY", "buffers: out of host memory", 0},
    {"build", "CL_BUILD_PROGRAM_FAILURE", "builds: failure", 0},
    {"build", "CL_OUT_OF_HOST_MEMORY", "builds: out of host memory", 0},
    {"build", "delay=1", "builds: slow compiler (1 s)", 1},
    {"build", "delay=40", "builds: hanging compiler (limit 3 s)", 1},
    {"arg", "CL_OUT_OF_RESOURCES", "arguments: out of resources", 0},
    {"enqueue", "CL_OUT_OF_RESOURCES", "launches: out of resources", 0},
    {"enqueue", "lost", "launches: device lost", 0},
    {"write", "CL_OUT_OF_RESOURCES", "writes: out of resources", 0},
    {"read", "CL_OUT_OF_RESOURCES", "reads: out of resources", 0},
    {"read", "lost", "reads: device lost", 0},
    {"finish", "CL_OUT_OF_RESOURCES", "waits: out of resources", 0},
    {"info", "CL_OUT_OF_HOST_MEMORY", "questions: out of host memory", 0},
    {"any", "lost", "any call: device lost", 0},
};
enum { N_PLANS = sizeof plans / sizeof *plans };

typedef struct row {
    long injected, survived, errors, silent, unclear, crashes, hangs, leaks, lost;
} row;

static const char *program, *layer, *recipe;
static char work[512];
static sp_tensor_file final; // of the run that nothing happened to

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("fault_sweep: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    exit(1);
}

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *fmt, ...)
{
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (system(line) != 0)
        die("failed: %s", line);
}

static char *text_of(const char *name)
{
    static char text[1 << 16];
    char path[640];
    snprintf(path, sizeof path, "%s/%s", work, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

/* A whole number from the layer's report; -1 when there is none (the process did not get to its end). */
static long reported(const char *key)
{
    long value = -1;
    const char *at = strstr(text_of("report"), key);
    return at && sscanf(at + strlen(key), "%ld", &value) == 1 ? value : -1;
}

/* In the child: streams to files, the fault into the environment. */
static void start(const char *fault, const char *const *argv)
{
    char path[640];
    if (chdir(work) != 0 || !freopen("out", "w", stdout) || !freopen("err", "w", stderr) || !freopen("/dev/null", "r", stdin))
        _exit(98);
    snprintf(path, sizeof path, "%s/report", work);
    setenv("SPIKEPORT_LAYER_REPORT", path, 1);
    setenv("SPIKEPORT_LAYER_FAULT", fault, 1);
    setenv("SPIKEPORT_BUILD_TIMEOUT", strstr(fault, "delay=40") ? "3" : "100", 1);
    setenv("OPENCL_LAYERS", layer, 1);
    snprintf(path, sizeof path, "%s/cache", work);
    setenv("SPIKEPORT_CACHE_DIR", path, 1);
    execv(program, (char *const *)(void *)argv);
    _exit(98);
}

/* Runs the program; its exit code, 1000 + N for signal N, 2000 when the time was over. */
static int run(const char *fault, const char *const *argv)
{
    int status;
    shell("rm -rf '%s/report' '%s/cache' && cp -r '%s/warm' '%s/cache' 2>/dev/null || mkdir -p '%s/cache'", work, work, work, work, work);
    pid_t child = fork();
    if (child < 0)
        die("fork: %s", strerror(errno));
    if (child == 0)
        start(fault, argv);
    for (time_t begin = time(NULL);;) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        if (time(NULL) - begin > (strstr(fault, "delay=40") ? HANG_S - 5 : TIME_LIMIT_S)) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return 2000;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static int train(const char *fault, const char *folder)
{
    char path[640];
    snprintf(path, sizeof path, "%s/%s", work, folder);
    shell("rm -rf '%s'", path);
    return run(fault, (const char *const[]){program, "train", recipe, "--out", path, NULL});
}

/* Tensors and place in training; what was measured in seconds may differ. */
static bool same(const sp_tensor_file *a, const sp_tensor_file *b)
{
    static const char *const keys[] = {"epoch", "batch", "iteration", "loss_sum", "correct", "seen", "best_accuracy"};
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].name, b->items[i].name) != 0 || a->items[i].bytes != b->items[i].bytes ||
            memcmp(a->items[i].data, b->items[i].data, a->items[i].bytes) != 0)
            return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *x = sp_tensors_meta(a, keys[i]), *y = sp_tensors_meta(b, keys[i]);
        if (!x || !y || strcmp(x, y) != 0)
            return false;
    }
    return true;
}

static bool open_checkpoint(const char *folder, sp_tensor_file *out)
{
    char path[640];
    sp_error err = {0};
    snprintf(path, sizeof path, "%s/%s/checkpoint.safetensors", work, folder);
    return sp_tensors_read(path, out, &err) == SP_OK;
}

/* Checkpoints by iteration that were continued and came to the same end. */
static sp_tensor_file known[64];
static size_t n_known;

static bool continues(const sp_tensor_file *c)
{
    for (size_t i = 0; i < n_known; i++)
        if (same(&known[i], c))
            return true;
    char path[640];
    snprintf(path, sizeof path, "%s/run", work);
    sp_tensor_file end;
    bool ok = run("", (const char *const[]){program, "train", "--resume", path, NULL}) == 0 && open_checkpoint("run", &end);
    if (!ok)
        return false;
    ok = same(&end, &final);
    sp_tensors_free(&end);
    return ok;
}

/* What the run itself said it had finished: saving follows each mini-batch's line. */
static long iterations_said(void)
{
    long n = 0;
    for (const char *at = text_of("run/metrics.jsonl"); (at = strstr(at, "\"event\":\"batch\"")) != NULL; at++)
        n++;
    return n;
}

static bool checkpoint_is_lost(void)
{
    sp_tensor_file c;
    long said = iterations_said();
    if (!open_checkpoint("run", &c))
        return said > 1 || text_of("run/checkpoint.safetensors")[0] != '\0';
    bool lost = strtol(sp_tensors_meta(&c, "iteration"), NULL, 10) < said - 1 || !continues(&c);
    bool keep = false;
    if (!lost && n_known < sizeof known / sizeof *known) {
        keep = true;
        for (size_t i = 0; i < n_known; i++)
            keep = keep && !same(&known[i], &c);
    }
    if (keep)
        known[n_known++] = c;
    else
        sp_tensors_free(&c);
    return lost;
}

/* One line that names an op or a phase and the code: not a bare "reading 4 bytes failed". */
static bool error_is_clear(int code)
{
    const char *text = text_of("err"), *e = strstr(text, "error: ");
    static const char *const bare[] = {"reading ", "writing ", "work on "};
    if (!e || (code != 1 && code != 4 && code != 5 && code != 7))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (strncmp(e + 7, bare[i], strlen(bare[i])) == 0)
            return false;
    return strstr(e, "CL_") || strstr(e, "has not answered") || strstr(e, "no usable device") || strstr(e, "compiler");
}

static void blame(const char *fault, const char *what, int code)
{
    fprintf(stderr, "%s: %s (exit code %d)\n%s\n", fault, what, code, text_of("err"));
}

/* False: the fault was not reached, the run passed untouched. */
static bool try_one(const plan *p, long n, row *r)
{
    char fault[96];
    snprintf(fault, sizeof fault, "%s:%ld:%s", p->kind, n, p->what);
    int code = train(fault, "run");
    bool hangs = strstr(p->what, "delay=40") != NULL;
    long injected = reported("injected "), leaks = reported("leaks ");
    if (injected == 0 && code == 0)
        return false;
    r->injected++;
    if (code == 2000) {
        r->hangs++;
        blame(fault, "hangs", code);
        return true;
    }
    if (code >= 1000 || code == 98 || code == 99 || leaks < 0) {
        r->crashes++;
        blame(fault, "crashed", code);
        return true;
    }
    if (leaks > (hangs ? 1 : 0)) { // the program that a hanging compiler still holds
        r->leaks++;
        blame(fault, "leaks", code);
    }
    if (code == 0) {
        sp_tensor_file end;
        bool warned = strstr(text_of("err"), "warning: ") != NULL, whole = open_checkpoint("run", &end);
        bool equal = whole && same(&end, &final);
        if (whole)
            sp_tensors_free(&end);
        r->survived += whole && (warned || equal);
        if (!whole || (!warned && !equal)) {
            r->silent++;
            blame(fault, "another result, and not a word", code);
        }
        return true;
    }
    r->errors++;
    if (!error_is_clear(code)) {
        r->unclear++;
        blame(fault, "does not say what failed", code);
    }
    if (checkpoint_is_lost()) {
        r->lost++;
        blame(fault, "the last checkpoint is lost or comes to another end", code);
    }
    return true;
}

static void sweep(const plan *p, long calls, long first, long every, row *r)
{
    long step = every ? every : (calls - first) / (SPREAD + 1) + 1, most = p->most;
    for (long n = 1, tried = 0; n <= calls + 1 && (!most || tried < most); tried++) {
        long at = most ? (calls + 1) / 2 : n; // single ones: in the middle
        if (!try_one(p, at, r))
            break;
        n = n < first ? n + 1 : n + step < calls || n >= calls ? n + step : calls;
    }
}

static void print(const char *label, const row *r)
{
    printf("%-38s %8ld %8ld %8ld %8ld %8ld %8ld %8ld %8ld %8ld\n", label, r->injected, r->survived, r->errors, r->silent, r->unclear,
           r->crashes, r->hangs, r->leaks, r->lost);
    fflush(stdout);
}

static void add(row *a, const row *b)
{
    long *x = (long *)a;
    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        x[i] += ((const long *)b)[i];
}

/* The run that nothing happens to, twice: the first fills the caches. */
static void untouched(long calls[N_PLANS])
{
    char path[640], key[32];
    for (int i = 0; i < 2; i++) {
        int code = train("", "base");
        if (code == 4)
            exit(77);
        if (code != 0)
            die("without a fault the training ends with %d: %s", code, text_of("err"));
        snprintf(path, sizeof path, "%s/warm", work);
        shell("rm -rf '%s' && cp -r '%s/cache' '%s'", path, work, path);
    }
    if (reported("leaks ") != 0)
        die("without a fault objects leak:\n%s", text_of("report"));
    if (!open_checkpoint("base", &final))
        die("the training left no checkpoint");
    for (int i = 0; i < N_PLANS; i++) {
        snprintf(key, sizeof key, "calls %s ", plans[i].kind);
        calls[i] = reported(key);
    }
}

int main(int argc, char **argv)
{
    long calls[N_PLANS], first = 3, every = 0;
    const char *only = NULL;
    row all = {0};
    if (argc < 5)
        die("usage: fault_sweep PROGRAM LAYER RECIPE WORK [--every N] [--first N] [--only KIND]");
    program = realpath(argv[1], NULL);
    layer = realpath(argv[2], NULL);
    recipe = realpath(argv[3], NULL);
    mkdir(argv[4], 0777);
    if (!program || !layer || !recipe || !realpath(argv[4], work))
        die("%s, %s, %s or %s: %s", argv[1], argv[2], argv[3], argv[4], strerror(errno));
    for (int i = 5; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--every") == 0)
            every = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--first") == 0)
            first = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else
            die("unknown option %s", argv[i]);
    }
    unsetenv("SPIKEPORT_LAYER_PROFILE");
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    untouched(calls);
    printf("%-38s %8s %8s %8s %8s %8s %8s %8s %8s %8s\n", "fault (calls of a whole run)", "injected", "survived", "errors", "silent",
           "unclear", "crashes", "hangs", "leaks", "ckp lost");
    fflush(stdout); // the children would print it again
    for (int i = 0; i < N_PLANS; i++) {
        char label[96];
        row r = {0};
        if (only && strcmp(only, plans[i].kind) != 0)
            continue;
        sweep(&plans[i], calls[i], first, every, &r);
        snprintf(label, sizeof label, "%s (%ld)", plans[i].label, calls[i]);
        print(label, &r);
        add(&all, &r);
    }
    print("all", &all);
    for (size_t i = 0; i < n_known; i++)
        sp_tensors_free(&known[i]);
    sp_tensors_free(&final);
    bool good = all.injected > 0 && all.survived + all.errors == all.injected && !all.silent && !all.unclear && !all.leaks && !all.lost;
    puts(good ? "every fault ended in words or in a fall-back" : "FAILED");
    return good ? 0 : 1;
}
