/* spikeport-check: conformance of every variant and fragment of the registry on one device. Prints one line
 * each; exits 0 when all conform, 1 when one does not, 2 on wrong use, 77 when there is no device or
 * nothing that can run on it. */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/folder.h"
#include "check/check.h"
#include "cl/program.h"

enum {
    EXIT_USAGE = 2,
    EXIT_NO_DEVICE = 77,
    EXIT_UNTESTED = 77,
    MAX_CALLS = 512,
    MAX_EXCEPT = 8,
    MAX_SOURCE = 1 << 20
};

typedef struct options {
    const char *device, *op, *plugin, *path, *build, *except[MAX_EXCEPT];
    int n_except;
    char tune[64];
    int64_t tune_value;
    bool list, json, no_library;
    sp_check_options check;
} options;

typedef struct tally {
    int passed, failed, untested;
} tally;

static const char help[] =
    "usage: spikeport-check [options]\n"
    "Compares every kernel, library and fragment with the C reference of its op.\n"
    "  --device SELECTOR  as SPIKEPORT_DEVICE: index, cpu, gpu or a part of the name (default: auto)\n"
    "  --op GLOB          only ops whose id or family matches (\"conv.*\"); fragments are \"fragment\"\n"
    "  --plugin GLOB      only plugins whose name, or variants whose id, matches\n"
    "  --except GLOB      leave these plugins out (may be repeated)\n"
    "  --path DIRS        also load the plugins in these folders (colon separated)\n"
    "  --tune NAME=VALUE  the default of a tunable of the variants that have it\n"
    "  --quick, --full    a handful of shapes, or all of them (default)\n"
    "  --no-library       leave out plugins that are shared objects\n"
    "  --seed N           of the inputs (default 1)\n"
    "  --build DIR        instead, only compile the .cl files of a folder (of `spikeport compile`) on the "
    "device\n"
    "  --list             what would be checked, and with how many calls\n"
    "  --json             one JSON object a line instead of text\n"
    "exit: 0 all conform, 1 a difference, 2 wrong use, 77 no device, or nothing that can run on it\n";

static bool glob_matches(const char *glob, const char *a, const char *b)
{
    return !glob || fnmatch(glob, a, 0) == 0 || fnmatch(glob, b, 0) == 0;
}

static bool is_left_out(const options *o, const char *plugin)
{
    for (int i = 0; i < o->n_except; i++)
        if (fnmatch(o->except[i], plugin, 0) == 0)
            return true;
    return false;
}

static bool variant_matches(const options *o, const sp_variant *v)
{
    char family[64];
    sp_op_family(v->op, family, sizeof family);
    return glob_matches(o->op, v->op->id, family) && glob_matches(o->plugin, v->plugin, v->id) &&
           !(o->no_library && v->kind == SP_VARIANT_LIBRARY) && !is_left_out(o, v->plugin);
}

static bool fragment_matches(const options *o, const sp_fragment *f)
{
    return glob_matches(o->op, "fragment", "fragment") && glob_matches(o->plugin, f->plugin, f->name) &&
           !is_left_out(o, f->plugin);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One line for one thing checked. */
static void print_result(const options *o, const char *subject, const char *id, const char *result,
                         const sp_check_report *r, double took, const char *text)
{
    if (o->json) {
        json_t *row = json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:s, s:f, s:I}", "op", subject, "variant", id,
                                "result", result, "calls", r->shapes_run, "not_applicable",
                                r->shapes_not_applicable, "worst_error", r->worst_error, "worst_call",
                                r->worst_shape, "seconds", took, "seed", (json_int_t)o->check.seed);
        if (text)
            json_object_set_new(row, "text", json_string(text));
        json_dumpf(row, stdout, 0);
        putchar('\n');
        json_decref(row);
    } else {
        printf("%-30s %-48s %-8s %3d calls  worst %8.2g  %6.2f s\n", subject, id, result, r->shapes_run,
               r->worst_error, took);
        if (text)
            printf("    %s\n", text);
    }
    fflush(stdout);
}

static void judge(const options *o, const char *subject, const char *id, sp_status st,
                  const sp_check_report *r, double took, const sp_error *err, tally *t)
{
    if (st != SP_OK) {
        t->failed++;
        print_result(o, subject, id, "FAILED", r, took, err->text);
    } else if (r->shapes_run == 0) {
        t->untested++;
        print_result(o, subject, id, "untested", r, took,
                     err->text[0] ? err->text : "no call of the check fits");
    } else {
        t->passed++;
        print_result(o, subject, id, "ok", r, took, NULL);
    }
}

static void check_all(const options *o, sp_registry *reg, sp_device *dev, tally *t)
{
    for (size_t i = 0; i < reg->n_fragments; i++) {
        if (!fragment_matches(o, reg->fragments[i]))
            continue;
        sp_check_report r = {0};
        sp_error err = {0};
        double start = seconds();
        sp_status st = sp_check_fragment(reg, dev, reg->fragments[i], &r, &err);
        judge(o, reg->fragments[i]->kind == SP_FRAGMENT_NEURON ? "fragment neuron" : "fragment surrogate",
              reg->fragments[i]->name, st, &r, seconds() - start, &err, t);
    }
    for (size_t i = 0; i < reg->n_variants; i++) {
        sp_variant *v = reg->variants[i];
        if (!variant_matches(o, v) || v->kind == SP_VARIANT_LOWER)
            continue;
        sp_check_report r = {0};
        sp_error err = {0};
        double start = seconds();
        sp_status st = sp_check_variant(reg, dev, v, &o->check, &r, &err);
        if (st == SP_OK && r.shapes_run == 0)
            sp_variant_needs_met(v, dev, err.text, sizeof err.text);
        judge(o, v->op->id, v->id, st, &r, seconds() - start, &err, t);
    }
}

static void list_all(const options *o, const sp_registry *reg)
{
    static sp_op_call calls[MAX_CALLS];
    for (size_t i = 0; i < reg->n_variants; i++) {
        const sp_variant *v = reg->variants[i];
        if (!variant_matches(o, v))
            continue;
        size_t n = v->kind == SP_VARIANT_LOWER ? 0 : sp_check_calls(v->op, o->check.quick, calls, MAX_CALLS);
        printf("%-30s %-48s score %3" PRId64 "  %3zu calls%s%s\n", v->op->id, v->id, v->score, n,
               v->when ? "  when " : "", v->when ? v->when : "");
    }
    for (size_t i = 0; i < reg->n_fragments; i++)
        if (fragment_matches(o, reg->fragments[i]))
            printf("%-30s %s\n",
                   reg->fragments[i]->kind == SP_FRAGMENT_NEURON ? "fragment neuron" : "fragment surrogate",
                   reg->fragments[i]->name);
}

static bool read_tune(const char *text, options *o)
{
    const char *equals = strchr(text, '=');
    char *end;
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof o->tune)
        return false;
    snprintf(o->tune, sizeof o->tune, "%.*s", (int)(equals - text), text);
    errno = 0;
    o->tune_value = strtoll(equals + 1, &end, 10);
    return errno == 0 && end != equals + 1 && *end == '\0';
}

/* Whether any variant that is to be checked has the value. */
static bool prefer_tune(const options *o, sp_registry *reg)
{
    bool known = false;
    for (size_t i = 0; i < reg->n_variants; i++)
        if (variant_matches(o, reg->variants[i]))
            known |= sp_variant_prefer(reg->variants[i], o->tune, o->tune_value);
    return known;
}

static bool read_seed(const char *text, uint64_t *seed)
{
    char *end;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

/* EXIT_USAGE, or -1 to go on; 0 after --help. */
static int read_options(int argc, char **argv, options *o)
{
    enum {
        DEVICE = 256,
        OP,
        PLUGIN,
        EXCEPT,
        PATHS,
        QUICK,
        FULL,
        NO_LIBRARY,
        SEED,
        TUNE,
        BUILD,
        LIST,
        JSON,
        HELP
    };
    static const struct option longs[] = {{"device", 1, 0, DEVICE},
                                          {"op", 1, 0, OP},
                                          {"plugin", 1, 0, PLUGIN},
                                          {"path", 1, 0, PATHS},
                                          {"quick", 0, 0, QUICK},
                                          {"full", 0, 0, FULL},
                                          {"no-library", 0, 0, NO_LIBRARY},
                                          {"seed", 1, 0, SEED},
                                          {"tune", 1, 0, TUNE},
                                          {"build", 1, 0, BUILD},
                                          {"list", 0, 0, LIST},
                                          {"json", 0, 0, JSON},
                                          {"except", 1, 0, EXCEPT},
                                          {"help", 0, 0, HELP},
                                          {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        switch (c) {
        case DEVICE: o->device = optarg; break;
        case OP: o->op = optarg; break;
        case PLUGIN: o->plugin = optarg; break;
        case EXCEPT:
            if (o->n_except < MAX_EXCEPT) {
                o->except[o->n_except++] = optarg;
                break;
            }
            fprintf(stderr, "spikeport-check: at most %d times --except\n", MAX_EXCEPT);
            return EXIT_USAGE;
        case PATHS: o->path = optarg; break;
        case BUILD: o->build = optarg; break;
        case QUICK: o->check.quick = true; break;
        case FULL: o->check.quick = false; break;
        case NO_LIBRARY: o->no_library = true; break;
        case LIST: o->list = true; break;
        case JSON: o->json = true; break;
        case SEED:
            if (read_seed(optarg, &o->check.seed))
                break;
            fprintf(stderr, "spikeport-check: --seed takes a whole number from 0, not \"%s\"\n", optarg);
            return EXIT_USAGE;
        case TUNE:
            if (read_tune(optarg, o))
                break;
            fprintf(stderr,
                    "spikeport-check: --tune takes NAME=VALUE, the value a whole number, not \"%s\"\n",
                    optarg);
            return EXIT_USAGE;
        case HELP: fputs(help, stdout); return 0;
        default: fputs(help, stderr); return EXIT_USAGE;
        }
    if (optind == argc)
        return -1;
    fprintf(stderr, "spikeport-check: what is \"%s\"? There are only options.\n%s", argv[optind], help);
    return EXIT_USAGE;
}

static sp_status build_file(sp_device *dev, const char *path, sp_error *err)
{
    char *text = NULL;
    size_t n;
    cl_program program; /* the device's */
    sp_status st = sp_file_read(path, MAX_SOURCE, &text, &n, err);
    if (st == SP_OK) {
        const sp_source source = {path, text};
        st = sp_program_get(dev, path, &source, 1, "", &program, err);
    }
    sp_free(text);
    return st;
}

/* Sources for a vendor's tools, through the compiler of the vendor's emulator. */
static int build_all(const options *o, sp_device *dev)
{
    sp_names files = {0};
    sp_error err = {0};
    size_t failed = 0;
    sp_status st = sp_folder_list(o->build, sp_name_ends_in, ".cl", &files, &err);
    if (st != SP_OK || files.n == 0)
        fprintf(stderr, "spikeport-check: %s\n", st != SP_OK ? err.text : "no .cl file in this folder");
    for (size_t i = 0; st == SP_OK && i < files.n; i++) {
        char *path = sp_format("%s/%s", o->build, files.items[i]);
        bool built = path && build_file(dev, path, &err) == SP_OK;
        failed += !built;
        if (!built)
            printf("%s: %s\n", files.items[i], path ? err.text : "out of memory");
        sp_free(path);
    }
    fprintf(stderr, "%zu of %zu files are built\n", files.n - failed, files.n);
    const bool good = st == SP_OK && files.n && !failed;
    sp_names_free(&files);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const options *o, sp_registry *reg)
{
    sp_device *dev = NULL;
    sp_error err = {0};
    if (sp_device_open(o->device, NULL, &dev, &err) != SP_OK) {
        fprintf(stderr, "spikeport-check: skipped, no device: %s\n", err.text);
        return EXIT_NO_DEVICE;
    }
    fprintf(stderr, "device: %s, driver %s (%s); seed %" PRIu64 "\n", dev->info.name, dev->info.driver,
            dev->why, o->check.seed);
    if (o->build) {
        const int code = build_all(o, dev);
        sp_device_close(&dev);
        return code;
    }
    sp_registry_suit(reg, dev);
    if (o->tune[0] && !prefer_tune(o, reg)) {
        fprintf(stderr,
                "spikeport-check: no variant that is to be checked has a tunable %s with the value %" PRId64
                "\n",
                o->tune, o->tune_value);
        sp_device_close(&dev);
        return EXIT_USAGE;
    }
    tally t = {0};
    double start = seconds();
    check_all(o, reg, dev, &t);
    sp_device_close(&dev);
    fprintf(stderr, "%d conform, %d differ, %d untested, %zu files refused; %.1f s\n", t.passed, t.failed,
            t.untested, reg->n_refusals, seconds() - start);
    if (t.passed + t.failed + t.untested == 0) {
        fprintf(stderr, "spikeport-check: nothing matches; --list shows what there is\n");
        return EXIT_USAGE;
    }
    if (t.passed + t.failed == 0) {
        fprintf(stderr, "spikeport-check: skipped, nothing that matches can run on this device\n");
        return EXIT_UNTESTED;
    }
    return t.failed || reg->n_refusals ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    options o = {.check = {.seed = 1}};
    int code = read_options(argc, argv, &o);
    if (code >= 0)
        return code;
    sp_registry *reg = NULL;
    sp_error err = {0};
    if (sp_registry_create(o.path, &reg, &err) != SP_OK) {
        fprintf(stderr, "spikeport-check: %s\n", err.text);
        return EXIT_FAILURE;
    }
    code = EXIT_SUCCESS;
    if (o.list)
        list_all(&o, reg);
    else
        code = run(&o, reg);
    sp_registry_destroy(&reg);
    return code;
}
