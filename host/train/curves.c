/* curves.png: what metrics.jsonl says, as a picture. */
#include "train/curves.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "plot/picture.h"
#include "train/train.h"

static double number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* A point where the event has this number. */
static void tell(sp_curve_point point, void *ctx, const char *what, double x, double y)
{
    if (isfinite(y))
        point(ctx, what, x, y);
}

/* batches: mini-batches of an epoch. */
static void read_event(json_t *j, double batches, sp_curve_point point, void *ctx)
{
    const char *event = json_string_value(json_object_get(j, "event")), *name;
    json_t *rate;
    if (event && strcmp(event, "epoch") == 0) {
        double x = number(j, "epoch");
        tell(point, ctx, "test_loss", x, number(j, "test_loss"));
        tell(point, ctx, "test_accuracy", x, 100.0 * number(j, "test_accuracy"));
        tell(point, ctx, "test_absolute_error", x, number(j, "test_absolute_error"));
    } else if (event && strcmp(event, "batch") == 0) {
        double x = number(j, "iteration") / batches;
        tell(point, ctx, "loss", x, number(j, "loss"));
        tell(point, ctx, "accuracy", x, 100.0 * number(j, "accuracy"));
        json_object_foreach(json_object_get(j, "spike_rate"), name, rate)
        {
            char layer[80];
            snprintf(layer, sizeof layer, "layer %.70s", name);
            tell(point, ctx, layer, x, json_number_value(rate));
        }
    }
}

sp_status sp_curves_read(const char *folder, sp_curve_point point, void *ctx, sp_error *err)
{
    double batches = 0; /* what the last epoch says, which is read first */
    for (int pass = 0; pass < 2; pass++) {
        sp_lines lines;
        if (!sp_lines_open(&lines, folder, "metrics.jsonl", err))
            return SP_E_IO;
        for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j)) {
            double of = number(j, "iteration") / number(j, "epoch");
            const char *event = json_string_value(json_object_get(j, "event"));
            if (pass == 0 && event && strcmp(event, "epoch") == 0 && of > 0)
                batches = of;
            else if (pass == 1 && batches > 0)
                read_event(j, batches, point, ctx);
        }
        sp_lines_close(&lines);
    }
    return SP_OK;
}

enum { FIRST, LOSS, FIRING, ERROR = SP_CURVES }; /* the first is of the accuracy, or else of the error */

static void add(void *ctx, const char *what, double x, double y)
{
    sp_plot *plots = ctx;
    if (strncmp(what, "layer ", 6) == 0)
        sp_plot_add(&plots[FIRING], what, x, y);
    else
        sp_plot_add(&plots[strstr(what, "loss")    ? LOSS
                           : strstr(what, "error") ? ERROR
                                                   : FIRST],
                    strncmp(what, "test_", 5) == 0 ? "test" : "training", x, y);
}

sp_status sp_curves_gather(const char *folder, sp_plot out[SP_CURVES], sp_error *err)
{
    sp_plot plots[] = {{.title = "accuracy", .x_label = "epoch", .y_label = "accuracy in %", .y_min = NAN},
                       {.title = "loss", .x_label = "epoch", .y_label = "mean loss over T"},
                       {.title = "firing", .x_label = "epoch", .y_label = "spikes a neuron, step"},
                       {.title = "mean absolute error",
                        .x_label = "epoch",
                        .y_label = "mean absolute error"}};
    sp_status st = sp_curves_read(folder, add, plots, err);
    const int first = plots[ERROR].n && !plots[FIRST].n ? ERROR : FIRST;
    sp_plot_free(&plots[first == FIRST ? ERROR : FIRST], 1);
    plots[FIRST] = plots[first];
    memcpy(out, plots, SP_CURVES * sizeof *out);
    return st;
}

sp_status sp_curves_write(const char *folder, const char *title, sp_error *err)
{
    char *out = sp_format("%s/curves.png", folder), first[96];
    sp_plot plots[SP_CURVES];
    const sp_chart look = {.columns = SP_CURVES, .panel_width = 560, .panel_height = 400};
    sp_status st = sp_curves_gather(folder, plots, err);
    snprintf(first, sizeof first, "%.60s: %s", title, plots[FIRST].title);
    plots[FIRST].title = first;
    if (st == SP_OK)
        st = sp_plot_write(out, plots, SP_CURVES, &look, err);
    sp_plot_free(plots, SP_CURVES);
    sp_free(out);
    return st;
}
