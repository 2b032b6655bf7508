/* Makes the n-th OpenCL call of a training fail, for n = 1, 2, 3, ... until a run passes untouched, and looks
 * at how each run ends: by a documented fall-back, or with an exit code and an error that names what failed;
 * the last checkpoint must be there and continue to the same bits; nothing may leak, crash or hang.
 *   fault_sweep PROGRAM LAYER RECIPE WORK [--every N] [--first N] [--only KIND] [--except KIND] [--jobs N]
 * [--untrusted]
 *               [--from-source] [-- arguments of train]
 * Of each kind the first N calls (--first, 3) are all tried, and after them every N-th (--every, 0: some
 * spread out). Programs come from spikeport's program cache, filled by a run before; --from-source has the
 * driver build them.
 * --untrusted: kernels are checked against their C references in each run. */
#define _XOPEN_SOURCE 700 // realpath
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/safetensors.h"
#include "fault_run.h"

enum { SPREAD = 3, MAX_JOBS = 16 };

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

static sp_tensor_file final; // of the run that nothing happened to
static int jobs = 1,
           job; // as many processes share the calls; this one takes every `jobs`-th, beginning at `job`

/* Tensors and place in training; what was measured in seconds may differ. */
static bool same(const sp_tensor_file *a, const sp_tensor_file *b)
{
    static const char *const keys[] = {"epoch",   "batch", "iteration",     "loss_sum",
                                       "correct", "seen",  "best_accuracy", "measured"};
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
    snprintf(path, sizeof path, "%s/%s/checkpoint.safetensors", sweep.work, folder);
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
    sp_tensor_file end;
    bool ok = resume("run") == 0 && open_checkpoint("run", &end);
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
    for (const char *at = text_of("run/metrics.jsonl"); (at = strstr(at, "\"event\":\"batch\"")) != NULL;
         at++)
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
    return strstr(e, "CL_") || strstr(e, "has not answered") || strstr(e, "no usable device") ||
           strstr(e, "compiler");
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
    if (code == TIMED_OUT) {
        r->hangs++;
        blame(fault, "hangs", code);
        return true;
    }
    if (code >= BY_SIGNAL || code == 98 || code == 99 || leaks < 0) {
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

static void try_all(const plan *p, long calls, long first, long every, row *r)
{
    long step = every ? every : (calls - first) / (SPREAD + 1) + 1, most = p->most;
    for (long n = 1, tried = 0; n <= calls + 1 && (!most || tried < most); tried++) {
        long at = most ? (calls + 1) / 2 : n; // single ones: in the middle
        if (tried % jobs == job && !try_one(p, at, r))
            break;
        n = n < first ? n + 1 : n + step < calls || n >= calls ? n + step : calls;
    }
}

static void print(const char *label, const row *r)
{
    printf("%-38s %8ld %8ld %8ld %8ld %8ld %8ld %8ld %8ld %8ld\n", label, r->injected, r->survived, r->errors,
           r->silent, r->unclear, r->crashes, r->hangs, r->leaks, r->lost);
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
    char key[32];
    for (int i = 0; i < 2; i++) {
        int code = train("", "base");
        if (code == 4)
            exit(77);
        if (code != 0)
            die("without a fault the training ends with %d: %s", code, text_of("err"));
        keep_caches();
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

typedef struct choice {
    long first, every;
    const char *only, *except;
} choice;

static bool chosen(const choice *c, const plan *p)
{
    return (!c->only || strcmp(c->only, p->kind) == 0) && (!c->except || strcmp(c->except, p->kind) != 0);
}

/* One of several processes, in a folder and with caches of its own; a row for each plan goes to the pipe. */
static void work_apart(int to, const long *calls, const choice *c)
{
    char all[sizeof sweep.work];
    const char *pocl = getenv("POCL_CACHE_DIR");
    strcpy(all, sweep.work);
    if (snprintf(sweep.work, sizeof sweep.work, "%s/job%d", all, job) >= (int)sizeof sweep.work)
        die("%s: the name is too long", all);
    shell("rm -rf '%s' && mkdir -p '%s' && cp -r '%s/warm' '%s/warm'", sweep.work, sweep.work, all,
          sweep.work);
    if (pocl && *pocl) {
        char own[sizeof sweep.work + 8];
        snprintf(own, sizeof own, "%s/pocl", sweep.work);
        shell("cp -r '%s' '%s'", pocl, own);
        setenv("POCL_CACHE_DIR", own, 1);
    }
    for (int i = 0; i < N_PLANS; i++) {
        row r = {0};
        if (!chosen(c, &plans[i]))
            continue;
        try_all(&plans[i], calls[i], c->first, c->every, &r);
        if (write(to, &r, sizeof r) != (ssize_t)sizeof r)
            die("the pipe: %s", strerror(errno));
    }
    _exit(0);
}

static void start_jobs(int *from, const long *calls, const choice *c)
{
    for (job = 0; job < jobs; job++) {
        int ends[2];
        if (pipe(ends) != 0)
            die("pipe: %s", strerror(errno));
        fflush(stdout);
        pid_t child = fork();
        if (child < 0)
            die("fork: %s", strerror(errno));
        if (child == 0)
            work_apart(ends[1], calls, c);
        close(ends[1]);
        from[job] = ends[0];
    }
}

/* The table, line by line as the kinds are done. */
static row run_sweep(const long *calls, const choice *c)
{
    int from[MAX_JOBS];
    row all = {0};
    if (jobs > 1)
        start_jobs(from, calls, c);
    for (int i = 0; i < N_PLANS; i++) {
        char label[96];
        row sum = {0}, one;
        if (!chosen(c, &plans[i]))
            continue;
        if (jobs == 1)
            try_all(&plans[i], calls[i], c->first, c->every, &sum);
        for (int k = 0; jobs > 1 && k < jobs; k++) {
            if (read(from[k], &one, sizeof one) != (ssize_t)sizeof one)
                die("job %d ended before its time", k);
            add(&sum, &one);
        }
        snprintf(label, sizeof label, "%s (%ld)", plans[i].label, calls[i]);
        print(label, &sum);
        add(&all, &sum);
    }
    for (int k = 0; jobs > 1 && k < jobs; k++)
        close(from[k]), wait(NULL);
    return all;
}

static choice read_options(int argc, char **argv)
{
    choice c = {.first = 3};
    for (int i = 5; i < argc; i++) {
        const char *o = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(o, "--untrusted") == 0) {
            sweep.untrusted = true;
        } else if (strcmp(o, "--from-source") == 0) {
            sweep.from_source = true;
        } else if (strcmp(o, "--") == 0) {
            for (int k = 0; k < MAX_MORE && i + 1 < argc; k++)
                sweep.more[k] = argv[++i];
        } else if (i++, strcmp(o, "--every") == 0) {
            c.every = atol(value);
        } else if (strcmp(o, "--first") == 0) {
            c.first = atol(value);
        } else if (strcmp(o, "--only") == 0) {
            c.only = value;
        } else if (strcmp(o, "--except") == 0) {
            c.except = value;
        } else if (strcmp(o, "--jobs") == 0) {
            jobs = atoi(value) < 1 ? 1 : atoi(value) < MAX_JOBS ? atoi(value) : MAX_JOBS;
        } else {
            die("unknown option %s", o);
        }
    }
    return c;
}

int main(int argc, char **argv)
{
    long calls[N_PLANS];
    if (argc < 5)
        die("usage: fault_sweep PROGRAM LAYER RECIPE WORK [options] [-- arguments of train]");
    sweep.program = realpath(argv[1], NULL);
    sweep.layer = realpath(argv[2], NULL);
    sweep.recipe = realpath(argv[3], NULL);
    mkdir(argv[4], 0777);
    if (!sweep.program || !sweep.layer || !sweep.recipe || !realpath(argv[4], sweep.work))
        die("%s, %s, %s or %s: %s", argv[1], argv[2], argv[3], argv[4], strerror(errno));
    choice c = read_options(argc, argv);
    unsetenv("SPIKEPORT_LAYER_PROFILE");
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    shell("rm -rf '%s/warm'", sweep.work);
    untouched(calls);
    printf("%-38s %8s %8s %8s %8s %8s %8s %8s %8s %8s\n", "fault (calls of a whole run)", "injected",
           "survived", "errors", "silent", "unclear", "crashes", "hangs", "leaks", "ckp lost");
    fflush(stdout); // the children would print it again
    row all = run_sweep(calls, &c);
    print("all", &all);
    for (size_t i = 0; i < n_known; i++)
        sp_tensors_free(&known[i]);
    sp_tensors_free(&final);
    bool good = all.injected > 0 && all.survived + all.errors == all.injected && !all.silent &&
                !all.unclear && !all.leaks && !all.lost;
    puts(good ? "every fault ended in words or in a fall-back" : "FAILED");
    return good ? 0 : 1;
}
