/* Conversion on a device: what the activations are like, thresholds, and shifts of biases. */
#include "train/conversion.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "train/checkpoint.h"

/* Outputs of a block's activation, by channel. */
typedef struct outputs {
    double *largest, *sum;
    uint32_t *counts; /* [channels][SP_CONVERT_PARTS] of those above 0 */
    int64_t rows;     /* that sum is over */
} outputs;

struct sp_converter {
    sp_session *s;
    sp_conversion *net;
    outputs *out;  /* [blocks] */
    double *last;  /* [classes] mean outputs of the network */
    float *images; /* [n][h][w][c] */
    int64_t n;     /* samples */
};

/* ---- running samples ---- */

typedef struct looking {
    sp_converter *c;
    bool counting; /* the largest are known */
    int64_t valid; /* samples of the mini-batch */
    int64_t batch;
    /* of the spiking network: */
    int node;
    double *spikes; /* [channels] */
    int64_t rows;
    double *logits; /* [classes] sums over samples and time steps */
} looking;

/* All samples through the evaluation plan of a session. */
static sp_status run(sp_converter *c, sp_session *s, const sp_exec_watcher *w, looking *l, sp_error *err)
{
    const size_t items = sp_dataset_frame_items(&s->data), batch = (size_t)s->eval_batch;
    float *images = sp_alloc_pages(batch, items * sizeof *images);
    int32_t *labels = sp_alloc_pages(batch, sizeof *labels);
    sp_status st = images && labels ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for calibration");
    for (size_t k = 0; st == SP_OK && k < batch; k++)
        labels[k] = -1;
    for (int64_t at = 0; st == SP_OK && at < c->n; at += (int64_t)batch) {
        l->batch = (int64_t)batch;
        l->valid = c->n - at < l->batch ? c->n - at : l->batch;
        for (size_t k = 0; k < batch; k++) { /* the last one again behind the valid ones */
            const int64_t from = at + ((int64_t)k < l->valid ? (int64_t)k : l->valid - 1);
            memcpy(images + k * items, c->images + (size_t)from * items, items * sizeof *images);
        }
        const sp_exec_batch b = {.images = images, .labels = labels};
        st = sp_exec_watch(s->eval, &b, w, err);
    }
    sp_free(images);
    sp_free(labels);
    return st;
}

static void count(const looking *l, const sp_exec_seen *seen, outputs *o, int64_t rows)
{
    for (int64_t m = 0; m < rows; m++)
        for (int64_t k = 0; k < seen->cols; k++) {
            const double x = (double)seen->u[m * seen->cols + k];
            if (!l->counting) {
                o->largest[k] = fmax(o->largest[k], x);
                o->sum[k] += x;
            } else if (x > 0) {
                const int part = (int)fmin(x / o->largest[k] * SP_CONVERT_PARTS, SP_CONVERT_PARTS - 1);
                o->counts[k * SP_CONVERT_PARTS + part]++;
            }
        }
}

/* The recipe's input does not change, so its first time step says it all. */
static void see_activation(void *ctx, const sp_exec_seen *seen)
{
    const looking *l = ctx;
    const sp_conversion *net = l->c->net;
    const int64_t rows = seen->rows / l->batch * l->valid;
    for (int i = 0; i < net->n && seen->t == 0; i++)
        if (net->blocks[i].activation == seen->node) {
            count(l, seen, &l->c->out[i], rows);
            l->c->out[i].rows += l->counting ? 0 : rows;
        }
}

static void see_neurons(void *ctx, const sp_exec_seen *seen)
{
    looking *l = ctx;
    const int64_t words = (seen->cols + 31) / 32, rows = seen->rows / l->batch * l->valid;
    if (seen->node != l->node)
        return;
    for (int64_t m = 0; m < rows; m++)
        for (int64_t k = 0; k < seen->cols; k++)
            l->spikes[k] += seen->spikes[m * words + k / 32] >> (k % 32) & 1u;
    l->rows += rows;
}

static bool see_outputs(void *ctx, int t, const float *logits)
{
    looking *l = ctx;
    const int64_t classes = l->c->s->graph->classes;
    (void)t;
    for (int64_t i = 0; i < l->valid * classes; i++)
        l->logits[i % classes] += (double)logits[i];
    return true;
}

/* Mean outputs of a session's network over samples and time steps. */
static sp_status mean_outputs(sp_converter *c, sp_session *s, double *mean, sp_error *err)
{
    looking l = {.c = c, .logits = mean};
    const sp_exec_watcher w = {.outputs = see_outputs, .ctx = &l};
    SP_TRY(run(c, s, &w, &l, err));
    for (int64_t k = 0; k < s->graph->classes; k++)
        mean[k] /= (double)(c->n * s->recipe.time_steps);
    return SP_OK;
}

/* ---- opening ---- */

static sp_status read_samples(sp_converter *c, sp_error *err)
{
    sp_dataset *ds = NULL;
    sp_status st = sp_session_dataset(&c->s->recipe, true, &ds, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "thresholds follow from the training data: ");
    const size_t items = sp_dataset_frame_items(&ds->info);
    c->n = (int64_t)ds->info.count < c->n ? (int64_t)ds->info.count : c->n;
    c->images = sp_alloc_array((size_t)c->n, items * sizeof *c->images);
    if (!c->images)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the samples of a calibration");
    if (st == SP_OK && !sp_dataset_same_shape(&ds->info, &c->s->data))
        st = SP_FAIL(err, SP_E_DATA, "training and test samples are of different shapes");
    for (int64_t i = 0; st == SP_OK && i < c->n; i++) {
        int32_t label;
        st = ds->get(ds, (sp_sample_request){.index = (size_t)i}, c->images + (size_t)i * items, &label, err);
    }
    sp_dataset_close(&ds);
    return st;
}

static sp_status fold(sp_converter *c, sp_error *err)
{
    float **params;
    sp_status st = sp_weights_read(c->s, &params, err);
    if (st == SP_OK)
        st = sp_conversion_create(c->s->graph, (const float *const *)params, &c->net, err);
    sp_weights_free(c->s, params);
    return st;
}

static sp_status make_room(sp_converter *c, sp_error *err)
{
    c->out = sp_alloc_array((size_t)c->net->n, sizeof *c->out);
    for (int i = 0; c->out && i < c->net->n; i++) {
        const size_t n = (size_t)c->net->blocks[i].channels;
        outputs *o = &c->out[i];
        o->largest = sp_alloc_array(n, sizeof *o->largest);
        o->sum = sp_alloc_array(n, sizeof *o->sum);
        o->counts = sp_alloc_array(n, SP_CONVERT_PARTS * sizeof *o->counts);
        if (!o->largest || !o->sum || !o->counts)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for the outputs of a network");
    }
    c->last = sp_alloc_array((size_t)c->s->graph->classes, sizeof *c->last);
    return c->out && c->last ? SP_OK
                             : SP_FAIL(err, SP_E_MEMORY, "out of memory for the outputs of a network");
}

static sp_status check_recipe(const sp_session *s, sp_error *err)
{
    if (s->data.frames)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data %s: samples have %d frames, and a converted network reads one still input at "
                       "every time step; convert takes networks of still inputs",
                       s->data.name, s->data.frames);
    if (s->recipe.weight_bits)
        return SP_FAIL(err, SP_E_CONFIG,
                       "precision.weights is %lld, and norms and thresholds are folded into weights of "
                       "float32; convert with --set precision.weights=float",
                       (long long)s->recipe.weight_bits);
    return SP_OK;
}

sp_status sp_converter_open(sp_session *s, int64_t samples, sp_converter **out, sp_error *err)
{
    sp_converter *c = sp_alloc(sizeof *c);
    if (!c)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a conversion");
    c->s = s;
    c->n = samples;
    looking l = {.c = c};
    const sp_exec_watcher w = {.see_activation = see_activation, .ctx = &l};
    sp_status st = check_recipe(s, err);
    if (st == SP_OK)
        st = fold(c, err);
    if (st == SP_OK)
        st = read_samples(c, err);
    if (st == SP_OK)
        st = make_room(c, err);
    if (st == SP_OK)
        st = run(c, s, &w, &l, err);
    l.counting = true;
    if (st == SP_OK)
        st = run(c, s, &w, &l, err);
    if (st == SP_OK)
        st = mean_outputs(c, s, c->last, err);
    if (st != SP_OK) {
        sp_converter_close(&c);
        return st;
    }
    *out = c;
    return SP_OK;
}

void sp_converter_close(sp_converter **pc)
{
    if (!pc || !*pc)
        return;
    sp_converter *c = *pc;
    for (int i = 0; c->out && i < c->net->n; i++)
        sp_free(c->out[i].largest), sp_free(c->out[i].sum), sp_free(c->out[i].counts);
    sp_free(c->out);
    sp_free(c->last);
    sp_free(c->images);
    sp_conversion_destroy(&c->net);
    sp_free(c);
    *pc = NULL;
}

/* ---- thresholds ---- */

static bool learns_threshold(const sp_converter *c, const sp_convert_block *b)
{
    return b->activation >= 0 && c->s->graph->nodes[b->activation].threshold >= 0;
}

/* A channel that is silent on all samples keeps the threshold 1. */
static void set_thresholds(const sp_converter *c, const sp_conversion_options *o)
{
    for (int i = 0; i < c->net->n; i++) {
        sp_convert_block *b = &c->net->blocks[i];
        memset(b->shift, 0, (size_t)b->channels * sizeof *b->shift);
        for (int64_t k = 0; k < b->channels && b->activation >= 0 && !learns_threshold(c, b); k++) {
            const double largest = c->out[i].largest[k];
            b->theta[k] = !(largest > 0) ? 1
                          : o->largest   ? largest
                                         : sp_convert_threshold(c->out[i].counts + k * SP_CONVERT_PARTS,
                                                                largest, o->time_steps);
        }
    }
}

/* ---- the spiking session ---- */

/* The first session's recipe with another network and as many time steps. */
static sp_status open_spiking(const sp_converter *c, const sp_converted *n, int64_t time_steps,
                              const sp_session_options *so, sp_session **out, sp_error *err)
{
    sp_recipe changed = c->s->recipe, r = {0};
    sp_session_options o = *so;
    sp_text text = {0};
    o.no_train = true;
    o.eval_samples = (size_t)c->s->eval_batch;
    changed.time_steps = time_steps;
    changed.network_text = n->layers.s;
    sp_recipe_print(&changed, &text);
    sp_status st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for a recipe")
                               : sp_recipe_parse("converted", text.s, text.n, NULL, 0, &r, err);
    sp_text_free(&text);
    return st == SP_OK ? sp_session_open(&r, &c->s->data, &o, out, err) : st;
}

static sp_status load(const sp_converter *c, sp_session *s, sp_error *err)
{
    sp_converted n = {.n_tensors = 0};
    char name[] = "converted";
    sp_status st = sp_conversion_network(c->net, &n, err);
    if (st == SP_OK) {
        const sp_checkpoint weights = {.file = {.items = n.tensors, .n = n.n_tensors, .path = name}};
        st = sp_checkpoint_restore(&weights, s, false, err);
    }
    sp_converted_free(&n);
    return st;
}

/* Layer i's biases, so that the mean of what its neurons stand for is that of its activation. */
static sp_status calibrate_block(sp_converter *c, int i, int node, sp_session *s, sp_error *err)
{
    sp_convert_block *b = &c->net->blocks[i];
    bool *nodes = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *nodes);
    looking l = {.c = c, .node = node, .spikes = sp_alloc_array((size_t)b->channels, sizeof *l.spikes)};
    const sp_exec_watcher w = {.see = see_neurons, .nodes = nodes, .ctx = &l};
    sp_status st = nodes && l.spikes ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for calibration");
    if (st == SP_OK) {
        nodes[node] = true;
        st = run(c, s, &w, &l, err);
    }
    for (int64_t k = 0; st == SP_OK && k < b->channels; k++)
        b->shift[k] += c->out[i].sum[k] / (double)c->out[i].rows - b->theta[k] * l.spikes[k] / (double)l.rows;
    sp_free(nodes);
    sp_free(l.spikes);
    return st == SP_OK ? load(c, s, err) : st;
}

/* The last layer has no neurons; its outputs are means over time steps. */
static sp_status calibrate_outputs(sp_converter *c, sp_session *s, sp_error *err)
{
    sp_convert_block *b = &c->net->blocks[c->net->n - 1];
    const int64_t classes = s->graph->classes, places = classes / b->channels;
    double *mean = sp_alloc_array((size_t)classes, sizeof *mean);
    sp_status st =
        mean ? mean_outputs(c, s, mean, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for calibration");
    for (int64_t k = 0; st == SP_OK && k < classes; k++) /* [places][channels] */
        b->shift[k % b->channels] += (c->last[k] - mean[k]) / (double)places;
    sp_free(mean);
    return st == SP_OK ? load(c, s, err) : st;
}

static sp_status calibrate(sp_converter *c, sp_session *s, int64_t rounds, sp_error *err)
{
    int node = -1;
    for (int i = 0; i < c->net->n; i++) {
        if (c->net->blocks[i].activation < 0)
            continue;
        do
            node++;
        while (!sp_node_fires(&s->graph->nodes[node]));
        for (int64_t k = 0; k < rounds; k++)
            SP_TRY(calibrate_block(c, i, node, s, err));
    }
    return calibrate_outputs(c, s, err);
}

sp_status sp_converter_make(sp_converter *c, const sp_conversion_options *o, const sp_session_options *so,
                            sp_session **out, sp_error *err)
{
    sp_converted n = {.n_tensors = 0};
    set_thresholds(c, o);
    sp_status st = sp_conversion_network(c->net, &n, err);
    if (st == SP_OK)
        st = open_spiking(c, &n, o->time_steps, so, out, err);
    sp_converted_free(&n);
    if (st == SP_OK)
        st = load(c, *out, err);
    if (st == SP_OK && o->calibrate)
        st = calibrate(c, *out, o->rounds, err);
    return st;
}
