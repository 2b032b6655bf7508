/* Files and tables of `spikeport similarity`. */
#include "lab/similarity_out.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "cli/cli.h"
#include "cli/table.h"

static const sp_column summary[] = {
    {.key = "T", .head = "T", .width = 4},
    {.key = "tau", .head = "tau", .width = 7, .digits = -6},
    {.key = "method", .head = "method", .width = -19},
    {.key = "steps", .head = "steps", .width = 6, .digits = 2},
    {.key = "measured", .head = "measured", .width = 9},
    {.key = "first", .head = "first", .width = 9, .digits = 4},
    {.key = "mean", .head = "mean", .width = 9, .digits = 4},
    {.key = "last", .head = "last", .width = 9, .digits = 4},
    {.key = "least", .head = "lowest layer", .width = 13, .digits = 4},
    {.key = "norm_ratio", .head = "norm ratio", .width = 11, .digits = 4},
    {.key = "difference", .head = "difference", .width = 11, .digits = 5},
};
#define LENGTH(x) (sizeof(x) / sizeof *(x))

/* NaN is an empty field. */
static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static FILE *open_csv(const char *folder, const char *name, sp_error *err)
{
    char *path = sp_format("%s/%s", folder, name);
    bool mine = path && sp_output_check(path, SP_OUTPUT_SIMILARITY, NULL, 0, err) == SP_OK;
    FILE *f = mine ? fopen(path, "w") : NULL;
    if (!f && (mine || !path))
        SP_FAIL(err, SP_E_IO, "%s/%s: %s", folder, name, strerror(errno));
    sp_free(path);
    return f;
}

sp_status sp_sweep_open(sp_sweep *s, const char *folder, sp_error *err)
{
    s->parameters = open_csv(folder, "similarity.csv", err);
    s->means = s->parameters ? open_csv(folder, "means.csv", err) : NULL;
    return s->means ? SP_OK : err->status;
}

sp_status sp_sweep_layers(sp_sweep *s, const sp_graph *g, sp_error *err)
{
    s->graph = g;
    for (int i = 0; i < g->n_params && s->step == 0 && s->tau == 0; i++)
        if (sp_similarity_counts(g, &g->params[i])) {
            char **name = sp_array_push(&s->layers, (size_t)s->n_layers, sizeof *name);
            s->failed = s->failed || !name || !(*name = sp_strdup(g->params[i].name));
            s->n_layers += name != NULL;
        }
    for (int m = 0; m < s->n_methods; m++) {
        double **layers = &s->cells[s->step][s->tau][m].layers;
        *layers = sp_alloc_array(2 * (size_t)s->n_layers + 1, sizeof **layers);
        s->failed = s->failed || !*layers;
    }
    if (s->failed)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the results");
    return s->n_layers ? SP_OK
                       : SP_FAIL(err, SP_E_CONFIG,
                                 "the network has no layer with weights before its last neuron layer: every "
                                 "method has the same gradient there");
}

static void add_parameters(sp_sweep *s, int64_t updates, const char *name, int method,
                           const sp_similarity_report *r)
{
    int layer = 0;
    for (int i = 0; i < r->n_params; i++) {
        const sp_param *p = &s->graph->params[i];
        const sp_similarity_score *x = &r->scores[(size_t)method * (size_t)r->n_params + (size_t)i];
        bool counts = sp_similarity_counts(s->graph, p);
        if (!p->trainable)
            continue;
        sp_csv_put(s->parameters,
                   json_pack("{s:I, s:f, s:I, s:s, s:s, s:b, s:o, s:o, s:o}", "time_steps",
                             (json_int_t)s->time_steps[s->step], "tau", s->taus[s->tau], "updates",
                             (json_int_t)updates, "method", name, "parameter", p->name, "counted", counts,
                             "cosine", real(x->cosine), "norm_ratio", real(x->norm_ratio), "difference",
                             real(x->difference)));
        if (counts) {
            double *layers = s->cells[s->step][s->tau][method].layers;
            layers[s->n_layers + layer] += x->difference;
            layers[layer++] += x->cosine;
        }
    }
}

void sp_sweep_add(sp_sweep *s, int64_t updates, double loss, const sp_similarity_report *r)
{
    char tau[32], name[32];
    snprintf(tau, sizeof tau, "tau %g", s->taus[s->tau]);
    for (int m = 0; m < r->n_methods; m++) {
        sp_sweep_cell *c = &s->cells[s->step][s->tau][m];
        sp_compared_name(&s->methods[m], name, sizeof name);
        add_parameters(s, updates, name, m, r);
        sp_csv_put(s->means,
                   json_pack("{s:I, s:f, s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "time_steps",
                             (json_int_t)s->time_steps[s->step], "tau", s->taus[s->tau], "updates",
                             (json_int_t)updates, "method", name, "steps", (json_int_t)r->steps[m], "loss",
                             real(loss), "cosine", real(r->cosine[m]), "least_cosine", real(r->least[m]),
                             "norm_ratio", real(r->norm_ratio[m]), "difference", real(r->difference[m])));
        c->first = c->n ? c->first : r->cosine[m];
        c->least = c->n ? fmin(c->least, r->least[m]) : r->least[m];
        c->last = r->cosine[m];
        c->cosine += r->cosine[m];
        c->norm_ratio += r->norm_ratio[m];
        c->difference += r->difference[m];
        c->steps += (double)r->steps[m];
        c->n++;
        s->n++;
        sp_plot_add(&s->plots[m][s->step][0], tau, (double)updates, r->cosine[m]);
    }
}

static void print_layers(const sp_sweep *s, int step, int tau)
{
    char name[32];
    printf("\nT %lld, tau %g: cosine by layer and |difference| over |reference|, means of the "
           "measurements\n%-40s",
           (long long)s->time_steps[step], s->taus[tau], "");
    for (int m = 0; m < s->n_methods; m++) {
        sp_compared_name(&s->methods[m], name, sizeof name);
        printf(" %21s", name);
    }
    for (int i = 0; i < s->n_layers; i++) {
        printf("\n%-40s", s->layers[i]);
        for (int m = 0; m < s->n_methods; m++) {
            const sp_sweep_cell *c = &s->cells[step][tau][m];
            printf(" %10.6f %10.6f", c->layers[i] / c->n, c->layers[s->n_layers + i] / c->n);
        }
    }
    printf("\n");
}

void sp_sweep_print(const sp_sweep *s, bool by_layer)
{
    printf("cosine of each method's gradient with %s's, mean of %d layers\n", sp_method_name(s->reference),
           s->n_layers);
    sp_table_print_head(summary, LENGTH(summary));
    for (int cell = 0; cell < s->n_time_steps * s->n_taus * s->n_methods; cell++) {
        int m = cell % s->n_methods, u = cell / s->n_methods % s->n_taus, t = cell / s->n_methods / s->n_taus;
        const sp_sweep_cell *c = &s->cells[t][u][m];
        char name[32];
        sp_compared_name(&s->methods[m], name, sizeof name);
        if (c->n)
            sp_table_print(summary, LENGTH(summary),
                           json_pack("{s:I, s:f, s:s, s:f, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "T",
                                     (json_int_t)s->time_steps[t], "tau", s->taus[u], "method", name, "steps",
                                     c->steps / c->n, "measured", c->n, "first", real(c->first), "mean",
                                     real(c->cosine / c->n), "last", real(c->last), "least", real(c->least),
                                     "norm_ratio", real(c->norm_ratio / c->n), "difference",
                                     real(c->difference / c->n)),
                           false);
    }
    for (int t = 0; by_layer && t < s->n_time_steps; t++)
        for (int u = 0; u < s->n_taus; u++)
            if (s->cells[t][u][0].n)
                print_layers(s, t, u);
}

static sp_status chart_method(sp_sweep *s, int method, const char *folder, sp_error *err)
{
    sp_plot(*plots)[2] = s->plots[method];
    char name[32], tau[32], titles[SP_SWEEP_STEPS][2][64];
    sp_compared_name(&s->methods[method], name, sizeof name);
    for (int t = 0; t < s->n_time_steps; t++) {
        for (int k = 0; k < 2; k++) {
            snprintf(titles[t][k], sizeof titles[t][k], "%s, T = %lld%s", name, (long long)s->time_steps[t],
                     k ? ": layers" : "");
            plots[t][k].title = titles[t][k];
            plots[t][k].x_label = k ? "layer, from the input" : "updates";
            plots[t][k].y_label = "cosine";
            plots[t][k].y_min = NAN;
        }
        for (int u = 0; u < s->n_taus; u++) {
            const sp_sweep_cell *c = &s->cells[t][u][method];
            snprintf(tau, sizeof tau, "tau %g", s->taus[u]);
            for (int i = 0; i < s->n_layers && c->n; i++)
                sp_plot_add(&plots[t][1], tau, i + 1, c->layers[i] / c->n);
        }
    }
    if (strchr(name, ':'))
        *strchr(name, ':') = '-';
    char *path = sp_format("%s/%s.png", folder, name);
    const sp_chart look = {.columns = 2 * (size_t)s->n_time_steps, .panel_width = 480, .panel_height = 400};
    sp_status st = sp_plot_write(path, plots[0], look.columns, &look, err);
    sp_free(path);
    return st;
}

sp_status sp_sweep_charts(sp_sweep *s, const char *folder, sp_error *err)
{
    for (int m = 0; m < s->n_methods; m++)
        SP_TRY(chart_method(s, m, folder, err));
    return SP_OK;
}

sp_status sp_sweep_close(sp_sweep *s, sp_error *err)
{
    bool ok = true;
    FILE *files[2] = {s->parameters, s->means};
    for (int i = 0; i < 2; i++)
        if (files[i]) {
            ok = !ferror(files[i]) && ok;
            ok = fclose(files[i]) == 0 && ok;
        }
    for (int i = 0; i < s->n_layers; i++)
        sp_free(s->layers[i]);
    sp_free(s->layers);
    sp_sweep_cell *cells = s->cells[0][0];
    for (int i = 0; i < SP_SWEEP_STEPS * SP_SWEEP_TAUS * SP_COMPARED_MOST; i++)
        sp_free(cells[i].layers);
    sp_plot_free(s->plots[0][0], (size_t)SP_COMPARED_MOST * SP_SWEEP_STEPS * 2);
    return ok ? SP_OK : SP_FAIL(err, SP_E_IO, "the CSV files could not be written: %s", strerror(errno));
}
