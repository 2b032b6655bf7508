/* spikeport curves: the curves of several runs in one picture. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "plot/picture.h"
#include "train/curves.h"

enum { MAX_RUNS = SP_PLOT_SERIES, FIRST = 0, TEST_LOSS, LOSS, PLOTS, ERROR = PLOTS };

typedef struct run {
    const char *name;
    sp_plot *plots;
} run;

static void add(void *ctx, const char *what, double x, double y)
{
    static const char *const shown[] = {"test_accuracy", "test_loss", "loss", "test_absolute_error"};
    const run *r = ctx;
    for (int i = 0; i <= ERROR; i++)
        if (strcmp(what, shown[i]) == 0)
            sp_plot_add(&r->plots[i], r->name, x, y);
}

/* Mean of a window around each point: the loss of single mini-batches hides which run is lower. */
static void smooth(double *y, size_t n, double *scratch)
{
    size_t half = n / 60;
    for (size_t i = 0; i < n; i++) {
        size_t from = i > half ? i - half : 0, to = i + half < n ? i + half + 1 : n;
        scratch[i] = 0;
        for (size_t k = from; k < to; k++)
            scratch[i] += y[k] / (double)(to - from);
    }
    memcpy(y, scratch, n * sizeof *y);
}

static sp_status compare(const char *path, const char *title, const char *const *folders, char *const *names,
                         size_t n, sp_error *err)
{
    char first[96];
    snprintf(first, sizeof first, "%.60s: test accuracy", title);
    sp_plot plots[] = {
        {.title = first, .x_label = "epoch", .y_label = "accuracy in %", .y_min = NAN},
        {.title = "test loss", .x_label = "epoch", .y_label = "mean loss over T", .y_min = NAN},
        {.title = "training loss, smoothed", .x_label = "epoch", .y_label = "mean loss over T", .y_min = NAN},
        {.title = "test, mean absolute error", .x_label = "epoch", .y_label = "error", .y_min = NAN}};
    const sp_chart look = {.columns = PLOTS, .panel_width = 560, .panel_height = 400};
    sp_status st = SP_OK;
    for (size_t i = 0; i < n && st == SP_OK; i++)
        st = sp_curves_read(folders[i], add, &(run){names[i], plots}, err);
    for (size_t i = 0; i < plots[LOSS].n && st == SP_OK; i++) {
        double *scratch = sp_alloc_array(plots[LOSS].points[i] + 1, sizeof *scratch);
        st = scratch ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves");
        if (scratch)
            smooth(plots[LOSS].y[i], plots[LOSS].points[i], scratch);
        sp_free(scratch);
    }
    if (plots[ERROR].n && !plots[FIRST].n) { /* runs for numbers have no accuracy */
        plots[FIRST] = plots[ERROR];
        plots[ERROR] = (sp_plot){.n = 0};
    }
    if (st == SP_OK)
        st = sp_plot_write(path, plots, PLOTS, &look, err);
    sp_plot_free(plots, PLOTS + 1);
    return st;
}

/* "NAME=FOLDER", or a folder whose last part is its name. `name` has to be freed. */
static sp_status split(const char *text, char **name, const char **folder, sp_error *err)
{
    const char *equals = strchr(text, '=');
    size_t n = strlen(text);
    *folder = equals ? equals + 1 : text;
    while (n > 1 && text[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && text[from - 1] != '/')
        from--;
    *name = equals ? sp_format("%.*s", (int)(equals - text), text)
                   : sp_format("%.*s", (int)(n - from), text + from);
    return *name ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory");
}

int sp_cmd_curves(int argc, char **argv)
{
    const char *out = NULL, *format = "png", *title = "runs";
    char name[16];
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("out", 'o', &out, "FILE",
                "where to; the name ends in .png, .svg or .pdf (default curves.png in the current folder)"),
        SP_TEXT("format", 'f', &format, "FORMAT",
                "without --out: png (default), svg or pdf, as curves.FORMAT"),
        SP_TEXT("title", 't', &title, "TEXT", "stands above the first panel"),
    };
    const sp_args a = {.command = "curves",
                       .synopsis = "[NAME=]RUN... [options]",
                       .about = "Draws test accuracy, test loss and training loss of up to six runs (folders "
                                "that `spikeport train` made) into one picture.",
                       SP_ARGS(args, 1, MAX_RUNS),
                       .notes = "NAME is the run's name in the legend (default: its folder). The training "
                                "loss is a moving mean."};
    sp_error err = {0};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (!sp_picture_is_format(format))
        return sp_args_wrong(&a, "--format %s: png, svg or pdf", format);
    snprintf(name, sizeof name, "curves.%s", format);
    out = out ? out : name;
    char *names[MAX_RUNS] = {NULL};
    const char *folders[MAX_RUNS];
    sp_status st = sp_picture_check(out, &err);
    for (size_t i = 0; i < rest.n && st == SP_OK; i++)
        st = split(rest.items[i], &names[i], &folders[i], &err);
    for (size_t i = 1; i < rest.n && st == SP_OK; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0)
                st = SP_FAIL(&err, SP_E_USAGE, "two runs are named \"%s\"; write NAME=%s", names[i],
                             folders[i]);
    if (st == SP_OK)
        st = compare(out, title, folders, names, rest.n, &err);
    for (size_t i = 0; i < rest.n; i++)
        sp_free(names[i]);
    if (st == SP_OK)
        printf("%s\n", out);
    return st == SP_OK ? 0 : sp_cli_fail("curves", &err);
}
