/* Two networks on the same samples, spike by spike. */
#include "cli/nir_drift.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "train/predict.h"

sp_status sp_nir_parse_layers(const char *name, const sp_text *layers, const sp_neuron *neuron,
                              sp_network *out, sp_error *err)
{
    sp_yaml_doc doc = {0};
    SP_TRY(sp_yaml_parse(name, layers->s, layers->n, &doc, err));
    sp_status st = doc.root ? sp_network_read(doc.root, name, neuron, out, err)
                            : SP_FAIL(err, SP_E_CONFIG, "%s: a network without layers", name);
    sp_yaml_free(&doc);
    return st;
}

/* The session's recipe with another network and its weights. */
static sp_status open_other(const sp_session *s, const sp_cli_session *o, const sp_nir_network *n, char *name,
                            sp_session **out, sp_error *err)
{
    sp_text text = {0};
    sp_recipe r = {0};
    sp_network network;
    sp_session_options so = sp_cli_session_options(o);
    so.no_train = true;
    sp_recipe_print(&s->recipe, &text);
    sp_status st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for a recipe")
                               : sp_recipe_parse(name, text.s, text.n, NULL, 0, &r, err);
    sp_text_free(&text);
    SP_TRY(st);
    st = sp_nir_parse_layers(name, &n->layers, &r.neuron, &network, err);
    if (st != SP_OK) {
        sp_recipe_free(&r);
        return st;
    }
    sp_network_free(&r.network);
    r.network = network;
    SP_TRY(sp_session_open(&r, &s->data, &so, out, err));
    const sp_checkpoint weights = {.file = {.items = n->tensors, .n = n->n_tensors, .path = name}};
    return sp_checkpoint_restore(&weights, *out, false, err);
}

static sp_status ignore(void *ctx, const sp_prediction *p, sp_error *err)
{
    (void)ctx;
    if (p->failure)
        *err = *p->failure;
    return p->failure ? p->failure->status : SP_OK;
}

sp_status sp_nir_record_all(sp_session *s, const sp_dataset *ds, sp_record **out, sp_error *err)
{
    SP_TRY(sp_record_create(s, "all", out, err));
    const sp_predict_options po = {.record = *out, .report = ignore};
    return sp_session_predict(s, ds, &po, err);
}

static const char *layer_of(const sp_nir_network *n, const char *node)
{
    for (size_t i = 0; i < n->notes.n; i++)
        if (strcmp(n->notes.items[i].node, node) == 0)
            return n->notes.items[i].layer;
    return NULL;
}

static sp_status compare_layer(const sp_session *s, int node, const sp_record *a, const sp_record *b,
                               const sp_nir_network *n, sp_nir_drift *out, sp_error *err)
{
    const char *name = s->graph->nodes[node].name, *other = layer_of(n, name);
    size_t bytes = 0, other_bytes = 0;
    const unsigned char *x = sp_record_data(a, name, &bytes),
                        *y = other ? sp_record_data(b, other, &other_bytes) : NULL;
    if (!x || !y || bytes != other_bytes)
        return SP_FAIL(err, SP_E_FAILED, "layer %s is not in the imported network as it was", name);
    sp_nir_drift_layer *l = &out->layers[out->n_layers++];
    size_t on = 0, differ = 0;
    for (size_t i = 0; i < bytes; i++) {
        on += x[i];
        differ += x[i] != y[i];
    }
    *l = (sp_nir_drift_layer){name, (double)on / (double)bytes, (double)differ / (double)bytes};
    return SP_OK;
}

/* The class of the outputs [time steps][classes], summed. */
static int64_t class_of(const float *x, int64_t steps, int64_t classes, float *sum)
{
    for (int64_t k = 0; k < classes; k++) {
        sum[k] = 0;
        for (int64_t t = 0; t < steps; t++)
            sum[k] += x[t * classes + k];
    }
    return sp_largest(sum, classes);
}

static sp_status compare(const sp_session *s, const sp_record *a, const sp_record *b, const sp_nir_network *n,
                         sp_nir_drift *out, sp_error *err)
{
    int64_t steps = s->recipe.time_steps, classes = s->graph->classes, same = 0;
    size_t bytes, other;
    const float *x = sp_record_data(a, "logits", &bytes), *y = sp_record_data(b, "logits", &other);
    out->layers = sp_alloc_array((size_t)s->graph->n_nodes + 1, sizeof *out->layers);
    float *sum = sp_alloc_array((size_t)classes, sizeof *sum);
    sp_status st = out->layers && sum ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a comparison");
    if (st == SP_OK && bytes != other)
        st = SP_FAIL(err, SP_E_FAILED, "the imported network has other outputs");
    for (int i = 0; st == SP_OK && i < s->graph->n_nodes; i++)
        if (sp_node_fires(&s->graph->nodes[i]))
            st = compare_layer(s, i, a, b, n, out, err);
    for (size_t i = 0; st == SP_OK && i < bytes / sizeof *x; i++)
        out->logits = fmax(out->logits, fabs((double)x[i] - (double)y[i]));
    int64_t samples = st == SP_OK ? (int64_t)(bytes / sizeof *x) / (steps * classes) : 0;
    for (int64_t i = 0; i < samples; i++)
        same += class_of(x + i * steps * classes, steps, classes, sum) ==
                class_of(y + i * steps * classes, steps, classes, sum);
    out->samples = (size_t)samples;
    out->same = samples ? (double)same / (double)samples : 0;
    sp_free(sum);
    return st;
}

sp_status sp_nir_drift_measure(const sp_cli_trained *t, const sp_cli_session *o, const sp_nir *g,
                               const sp_nir_import_options *io, size_t samples, sp_nir_drift *out,
                               sp_error *err)
{
    sp_nir_network n;
    sp_session *other = NULL;
    sp_record *a = NULL, *b = NULL;
    *out = (sp_nir_drift){0};
    t->test->info.count = t->test->info.count < samples ? t->test->info.count : samples;
    sp_status st = sp_nir_import(g, io, &n, err);
    if (st == SP_OK)
        st = open_other(t->s, o, &n, g->path, &other, err);
    if (st == SP_OK)
        st = sp_nir_record_all(t->s, t->test, &a, err);
    if (st == SP_OK)
        st = sp_nir_record_all(other, t->test, &b, err);
    if (st == SP_OK)
        st = compare(t->s, a, b, &n, out, err);
    sp_record_destroy(&a);
    sp_record_destroy(&b);
    sp_session_close(&other);
    sp_nir_network_free(&n);
    return st;
}

void sp_nir_drift_free(sp_nir_drift *d)
{
    sp_free(d->layers);
    *d = (sp_nir_drift){0};
}
