/* Files and tables of `spikeport fidelity`. */
#include "lab/fidelity_out.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "plot/picture.h"

static FILE *open_csv(const char *folder, const char *name, const char *head, sp_error *err)
{
    char *path = sp_format("%s/%s", folder, name);
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f)
        fprintf(f, "%s\n", head);
    else
        SP_FAIL(err, SP_E_IO, "%s/%s: %s", folder, name, strerror(errno));
    sp_free(path);
    return f;
}

sp_status sp_sweep_open(sp_sweep *s, const char *folder, sp_error *err)
{
    s->parameters = open_csv(folder, "fidelity.csv",
                             "time_steps,tau,updates,method,parameter,counted,cosine,norm_ratio", err);
    if (s->parameters)
        s->means = open_csv(folder, "means.csv",
                            "time_steps,tau,updates,method,steps,loss,cosine,least_cosine,norm_ratio", err);
    return s->means ? SP_OK : SP_E_IO;
}

sp_status sp_sweep_layers(sp_sweep *s, const sp_graph *g, sp_error *err)
{
    s->graph = g;
    if (s->layers)
        return SP_OK;
    s->layers = sp_alloc_array((size_t)g->n_params + 1, sizeof *s->layers);
    for (int i = 0; s->layers && i < g->n_params; i++)
        if (sp_fidelity_counts(g, &g->params[i])) {
            s->layers[s->n_layers] = sp_strdup(g->params[i].name);
            s->failed = s->failed || !s->layers[s->n_layers++];
        }
    s->layer_sums =
        sp_alloc_array((size_t)s->n_layers * SP_SWEEP_STEPS * SP_SWEEP_TAUS * SP_COMPARED_MOST + 1,
                       sizeof *s->layer_sums);
    if (!s->layers || !s->layer_sums || s->failed)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the results");
    if (s->n_layers == 0)
        return SP_FAIL(err, SP_E_CONFIG,
                       "the network has no layer with weights before its last neuron layer: every method has "
                       "the same gradient there");
    return SP_OK;
}

static double *layer_sum(const sp_sweep *s, int step, int tau, int method, int layer)
{
    return &s->layer_sums[((step * SP_SWEEP_TAUS + tau) * SP_COMPARED_MOST + method) * s->n_layers + layer];
}

/* NaN is an empty field. */
static void put(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, ",%.9g", x);
    else
        fputc(',', f);
}

static void add_parameters(sp_sweep *s, int64_t updates, int method, const sp_fidelity_report *r)
{
    char name[32];
    int layer = 0;
    sp_compared_name(&r->methods[method], name, sizeof name);
    for (int i = 0; i < r->n_params; i++) {
        const sp_param *p = &s->graph->params[i];
        const sp_fidelity_score *x = &r->scores[(size_t)method * (size_t)r->n_params + (size_t)i];
        bool counts = sp_fidelity_counts(s->graph, p);
        if (!p->trainable)
            continue;
        fprintf(s->parameters, "%lld,%.9g,%lld,%s,%s,%d", (long long)s->time_steps[s->step], s->taus[s->tau],
                (long long)updates, name, p->name, counts);
        put(s->parameters, x->cosine);
        put(s->parameters, x->norm_ratio);
        fputc('\n', s->parameters);
        if (counts)
            *layer_sum(s, s->step, s->tau, method, layer++) += x->cosine;
    }
}

static void add_record(sp_sweep *s, const sp_fidelity_record *r)
{
    char name[32];
    sp_fidelity_record *added = sp_array_push(&s->records, s->n, sizeof *added);
    if (!added) {
        s->failed = true;
        return;
    }
    *added = *r;
    s->n++;
    sp_compared_name(&s->methods[r->method], name, sizeof name);
    fprintf(s->means, "%lld,%.9g,%lld,%s,%lld", (long long)s->time_steps[r->step], s->taus[r->tau],
            (long long)r->updates, name, (long long)r->steps);
    put(s->means, r->loss);
    put(s->means, r->cosine);
    put(s->means, r->least);
    put(s->means, r->norm_ratio);
    fputc('\n', s->means);
    fflush(s->means);
}

void sp_sweep_add(void *sweep, int64_t updates, double loss, const sp_fidelity_report *r)
{
    sp_sweep *s = sweep;
    for (int m = 0; m < r->n_methods; m++) {
        sp_fidelity_record x = {.step = s->step,
                                .tau = s->tau,
                                .method = m,
                                .updates = updates,
                                .steps = r->steps[m],
                                .loss = loss,
                                .cosine = r->cosine[m],
                                .least = r->least[m],
                                .norm_ratio = r->norm_ratio[m]};
        add_parameters(s, updates, m, r);
        add_record(s, &x);
    }
}

typedef struct summary {
    int n;
    double first, last, mean, least, ratio, steps;
} summary;

static summary summarise(const sp_sweep *s, int step, int tau, int method)
{
    summary m = {.least = NAN};
    for (size_t i = 0; i < s->n; i++) {
        const sp_fidelity_record *r = &s->records[i];
        if (r->step != step || r->tau != tau || r->method != method)
            continue;
        m.first = m.n ? m.first : r->cosine;
        m.last = r->cosine;
        m.mean += r->cosine;
        m.ratio += r->norm_ratio;
        m.steps += (double)r->steps;
        m.least = isnan(m.least) || r->least < m.least ? r->least : m.least;
        m.n++;
    }
    m.mean /= m.n;
    m.ratio /= m.n;
    m.steps /= m.n;
    return m;
}

static void print_layers(const sp_sweep *s, int step, int tau)
{
    printf("\nT %lld, tau %g: cosine by layer, mean of the measurements\n%-40s",
           (long long)s->time_steps[step], s->taus[tau], "");
    for (int m = 0; m < s->n_methods; m++) {
        char name[32];
        sp_compared_name(&s->methods[m], name, sizeof name);
        printf(" %10s", name);
    }
    printf("\n");
    for (int i = 0; i < s->n_layers; i++) {
        printf("%-40s", s->layers[i]);
        for (int m = 0; m < s->n_methods; m++)
            printf(" %10.4f", *layer_sum(s, step, tau, m, i) / summarise(s, step, tau, m).n);
        printf("\n");
    }
}

void sp_sweep_print(const sp_sweep *s, bool by_layer)
{
    printf("cosine of each method's gradient with %s's, mean of %d layers\n", sp_method_name(s->reference),
           s->n_layers);
    printf("%4s %7s  %-10s %6s %9s %9s %9s %9s %13s %11s\n", "T", "tau", "method", "steps", "measured",
           "first", "mean", "last", "lowest layer", "norm ratio");
    for (int t = 0; t < s->n_time_steps; t++)
        for (int u = 0; u < s->n_taus; u++)
            for (int m = 0; m < s->n_methods; m++) {
                char name[32];
                summary x = summarise(s, t, u, m);
                sp_compared_name(&s->methods[m], name, sizeof name);
                if (x.n)
                    printf("%4lld %7g  %-10s %6.2f %9d %9.4f %9.4f %9.4f %13.4f %11.4f\n",
                           (long long)s->time_steps[t], s->taus[u], name, x.steps, x.n, x.first, x.mean,
                           x.last, x.least, x.ratio);
            }
    for (int t = 0; by_layer && t < s->n_time_steps; t++)
        for (int u = 0; u < s->n_taus; u++)
            if (summarise(s, t, u, 0).n)
                print_layers(s, t, u);
}

/* The numbers behind a picture: one method and T; panels over updates and by layer, a series for every tau.
 */
typedef struct panel_pair {
    double *x[2][SP_SWEEP_TAUS], *y[2][SP_SWEEP_TAUS];
    sp_series series[2][SP_SWEEP_TAUS];
    char names[SP_SWEEP_TAUS][32], titles[2][64];
} panel_pair;

static bool fill_pair(const sp_sweep *s, int step, int method, panel_pair *p)
{
    char name[32];
    sp_compared_name(&s->methods[method], name, sizeof name);
    for (int k = 0; k < 2; k++)
        snprintf(p->titles[k], sizeof p->titles[k], "%s, T = %lld%s", name, (long long)s->time_steps[step],
                 k ? ": layers" : "");
    for (int u = 0; u < s->n_taus; u++) {
        size_t n = 0, count = (size_t)summarise(s, step, u, method).n;
        for (int k = 0; k < 2; k++) {
            size_t room = (k ? (size_t)s->n_layers : count) + 1;
            p->x[k][u] = sp_alloc_array(room, sizeof(double));
            p->y[k][u] = sp_alloc_array(room, sizeof(double));
            if (!p->x[k][u] || !p->y[k][u])
                return false;
        }
        for (size_t i = 0; i < s->n; i++)
            if (s->records[i].step == step && s->records[i].tau == u && s->records[i].method == method) {
                p->x[0][u][n] = (double)s->records[i].updates;
                p->y[0][u][n++] = s->records[i].cosine;
            }
        for (int i = 0; i < s->n_layers; i++) {
            p->x[1][u][i] = i + 1;
            p->y[1][u][i] = count ? *layer_sum(s, step, u, method, i) / (double)count : (double)NAN;
        }
        snprintf(p->names[u], sizeof p->names[u], "tau %g", s->taus[u]);
        p->series[0][u] = (sp_series){p->names[u], p->x[0][u], p->y[0][u], n};
        p->series[1][u] = (sp_series){p->names[u], p->x[1][u], p->y[1][u], (size_t)s->n_layers};
    }
    return true;
}

static void free_pair(panel_pair *p)
{
    for (int k = 0; k < 2; k++)
        for (int u = 0; u < SP_SWEEP_TAUS; u++) {
            sp_free(p->x[k][u]);
            sp_free(p->y[k][u]);
        }
}

static sp_status chart_method(const sp_sweep *s, int method, const char *folder, sp_error *err)
{
    static const char *const x_labels[2] = {"updates", "layer, from the input"};
    panel_pair *pairs = sp_alloc_array(SP_SWEEP_STEPS, sizeof *pairs);
    char name[32], *path;
    sp_panel panels[2 * SP_SWEEP_STEPS];
    size_t n = 0;
    sp_compared_name(&s->methods[method], name, sizeof name);
    if (strchr(name, ':'))
        *strchr(name, ':') = '-';
    path = sp_format("%s/%s.png", folder, name);
    bool ok = pairs && path && !s->failed;
    for (int t = 0; ok && t < s->n_time_steps; t++) {
        ok = fill_pair(s, t, method, &pairs[t]);
        for (int k = 0; k < 2; k++)
            panels[n++] = (sp_panel){pairs[t].titles[k], x_labels[k], "cosine", pairs[t].series[k],
                                     (size_t)s->n_taus,  NAN,         NAN};
    }
    sp_status st = ok ? sp_chart_write(path, panels, n, 480, 400, err)
                      : SP_FAIL(err, SP_E_MEMORY, "out of memory for the picture");
    for (int i = 0; pairs && i < SP_SWEEP_STEPS; i++)
        free_pair(&pairs[i]);
    sp_free(pairs);
    sp_free(path);
    return st;
}

sp_status sp_sweep_charts(const sp_sweep *s, const char *folder, sp_error *err)
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
    sp_free(s->layer_sums);
    sp_free(s->records);
    *s = (sp_sweep){.n = 0};
    return ok ? SP_OK : SP_FAIL(err, SP_E_IO, "the CSV files could not be written: %s", strerror(errno));
}
