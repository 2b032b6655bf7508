/* spikeport curves: the curves of several runs in one picture. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "plot/picture.h"
#include "train/curves.h"

enum { MAX_RUNS = 6 };

/* Mean of a window around each point: the loss of single mini-batches hides which run is lower. */
static void smooth(spi_points *p, double *out)
{
    size_t half = p->n / 60;
    for (size_t i = 0; i < p->n; i++) {
        size_t from = i > half ? i - half : 0, to = i + half < p->n ? i + half + 1 : p->n;
        double sum = 0;
        for (size_t k = from; k < to; k++)
            sum += p->y[k];
        out[i] = sum / (double)(to - from);
    }
}

static sp_status draw(const char *path, const char *title, spi_curves *c, const char *const *names, size_t n,
                      sp_error *err)
{
    sp_series accuracy[MAX_RUNS], test_loss[MAX_RUNS], loss[MAX_RUNS];
    double *smoothed[MAX_RUNS] = {NULL};
    char *first = sp_format("%.60s: test accuracy", title);
    sp_status st = first ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves");
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        smoothed[i] = sp_alloc_array(c[i].loss.n + 1, sizeof(double));
        if (!smoothed[i]) {
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves");
            break;
        }
        smooth(&c[i].loss, smoothed[i]);
        accuracy[i] = (sp_series){names[i], c[i].test_accuracy.x, c[i].test_accuracy.y, c[i].test_accuracy.n};
        test_loss[i] = (sp_series){names[i], c[i].test_loss.x, c[i].test_loss.y, c[i].test_loss.n};
        loss[i] = (sp_series){names[i], c[i].loss.x, smoothed[i], c[i].loss.n};
    }
    if (st == SP_OK) {
        sp_panel panels[] = {{first, "epoch", "accuracy in %", accuracy, n, NAN, NAN},
                             {"test loss", "epoch", "mean loss over T", test_loss, n, NAN, NAN},
                             {"training loss, smoothed", "epoch", "mean loss over T", loss, n, NAN, NAN}};
        st = sp_chart_write(path, panels, 3, 560, 400, err);
    }
    for (size_t i = 0; i < n; i++)
        sp_free(smoothed[i]);
    sp_free(first);
    return st;
}

static sp_status compare(const char *path, const char *title, const char *const *folders,
                         const char *const *names, size_t n, sp_error *err)
{
    spi_curves c[MAX_RUNS] = {0};
    sp_status st = SP_OK;
    for (size_t i = 0; i < n && st == SP_OK; i++)
        st = spi_curves_read(&c[i], folders[i], err);
    if (st == SP_OK)
        st = draw(path, title, c, names, n, err);
    for (size_t i = 0; i < n; i++)
        spi_curves_free(&c[i]);
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
    const char *out = "curves.png", *title = "runs";
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        {"out", 'o', SP_ARG_TEXT, &out, "FILE.png", "where to (default curves.png)", 0, 0},
        {"title", 't', SP_ARG_TEXT, &title, "TEXT", "stands above the first panel", 0, 0},
    };
    const sp_args a = {.command = "curves",
                       .synopsis = "[NAME=]RUN... [options]",
                       .about = "Draws test accuracy, test loss and training loss of up to six runs (folders "
                                "that `spikeport train` "
                                "made) into one PNG.",
                       .args = args,
                       .n_args = sizeof args / sizeof *args,
                       .min_rest = 1,
                       .max_rest = MAX_RUNS,
                       .notes = "NAME is the run's name in the legend (default: its folder). The training "
                                "loss is a moving mean."};
    sp_error err = {0};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    char *names[MAX_RUNS] = {NULL};
    const char *folders[MAX_RUNS];
    sp_status st = SP_OK;
    for (size_t i = 0; i < rest.n && st == SP_OK; i++)
        st = split(rest.items[i], &names[i], &folders[i], &err);
    if (st == SP_OK)
        st = compare(out, title, folders, (const char *const *)names, rest.n, &err);
    for (size_t i = 0; i < rest.n; i++)
        sp_free(names[i]);
    if (st == SP_OK)
        printf("%s\n", out);
    return st == SP_OK ? 0 : sp_cli_fail("curves", &err);
}
