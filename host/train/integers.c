/* Networks of integers of a session: made, run, and compared with the float network. */
#include "train/integers.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/loader.h"
#include "train/checkpoint.h"

enum { CALIBRATION_MOST = 256 }; /* training samples whose inputs are looked at */

static sp_status measure_inputs(const sp_session *s, sp_integer_range *range, sp_error *err)
{
    sp_dataset *ds = NULL;
    if (!s->dev) {
        sp_integer_range_add(range, (const float[]){-1.0f, 0x1p-30f}, 2);
        return SP_OK;
    }
    sp_status st = sp_session_dataset(&s->recipe, true, &ds, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "the range of the inputs is that of the training data: ");
    const size_t frames = ds->info.frames ? (size_t)ds->info.frames : 1,
                 n = frames * sp_dataset_frame_items(&ds->info);
    float *sample = sp_alloc_array(n, sizeof *sample);
    st = sample ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a sample");
    for (size_t i = 0; st == SP_OK && i < ds->info.count && i < CALIBRATION_MOST; i++) {
        int32_t label;
        st = ds->get(ds, (sp_sample_request){.index = i}, sample, &label, err);
        if (st == SP_OK)
            sp_integer_range_add(range, sample, n);
    }
    sp_free(sample);
    sp_dataset_close(&ds);
    return st;
}

/* All parameters in the order of the device. */
static sp_status read_parameters(sp_session *s, float ***params, sp_error *err)
{
    SP_TRY(sp_weights_read(s, params, err));
    for (int i = 0; i < s->graph->n_params; i++) {
        const sp_param *p = &s->graph->params[i];
        float *device = sp_alloc_array((size_t)p->elems, sizeof *device);
        if (!device)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for the parameters");
        sp_param_to_device(p, (*params)[i], device);
        sp_free((*params)[i]);
        (*params)[i] = device;
    }
    return SP_OK;
}

sp_status sp_session_integer(sp_session *s, sp_integer **out, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    if (!r->weight_bits)
        return SP_FAIL(err, SP_E_CONFIG,
                       "precision.weights is float, and a network of integers needs a number of bits; train "
                       "with one, or give it afterwards: --set precision.weights=8");
    if (r->loss)
        return SP_FAIL(err, SP_E_CONFIG,
                       "loss.name is %s, and a network of integers is scored by its largest output, a class; "
                       "use loss.name: cross_entropy",
                       r->loss == SP_LOSS_MSE ? "mse" : "bce");
    sp_integer_options o = {.weight_bits = (int)r->weight_bits,
                            .channel_scales = r->channel_scales,
                            .membrane_bits = (int)r->membrane_bits,
                            .input_bits = (int)r->input_bits,
                            .time_steps = (int)r->time_steps};
    float **params = NULL;
    sp_status st = measure_inputs(s, &o.input, err);
    if (st == SP_OK)
        st = read_parameters(s, &params, err);
    if (st == SP_OK)
        st = sp_integer_create(s->graph, (const float *const *)params, &o, out, err);
    sp_weights_free(s, params);
    return st;
}

sp_status sp_integer_run_open(sp_session *s, const sp_integer *net, int64_t batch, bool plain_c,
                              sp_integer_run *out, sp_error *err)
{
    sp_plan_options o = sp_session_plan_options(s, true);
    o.integer = net;
    o.batch = batch;
    *out = (sp_integer_run){.net = net};
    if (plain_c)
        SP_TRY(sp_model_create(s->graph, NULL, &o, &out->model, err));
    SP_TRY(sp_plan_create(s->graph, plain_c ? out->model : s->model, s->reg, &o, &out->plan, err));
    out->n_codes =
        (size_t)(out->plan->tensors[out->plan->input].bytes / 4) * (size_t)(o.sequence ? o.time_steps : 1);
    out->codes = sp_alloc_pages(out->n_codes, sizeof *out->codes);
    out->outputs = sp_alloc_pages((size_t)(o.batch * s->graph->classes), sizeof *out->outputs);
    out->arena = plain_c ? sp_alloc_pages((size_t)out->plan->arena_bytes, 1) : NULL;
    if (!out->codes || !out->outputs || (plain_c && !out->arena))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the integer network");
    if (plain_c)
        return SP_OK;
    SP_TRY(sp_plan_attach(out->plan, NULL, err));
    return sp_exec_load_constants(out->plan, err);
}

void sp_integer_run_close(sp_integer_run *r)
{
    sp_plan_destroy(&r->plan);
    sp_model_destroy(&r->model);
    sp_free(r->codes), sp_free(r->outputs), sp_free(r->arena);
    *r = (sp_integer_run){.net = NULL};
}

sp_status sp_integer_run_batch(sp_integer_run *r, const float *images, sp_exec_look *look, void *ctx,
                               sp_error *err)
{
    sp_plan *p = r->plan;
    const uint64_t bytes = p->tensors[p->logits_sum].bytes;
    /* codes are as large as the float32 that they stand for, and nothing looks into them on the way */
    const sp_exec_batch batch = {.images = (const float *)(const void *)r->codes};
    r->saturated += sp_integer_encode(r->net, images, r->n_codes, r->codes);
    if (!r->arena) {
        SP_TRY(sp_exec_run(p, &batch, err));
        return sp_plan_read(p, p->logits_sum, 0, r->outputs, bytes, err);
    }
    SP_TRY(sp_exec_reference(p, r->arena, &batch, look, ctx, err));
    memcpy(r->outputs, (char *)r->arena + sp_plan_at(p, p->logits_sum, 0), (size_t)bytes);
    return SP_OK;
}

static int64_t largest(const int32_t *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        if (x[k] > x[best])
            best = k;
    return best;
}

/* ---- the layers beside those of the float network ---- */

/* Spikes of a mini-batch, by layer of neurons and time step. */
typedef struct comparison {
    const sp_session *s;
    uint32_t **spikes; /* [node][time step] of the float network, one after the other */
    int64_t *words;    /* [node] at one time step */
    uint64_t *counts;  /* [node][3]: spikes in float, in integers, differences */
    int failed;
} comparison;

static void see_float(void *ctx, const sp_exec_seen *seen)
{
    comparison *c = ctx;
    const int64_t words = seen->rows * ((seen->cols + 31) / 32);
    uint32_t **kept = &c->spikes[seen->node];
    if (!*kept)
        *kept = sp_alloc_array((size_t)words, (size_t)c->s->recipe.time_steps * sizeof **kept);
    c->failed |= !*kept;
    c->words[seen->node] = words;
    if (*kept)
        memcpy(*kept + words * seen->t, seen->spikes, (size_t)words * sizeof **kept);
}

static void see_integer(void *ctx, const sp_step *s, int t, void *const *buffers)
{
    comparison *c = ctx;
    const int at = sp_op_buffer_index(s->call.op, "s");
    if (strncmp(s->call.op->id, "integer.neuron/", 15) != 0 || s->node < 0 || !c->spikes[s->node])
        return;
    const uint32_t *integer = buffers[at], *real = c->spikes[s->node] + c->words[s->node] * t;
    uint64_t *counts = c->counts + 3 * s->node;
    for (int64_t i = 0; i < c->words[s->node]; i++) {
        counts[0] += (unsigned)__builtin_popcount(real[i]);
        counts[1] += (unsigned)__builtin_popcount(integer[i]);
        counts[2] += (unsigned)__builtin_popcount(real[i] ^ integer[i]);
    }
}

static sp_status score_layers(const comparison *c, sp_integer_scores *out, sp_error *err)
{
    const sp_graph *g = c->s->graph;
    double before = 0, most = -1;
    out->layers = sp_alloc_array((size_t)g->n_nodes + 1, sizeof *out->layers);
    if (!out->layers)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the layers' scores");
    for (int i = 0; i < g->n_nodes; i++) {
        const double n = (double)(sp_act_elems(&g->acts[g->nodes[i].out]) * c->s->eval_batch) *
                         (double)c->s->recipe.time_steps;
        const uint64_t *counts = c->counts + 3 * i;
        if (!c->spikes[i])
            continue;
        sp_integer_layer_score *l = &out->layers[out->n_layers++];
        *l = (sp_integer_layer_score){i, (double)counts[0] / n, (double)counts[1] / n, (double)counts[2] / n};
        if (l->differs - before > most)
            most = l->differs - before, out->worst = out->n_layers - 1;
        before = l->differs;
    }
    return SP_OK;
}

/* One mini-batch in float on the device and in integers in plain C. */
static sp_status compare_layers(sp_session *s, const sp_integer *net, const sp_batch *b,
                                sp_integer_scores *out, sp_error *err)
{
    const size_t nodes = (size_t)s->graph->n_nodes + 1;
    comparison c = {.s = s,
                    .spikes = sp_alloc_array(nodes, sizeof *c.spikes),
                    .words = sp_alloc_array(nodes, sizeof *c.words),
                    .counts = sp_alloc_array(nodes, 3 * sizeof *c.counts)};
    const sp_exec_watcher watcher = {.see = see_float, .ctx = &c};
    const sp_exec_batch batch = {.images = b->images, .labels = b->labels};
    sp_integer_run run = {.net = NULL};
    const bool made = c.spikes && c.words && c.counts;
    sp_status st = made ? sp_exec_watch(s->eval, &batch, &watcher, err) : SP_OK;
    if (st == SP_OK && (c.failed || !made))
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the spikes of a mini-batch");
    if (st == SP_OK)
        st = sp_integer_run_open(s, net, s->eval_batch, true, &run, err);
    if (st == SP_OK)
        st = sp_integer_run_batch(&run, b->images, see_integer, &c, err);
    if (st == SP_OK)
        st = score_layers(&c, out, err);
    sp_integer_run_close(&run);
    for (size_t i = 0; c.spikes && i < nodes; i++)
        sp_free(c.spikes[i]);
    sp_free(c.spikes), sp_free(c.words), sp_free(c.counts);
    return st;
}

static sp_status run_all(sp_session *s, sp_integer_run *run, sp_loader *l, const volatile int *stop,
                         sp_integer_scores *out, sp_error *err)
{
    const int64_t classes = s->graph->classes;
    const sp_batch *b;
    int64_t hits = 0;
    SP_TRY(sp_loader_start(l, 0, 0, err));
    for (;;) {
        SP_TRY(sp_loader_next(l, &b, err));
        if (!b)
            break;
        if (stop && *stop)
            return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted during evaluation");
        if (!out->samples)
            SP_TRY(compare_layers(s, run->net, b, out, err));
        SP_TRY(sp_integer_run_batch(run, b->images, NULL, NULL, err));
        for (size_t i = 0; i < b->n_valid; i++)
            hits += largest(run->outputs + (int64_t)i * classes, classes) == b->labels[i];
        out->digest = sp_hash(out->digest, run->outputs, b->n_valid * (size_t)classes * sizeof *run->outputs);
        out->samples += (int64_t)b->n_valid;
        sp_loader_release(l, b);
    }
    out->accuracy = out->samples ? (double)hits / (double)out->samples : 0;
    out->saturated = run->saturated;
    return SP_OK;
}

sp_status sp_integer_evaluate(sp_session *s, const sp_integer *net, const sp_dataset *ds, bool plain_c,
                              const volatile int *stop, sp_integer_scores *out, sp_error *err)
{
    sp_loader *l = NULL;
    sp_integer_run run = {.net = NULL};
    sp_loader_options lo = sp_session_loader_options(&s->recipe, false);
    lo.batch = (size_t)s->eval_batch;
    *out = (sp_integer_scores){.digest = SP_HASH_START, .worst = -1};
    sp_status st = sp_integer_run_open(s, net, s->eval_batch, plain_c, &run, err);
    if (st == SP_OK)
        st = sp_loader_create(ds, &lo, &l, err);
    if (st == SP_OK)
        st = run_all(s, &run, l, stop, out, err);
    sp_device_finish(s->dev, NULL); /* after an error an upload may still read the loader's memory */
    sp_loader_destroy(&l);
    sp_integer_run_close(&run);
    return st;
}

/* ---- golden vectors ---- */

typedef struct recording {
    const sp_integer *net;
    sp_integer_golden *to;
    int64_t sample;
} recording;

/* The layer that a step is of; node -1 is that of a read-out which counts. */
static int layer_of(const sp_integer *net, const sp_step *s)
{
    if (s->node < 0)
        return net->n - 1;
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].node == s->node || net->layers[i].neuron == s->node)
            return i;
    return -1;
}

/* Rows of numbers, or of bits where they are spikes, at a time step of the sample. */
static void record(const recording *r, int32_t *to, int t, const void *x, bool spikes, int64_t rows,
                   int64_t cols)
{
    const int64_t words = (cols + 31) / 32;
    const uint32_t *bits = x;
    to += (r->sample * r->net->time_steps + t) * rows * cols;
    if (!spikes)
        memcpy(to, x, (size_t)(rows * cols) * sizeof *to);
    for (int64_t i = 0; spikes && i < rows * cols; i++)
        to[i] = bits[i / cols * words + i % cols / 32] >> (i % cols % 32) & 1u;
}

static void see_step(void *ctx, const sp_step *s, int t, void *const *buffers)
{
    const recording *r = ctx;
    const int i = layer_of(r->net, s), x = sp_op_buffer_index(s->call.op, "x");
    const sp_integer_layer *l = &r->net->layers[i];
    const int64_t rows = l->ho * l->wo;
    const bool neuron = strncmp(s->call.op->id, "integer.neuron/", 15) == 0;
    /* inputs that are the same at every time step come once, before the first */
    for (int k = t < 0 ? 0 : t; !neuron && k < (t < 0 ? r->net->time_steps : t + 1); k++)
        record(r, r->to->in[i], k, buffers[x], l->spikes_in, l->h * l->w, l->c);
    if (l->kind == SP_INTEGER_WEIGHTS && !neuron)
        return;
    if (neuron)
        record(r, r->to->u[i], t, buffers[sp_op_buffer_index(s->call.op, "u")], false, rows, l->o);
    record(r, r->to->out[i], t, buffers[sp_op_buffer_index(s->call.op, neuron ? "s" : "y")],
           neuron || l->spikes_out, rows, l->o);
}

static sp_status golden_make(sp_integer_golden *g, const sp_integer *net, size_t n, sp_error *err)
{
    const size_t layers = (size_t)net->n;
    g->n = n;
    g->in = sp_alloc_array(layers, sizeof *g->in);
    g->u = sp_alloc_array(layers, sizeof *g->u);
    g->out = sp_alloc_array(layers, sizeof *g->out);
    g->samples = sp_alloc_array(n, sizeof *g->samples);
    g->labels = sp_alloc_array(n, sizeof *g->labels);
    g->outputs = sp_alloc_array(n, (size_t)net->graph->classes * sizeof *g->outputs);
    bool made = g->in && g->u && g->out && g->samples && g->labels && g->outputs;
    for (int i = 0; made && i < net->n; i++) {
        const sp_integer_layer *l = &net->layers[i];
        const size_t frames = n * (size_t)net->time_steps, outputs = (size_t)sp_integer_outputs(l);
        g->in[i] = sp_alloc_array(frames, (size_t)sp_integer_inputs(l) * sizeof **g->in);
        g->out[i] = sp_alloc_array(frames, outputs * sizeof **g->out);
        g->u[i] = l->kind == SP_INTEGER_WEIGHTS ? sp_alloc_array(frames, outputs * sizeof **g->u) : NULL;
        made = g->in[i] && g->out[i] && (g->u[i] || l->kind != SP_INTEGER_WEIGHTS);
    }
    return made ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for golden vectors");
}

void sp_integer_golden_free(sp_integer_golden *g, int layers)
{
    int32_t **const all[] = {g->in, g->u, g->out};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; all[k] && i < layers; i++)
            sp_free(all[k][i]);
        sp_free(all[k]);
    }
    sp_free(g->samples), sp_free(g->labels), sp_free(g->outputs);
    *g = (sp_integer_golden){.n = 0};
}

sp_status sp_integer_record(sp_session *s, const sp_integer *net, const sp_dataset *ds,
                            const int64_t *samples, size_t n, sp_integer_golden *out, sp_error *err)
{
    recording r = {.net = net, .to = out};
    sp_integer_run run = {.net = NULL};
    const size_t classes = (size_t)s->graph->classes;
    *out = (sp_integer_golden){.n = 0};
    for (size_t i = 0; i < n; i++)
        if (samples[i] < 1 || (size_t)samples[i] > ds->info.count)
            return SP_FAIL(err, SP_E_USAGE, "there is no sample %lld: the test data have 1 to %zu",
                           (long long)samples[i], ds->info.count);
    SP_TRY(golden_make(out, net, n, err));
    sp_status st = sp_integer_run_open(s, net, 1, true, &run, err);
    float *image = st == SP_OK ? sp_alloc_array(run.n_codes, sizeof *image) : NULL;
    if (st == SP_OK && !image)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for golden vectors");
    for (size_t i = 0; st == SP_OK && i < n; i++) {
        out->samples[i] = samples[i];
        r.sample = (int64_t)i;
        st = ds->get(ds, (sp_sample_request){.index = (size_t)samples[i] - 1}, image, &out->labels[i], err);
        if (st == SP_OK)
            st = sp_integer_run_batch(&run, image, see_step, &r, err);
        if (st == SP_OK)
            memcpy(out->outputs + i * classes, run.outputs, classes * sizeof *out->outputs);
    }
    sp_free(image);
    sp_integer_run_close(&run);
    return st;
}
