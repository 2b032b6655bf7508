/* curves.png: what metrics.jsonl says, as a picture. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "plot/picture.h"
#include "train/curves.h"
#include "train/train.h"

static void add(spi_curves *c, spi_points *p, double x, double y)
{
    double *px = sp_array_push(&p->x, p->n, sizeof x), *py = sp_array_push(&p->y, p->n, sizeof y);
    c->failed = c->failed || !px || !py;
    if (!px || !py)
        return;
    *px = x;
    *py = y;
    p->n++;
}

static double number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static void add_rates(spi_curves *c, const json_t *rates, double x)
{
    const char *name;
    json_t *v;
    int i = 0;
    json_object_foreach((json_t *)(uintptr_t)rates, name, v)
    {
        if (i == SPI_CURVE_LAYERS)
            return;
        if (i == c->n_layers) {
            c->layer[i] = sp_format("layer %s", name);
            c->n_layers++;
        }
        add(c, &c->rate[i++], x, json_number_value(v));
    }
}

static void read_event(spi_curves *c, const json_t *j, double batches)
{
    const char *event = json_string_value(json_object_get(j, "event"));
    if (event && strcmp(event, "epoch") == 0) {
        double x = number(j, "epoch");
        add(c, &c->test_loss, x, number(j, "test_loss"));
        add(c, &c->test_accuracy, x, 100.0 * number(j, "test_accuracy"));
        if (x > 0)
            c->batches = number(j, "iteration") / x;
    } else if (event && strcmp(event, "batch") == 0 && batches > 0) {
        double x = number(j, "iteration") / batches;
        add(c, &c->loss, x, number(j, "loss"));
        add(c, &c->accuracy, x, 100.0 * number(j, "accuracy"));
        add_rates(c, json_object_get(j, "spike_rate"), x);
    }
}

/* Twice over the file: the number of mini-batches of an epoch first. */
sp_status spi_curves_read(spi_curves *c, const char *folder, sp_error *err)
{
    for (int pass = 0; pass < 2; pass++) {
        sp_lines lines;
        if (!sp_lines_open(&lines, folder, "metrics.jsonl"))
            return SP_FAIL(err, SP_E_IO, "%s/metrics.jsonl: %s", folder, strerror(errno));
        double batches = c->batches;
        c->test_loss.n = c->test_accuracy.n = 0;
        for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j))
            read_event(c, j, pass ? batches : 0);
        sp_lines_close(&lines);
    }
    return c->failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves") : SP_OK;
}

void spi_curves_free(spi_curves *c)
{
    spi_points *all[] = {&c->loss, &c->accuracy, &c->test_loss, &c->test_accuracy};
    for (int i = 0; i < 4; i++) {
        sp_free(all[i]->x);
        sp_free(all[i]->y);
    }
    for (int i = 0; i < SPI_CURVE_LAYERS; i++) {
        sp_free(c->rate[i].x);
        sp_free(c->rate[i].y);
        sp_free(c->layer[i]);
    }
}

sp_status sp_curves_write(const char *folder, const char *title, sp_error *err)
{
    spi_curves c = {.n_layers = 0};
    char *out = sp_format("%s/curves.png", folder), *accuracy = sp_format("%.60s: accuracy", title);
    sp_status st = out && accuracy ? spi_curves_read(&c, folder, err)
                                   : SP_FAIL(err, SP_E_MEMORY, "out of memory for the curves");
    if (st == SP_OK) {
        sp_series loss[] = {{"training", c.loss.x, c.loss.y, c.loss.n},
                            {"test", c.test_loss.x, c.test_loss.y, c.test_loss.n}};
        sp_series acc[] = {{"training", c.accuracy.x, c.accuracy.y, c.accuracy.n},
                           {"test", c.test_accuracy.x, c.test_accuracy.y, c.test_accuracy.n}};
        sp_series rate[SPI_CURVE_LAYERS];
        for (int i = 0; i < c.n_layers; i++)
            rate[i] = (sp_series){c.layer[i], c.rate[i].x, c.rate[i].y, c.rate[i].n};
        sp_panel panels[] = {{accuracy, "epoch", "accuracy in %", acc, 2, NAN, NAN},
                             {"loss", "epoch", "mean loss over T", loss, 2, 0, NAN},
                             {"firing", "epoch", "spikes a neuron, step", rate, (size_t)c.n_layers, 0, NAN}};
        st = sp_chart_write(out, panels, 3, 560, 400, err);
    }
    spi_curves_free(&c);
    sp_free(out);
    sp_free(accuracy);
    return st;
}
