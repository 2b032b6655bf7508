/* The page of a run; its look is html.c's. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/report.h"
#include "lab/watch.h"
#include "train/curves.h"

enum { REFRESH_SECONDS = 5 };

/* Each panel is a picture of its own, so that they stand one below the other on a narrow screen. */
static sp_status add_curves(sp_text *t, const char *folder, const char *path, sp_error *err)
{
    static const char *const captions[SP_CURVES] = {"On training and test data, by epoch.",
                                                    "The loss that is trained.",
                                                    "Spikes of a neuron in a time step, by layer."};
    const sp_chart look = {.columns = 1, .panel_width = 560, .panel_height = 400};
    char *picture = sp_format("%s.part.svg", path);
    sp_plot plots[SP_CURVES];
    sp_status st = sp_curves_gather(folder, plots, err);
    if (st == SP_OK && !picture)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for a page");
    for (int i = 0; st == SP_OK && i < SP_CURVES && sp_picture_can(); i++) {
        if (!plots[i].n)
            continue;
        st = sp_plot_write(picture, &plots[i], 1, &look, err);
        if (st == SP_OK)
            st = spi_html_picture(t, picture, "third", captions[i], err);
        unlink(picture);
    }
    sp_plot_free(plots, SP_CURVES);
    sp_free(picture);
    return st;
}

static void add_text(sp_text *t, const char *name, const json_t *value)
{
    sp_text_add(t, json_is_string(value) || json_is_number(value) ? "; %s " : "", name);
    if (json_is_string(value))
        spi_html_text(t, json_string_value(value));
    else if (json_is_number(value))
        sp_text_add(t, "%.10g", json_number_value(value));
}

static void add_start(sp_text *t, const sp_run_events *e)
{
    static const char *const keys[][2] = {{"method", "method"},
                                          {"time_steps", "time steps"},
                                          {"batch", "mini-batch"},
                                          {"parameters", "parameters"},
                                          {"planned_bytes", "bytes on the device"},
                                          {"device", "device"}};
    sp_text_add(t, "<p>spikeport");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_text(t, keys[i][1], json_object_get(e->start, keys[i][0]));
    sp_text_add(t, "</p>\n");
}

static void add_state(sp_text *t, const sp_run_events *e, bool goes_on)
{
    const json_t *last = json_array_get(e->rows, json_array_size(e->rows) - 1);
    sp_text_add(t, "<p><b>%s</b> ",
                e->ended  ? "Finished."
                : goes_on ? "In progress."
                          : "Stopped: no process trains in this folder.");
    for (size_t i = 0; last && i < sp_n_run_columns; i++) {
        sp_text cell = {0};
        sp_table_cell(&cell, &sp_run_columns[i], last);
        if (cell.n)
            sp_text_add(t, "%s%s %s", i ? "; " : "", sp_run_columns[i].head, cell.s);
        sp_text_free(&cell);
    }
    sp_text_add(t, "</p>\n");
}

/* The last epoch first. */
static void add_epochs(sp_text *t, const sp_run_events *e)
{
    sp_text_add(t, "<h2>Epochs</h2>\n<table><tr>");
    for (size_t i = 0; i < sp_n_run_columns; i++)
        sp_text_add(t, "<th class=\"n\">%s</th>", sp_run_columns[i].head);
    sp_text_add(t, "</tr>\n");
    for (size_t k = json_array_size(e->rows); k-- > 0;) {
        const json_t *row = json_array_get(e->rows, k);
        if (strcmp(spi_text(row, "event"), "epoch") != 0)
            continue;
        sp_text_add(t, "<tr>");
        for (size_t i = 0; i < sp_n_run_columns; i++) {
            sp_text_add(t, "<td class=\"n\">");
            sp_table_cell(t, &sp_run_columns[i], row);
            sp_text_add(t, "</td>");
        }
        sp_text_add(t, "</tr>\n");
    }
    sp_text_add(t, "</table>\n");
}

/* Those of `spikeport visualise`, where it was called. */
static sp_status add_pictures(sp_text *t, const char *folder, sp_error *err)
{
    static const char *const pictures[][2] = {{"raster", "Spikes of one test sample, by layer."},
                                              {"rates", "Firing rates of the neurons."},
                                              {"membrane", "Membrane potentials over the threshold."},
                                              {"filters", "Weights of the first layer."},
                                              {"confusion", "True classes and those of the network."}};
    static const char *const ends[] = {"svg", "png"};
    bool any = false;
    sp_status st = SP_OK;
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        for (size_t k = 0; k < 2; k++) {
            char *path = sp_format("%s/pictures/%s.%s", folder, pictures[i][0], ends[k]);
            bool there = path && sp_path_exists(path);
            if (there && st == SP_OK) {
                sp_text_add(t, any ? "" : "<h2>Pictures</h2>\n");
                st = spi_html_picture(t, path, "half", pictures[i][1], err);
                any = true;
                k = 2;
            }
            sp_free(path);
        }
    return st;
}

sp_status sp_run_page(const char *folder, const sp_run_events *e, bool goes_on, const char *path,
                      sp_error *err)
{
    const char *name = spi_text(e->start, "name");
    sp_text t = {0};
    spi_html_begin(&t, *name ? name : folder, goes_on && !e->ended ? REFRESH_SECONDS : 0);
    add_start(&t, e);
    add_state(&t, e, goes_on);
    sp_status st = add_curves(&t, folder, path, err);
    if (st == SP_OK)
        st = add_pictures(&t, folder, err);
    add_epochs(&t, e);
    sp_text_add(&t, "</body></html>\n");
    if (st == SP_OK)
        st = sp_file_replace_text(path, t.failed ? NULL : t.s, err);
    sp_text_free(&t);
    return st;
}
