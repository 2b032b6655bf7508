/* Running a reference case: read it, plan it, one mini-batch, or some with an update behind each, compare
 * every tensor. */
#include "cli/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "config/safetensors.h"
#include "exec/executor.h"

typedef struct running {
    sp_yaml_doc doc;
    sp_tensor_file tensors;
    sp_neuron neuron;
    sp_plan_options o;
    sp_graph *graph;
    sp_model *model;
    sp_plan *plan;
    uint8_t *mask; /* [T] */
    float *images, *class_weights, *targets;
    int32_t *labels;
    int64_t mini_batches; /* that it is trained on; 0: the gradients of one are all */
    double lr;
    double loss_value; /* of the last mini-batch; NAN when the case does not give it */
    double tolerance, largest_gradient;
    double dot, ours2, ref2; /* products of the gradients with each other and themselves */
    sp_verify_case *out;
} running;

static const sp_yaml *need(running *r, const char *key, sp_yaml_kind kind, sp_error *err)
{
    const sp_yaml *n = sp_yaml_get(r->doc.root, key);
    if (!n || n->kind != kind) {
        sp_yaml_fail(n ? n : r->doc.root, err, "a reference case needs \"%s\"%s", key,
                     kind == SP_YAML_LIST  ? ", a list"
                     : kind == SP_YAML_MAP ? ", a map"
                                           : "");
        return NULL;
    }
    return n;
}

static sp_status read_method(running *r, sp_error *err)
{
    static const char *const names[] = {"sltt", "sltt-k", "bptt", "ottt", "rate", "ndot", "ltl"};
    int method = 0;
    int64_t T = 1;
    SP_TRY(sp_yaml_read_choice(r->doc.root, "method", names, 7, &method, err));
    SP_TRY(sp_yaml_read_int(r->doc.root, "time_steps", 1, 100000, &T, err));
    SP_TRY(sp_yaml_read_bool(r->doc.root, "input_is_sequence", &r->o.sequence, err));
    SP_TRY(sp_yaml_read_int(r->doc.root, "truncate", 0, 100000, &r->o.truncate, err));
    SP_TRY(sp_yaml_read_int(r->doc.root, "block", 0, 100000, &r->o.block, err));
    int64_t seed = 0; /* of dropout masks */
    SP_TRY(sp_yaml_read_int(r->doc.root, "seed", 0, INT32_MAX, &seed, err));
    r->o.seed = (uint64_t)seed;
    r->o.method = (sp_method)method;
    r->o.time_steps = T;
    r->mask = sp_alloc((size_t)T);
    if (!r->mask)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    const sp_yaml *steps = sp_yaml_get(r->doc.root, "backprop_steps");
    bool listed = steps && steps->kind == SP_YAML_LIST;
    memset(r->mask, listed ? 0 : 1, (size_t)T);
    for (size_t i = 0; listed && i < steps->n; i++) {
        const sp_yaml *s = steps->items[i];
        if (s->kind != SP_YAML_INT || s->integer < 0 || s->integer >= T)
            return sp_yaml_fail(s, err, "a backprop step must be from 0 to %lld", (long long)T - 1);
        r->mask[s->integer] = 1;
    }
    return SP_OK;
}

static sp_status read_class_weights(running *r, const sp_yaml *list, sp_error *err)
{
    if (!list || list->kind != SP_YAML_LIST)
        return SP_OK;
    r->class_weights = sp_alloc_pages(list->n + 1, sizeof *r->class_weights);
    if (!r->class_weights)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    for (size_t i = 0; i < list->n; i++) {
        double weight = 0;
        SP_TRY(sp_yaml_to_float(list->items[i], "class_weights", 0, 1e6, &weight, err));
        r->class_weights[i] = (float)weight;
    }
    r->o.class_weights = r->class_weights;
    r->o.n_class_weights = (int64_t)list->n;
    return SP_OK;
}

static sp_status read_loss(running *r, sp_error *err)
{
    const sp_yaml *loss = need(r, "loss", SP_YAML_MAP, err);
    if (!loss)
        return SP_E_CONFIG;
    static const char *const names[] = {"cross_entropy", "mse", "bce"};
    int name = SP_LOSS_CROSS_ENTROPY;
    SP_TRY(sp_yaml_read_choice(loss, "name", names, 3, &name, err));
    r->o.loss = (sp_loss)name;
    r->o.w_ce = 1;
    SP_TRY(sp_yaml_read_float(loss, "cross_entropy", 0, 1e6, &r->o.w_ce, err));
    SP_TRY(sp_yaml_read_float(loss, "mse", 0, 1e6, &r->o.w_mse, err));
    static const char *const of[] = {"step", "mean", "count"};
    int loss_of = SP_LOSS_OF_STEP;
    SP_TRY(sp_yaml_read_choice(loss, "of", of, 3, &loss_of, err));
    r->o.loss_of = (sp_loss_of)loss_of;
    SP_TRY(sp_yaml_read_float(loss, "membrane", 0, 1e6, &r->o.w_membrane, err));
    SP_TRY(sp_yaml_read_float(loss, "label_smoothing", 0, 1, &r->o.label_smoothing, err));
    SP_TRY(read_class_weights(r, sp_yaml_get(loss, "class_weights"), err));
    const sp_yaml *target = sp_yaml_get(loss, "mse_target");
    r->o.mse_one_hot = !target || target->kind == SP_YAML_STRING;
    if (!r->o.mse_one_hot)
        r->o.mse_target = target->number;
    const sp_yaml *value = sp_yaml_get(r->doc.root, "loss_value");
    r->loss_value =
        value && (value->kind == SP_YAML_FLOAT || value->kind == SP_YAML_INT) ? value->number : (double)NAN;
    return SP_OK;
}

/* How a case trains: the same mini-batch again and again. */
static sp_status read_training(running *r, sp_error *err)
{
    static const char *const kinds[] = {"none", "bso", "t-bso"};
    const sp_yaml *t = sp_yaml_get(r->doc.root, "training");
    int binary = SP_BINARY_NONE;
    if (!t || t->kind != SP_YAML_MAP)
        return SP_OK;
    r->mini_batches = 1;
    SP_TRY(sp_yaml_read_int(t, "mini_batches", 1, 1000, &r->mini_batches, err));
    SP_TRY(sp_yaml_read_bool(t, "online_update", &r->o.online_update, err));
    SP_TRY(sp_yaml_read_float(t, "lr", 0, 1e6, &r->lr, err));
    SP_TRY(sp_yaml_read_float(t, "momentum", 0, 1, &r->o.momentum, err));
    SP_TRY(sp_yaml_read_choice(t, "binary", kinds, 3, &binary, err));
    r->o.binary = (sp_binary)binary;
    SP_TRY(sp_yaml_read_float(t, "flip_bar", 0, 1e6, &r->o.flip_bar, err));
    SP_TRY(sp_yaml_read_float(t, "flip_beta1", 0, 1, &r->o.flip_beta1, err));
    return sp_yaml_read_float(t, "flip_beta2", 0, 1, &r->o.flip_beta2, err);
}

static void set_batch_norm(sp_layer *layers, size_t n, double eps, double momentum)
{
    for (size_t i = 0; i < n; i++) {
        sp_layer *l = &layers[i];
        if (l->type == SP_LAYER_BATCH_NORM || l->type == SP_LAYER_TD_BATCH_NORM)
            l->eps = eps, l->momentum = momentum;
        set_batch_norm(l->pre, l->n_pre, eps, momentum);
        set_batch_norm(l->branch, l->n_branch, eps, momentum);
        set_batch_norm(l->shortcut, l->n_shortcut, eps, momentum);
    }
}

/* Shape of the input in the file: [T] N C H W, or [T] N F. */
static sp_status read_input_shape(running *r, int64_t chw[3], sp_error *err)
{
    const sp_tensor *x = sp_tensors_find(&r->tensors, "input");
    int lead = r->o.sequence ? 2 : 1;
    if (!x || (x->n_dims != lead + 1 && x->n_dims != lead + 3))
        return SP_FAIL(err, SP_E_DATA, "%s: \"input\" must be %s N,features or N,C,H,W", r->tensors.path,
                       r->o.sequence ? "T," : "");
    if (r->o.sequence && x->shape[0] != r->o.time_steps)
        return SP_FAIL(err, SP_E_DATA, "%s: \"input\" has %lld steps, time_steps says %lld", r->tensors.path,
                       (long long)x->shape[0], (long long)r->o.time_steps);
    r->o.batch = x->shape[lead - 1];
    chw[0] = x->shape[lead];
    chw[1] = x->n_dims == lead + 3 ? x->shape[lead + 1] : 1;
    chw[2] = x->n_dims == lead + 3 ? x->shape[lead + 2] : 1;
    return SP_OK;
}

static sp_status read_graph(running *r, sp_error *err)
{
    sp_network net = {0};
    int64_t chw[3] = {0};
    const sp_yaml *neuron = sp_yaml_get(r->doc.root, "neuron"),
                  *layers = need(r, "layers", SP_YAML_LIST, err);
    const sp_yaml *bn = sp_yaml_get(r->doc.root, "batch_norm");
    double eps = 1e-5, momentum = 0.1;
    if (!layers)
        return SP_E_CONFIG;
    r->neuron = sp_neuron_default();
    if (neuron && neuron->kind == SP_YAML_MAP)
        SP_TRY(sp_neuron_read(neuron, &r->neuron, err));
    SP_TRY(read_input_shape(r, chw, err));
    if (bn && bn->kind == SP_YAML_MAP) {
        SP_TRY(sp_yaml_read_float(bn, "eps", 0, 1, &eps, err));
        SP_TRY(sp_yaml_read_float(bn, "momentum", 0, 1, &momentum, err));
    }
    const sp_yaml *statistics = bn && bn->kind == SP_YAML_MAP ? sp_yaml_get(bn, "statistics") : NULL;
    r->o.online_norm =
        statistics && statistics->kind == SP_YAML_STRING && strcmp(statistics->text, "running") == 0;
    SP_TRY(sp_network_parse(layers, &r->neuron, &net, err));
    set_batch_norm(net.layers, net.n, eps, momentum);
    return sp_graph_create(&net, r->doc.file, chw[0], chw[1], chw[2], &r->graph, err);
}

/* A row of numbers for each sample, in place of labels. */
static sp_status load_targets(running *r, const sp_tensor *y, sp_error *err)
{
    r->targets = sp_alloc_pages((size_t)sp_tensor_elems(y), sizeof *r->targets);
    return r->targets ? sp_tensor_to_f32(y, r->targets, err)
                      : SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
}

/* From N,C,H,W to N,H,W,C, of n pieces of one activation. */
static void to_device_order(const float *file, int64_t n, const sp_activation *a, float *to)
{
    const int64_t hw = a->h * a->w;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < a->c; c++)
            for (int64_t p = 0; p < hw; p++)
                to[(i * hw + p) * a->c + c] = file[(i * a->c + c) * hw + p];
}

/* Input to [T][N][H][W][C], labels to int32. */
static sp_status load_batch(running *r, sp_error *err)
{
    const sp_tensor *x = sp_tensors_find(&r->tensors, "input"), *y = sp_tensors_find(&r->tensors, "target");
    const sp_activation *a = &r->graph->acts[0];
    int64_t images = r->o.batch * (r->o.sequence ? r->o.time_steps : 1), n = sp_tensor_elems(x);
    const int64_t numbers = r->o.batch * (r->o.loss ? r->graph->classes : 1);
    if (!y || sp_tensor_elems(y) != numbers)
        return SP_FAIL(err, SP_E_DATA, "%s: \"target\" must have %lld numbers for %lld samples",
                       r->tensors.path, (long long)numbers, (long long)r->o.batch);
    float *chw = sp_alloc_array((size_t)n, sizeof *chw);
    double *labels = sp_alloc_array((size_t)r->o.batch, sizeof *labels);
    r->images = sp_alloc_pages((size_t)n, sizeof *r->images);
    r->labels = sp_alloc_pages((size_t)r->o.batch, sizeof *r->labels);
    sp_status st = chw && labels && r->images && r->labels
                       ? SP_OK
                       : SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    if (st == SP_OK)
        st = sp_tensor_to_f32(x, chw, err);
    if (st == SP_OK)
        st = r->o.loss ? load_targets(r, y, err) : sp_tensor_to_f64(y, labels, err);
    if (st == SP_OK)
        to_device_order(chw, images, a, r->images);
    for (int64_t i = 0; st == SP_OK && i < r->o.batch; i++)
        if (labels[i] < 0 || labels[i] >= (double)r->graph->classes)
            st = SP_FAIL(err, SP_E_DATA, "%s: \"target\": label %g of sample %lld is not from 0 to %lld",
                         r->tensors.path, labels[i], (long long)i, (long long)r->graph->classes - 1);
        else
            r->labels[i] = (int32_t)labels[i];
    sp_free(chw);
    sp_free(labels);
    return st;
}

static sp_status load_parameters(running *r, uint64_t seed, sp_error *err)
{
    int64_t most = 1;
    for (int i = 0; i < r->graph->n_params; i++)
        most = r->graph->params[i].elems > most ? r->graph->params[i].elems : most;
    float *x = sp_alloc_array((size_t)most, sizeof *x);
    sp_status st = x ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    for (int i = 0; i < r->graph->n_params && st == SP_OK; i++) {
        const sp_param *p = &r->graph->params[i];
        char name[160];
        snprintf(name, sizeof name, "param.%s", p->name);
        const sp_tensor *t = sp_tensors_find(&r->tensors, name);
        if (t && sp_tensor_elems(t) == p->elems)
            st = sp_tensor_to_f32(t, x, err);
        else if (p->trainable)
            st = SP_FAIL(err, SP_E_DATA, "%s: tensor \"%s\" with %lld elements is missing", r->tensors.path,
                         name, (long long)p->elems);
        else
            sp_param_initialise(r->graph, p, seed, x);
        if (st == SP_OK)
            st = sp_model_write(r->model, p, SP_RANGE_WEIGHTS, x, err);
    }
    sp_free(x);
    return st;
}

/* ltl: what a teacher gives for the layer, "teacher.LAYER". */
static sp_status load_layer_target(running *r, int node, sp_error *err)
{
    const int tensor = r->plan->layer_targets[node];
    const sp_activation *a = &r->graph->acts[r->graph->nodes[node].out];
    const int64_t n = r->o.batch * sp_act_elems(a);
    char name[160];
    snprintf(name, sizeof name, "teacher.%s", r->graph->nodes[node].name);
    const sp_tensor *t = sp_tensors_find(&r->tensors, name);
    if (!t || sp_tensor_elems(t) != n)
        return SP_FAIL(err, SP_E_DATA, "%s: tensor \"%s\" with %lld elements is missing", r->tensors.path,
                       name, (long long)n);
    float *file = sp_alloc_array((size_t)n, sizeof *file), *x = sp_alloc_pages((size_t)n, sizeof *x);
    sp_status st =
        file && x ? sp_tensor_to_f32(t, file, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for a target");
    if (st == SP_OK) {
        to_device_order(file, r->o.batch, a, x);
        st = sp_device_write(r->plan->dev, sp_plan_tensor_range(r->plan, tensor, 0), x, (size_t)n * sizeof *x,
                             true, err);
    }
    sp_free(file);
    sp_free(x);
    return st;
}

static sp_status load_layer_targets(running *r, sp_error *err)
{
    for (int i = 0; i < r->graph->n_nodes; i++)
        if (r->plan->layer_targets[i] >= 0)
            SP_TRY(load_layer_target(r, i, err));
    return SP_OK;
}

static sp_status add_row(running *r, const char *name, double error, sp_error *err)
{
    sp_verify_case *c = r->out;
    sp_verify_row *row = sp_array_push(&c->rows, c->n_rows, sizeof *row);
    if (!row)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    c->n_rows++;
    *row = (sp_verify_row){.error = error, .passed = error <= r->tolerance || r->o.half || r->o.bf16};
    snprintf(row->name, sizeof row->name, "%s", name);
    c->passed = c->passed && row->passed;
    c->worst = error > c->worst || isnan(error) ? error : c->worst;
    return SP_OK;
}

/* A gradient that is zero but for the reference's own float64 rounding (a bias before batch norm) has no
 * scale of its own: it is judged against the largest gradient of the case. */
static double relative_error(const float *ours, const double *ref, int64_t n, double largest_gradient)
{
    const double zero = 1e-12;
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)ours[i] - ref[i]);
        worst = d > worst || isnan(d) ? d : worst;
        largest = fabs(ref[i]) > largest ? fabs(ref[i]) : largest;
    }
    if (largest <= zero * largest_gradient)
        largest = largest_gradient;
    return largest > 0 ? worst / largest : worst;
}

/* Largest |value| over the case's grad.* tensors. */
static sp_status find_largest_gradient(running *r, sp_error *err)
{
    for (size_t i = 0; i < r->tensors.n; i++) {
        const sp_tensor *t = &r->tensors.items[i];
        int64_t n = sp_tensor_elems(t);
        if (strncmp(t->name, "grad.", 5) != 0)
            continue;
        double *x = sp_alloc_array((size_t)n + 1, sizeof *x);
        sp_status st =
            x ? sp_tensor_to_f64(t, x, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
        for (int64_t k = 0; st == SP_OK && k < n; k++)
            r->largest_gradient = fabs(x[k]) > r->largest_gradient ? fabs(x[k]) : r->largest_gradient;
        sp_free(x);
        SP_TRY(st);
    }
    return SP_OK;
}

static sp_status read_ours(running *r, const sp_tensor *t, float *ours, sp_error *err)
{
    const char *dot = strchr(t->name, '.');
    if (strcmp(t->name, "logits_sum") == 0) {
        int64_t n = r->o.batch * r->graph->classes;
        if (sp_tensor_elems(t) != n)
            return SP_FAIL(err, SP_E_DATA, "%s: logits_sum has another shape than the network's",
                           r->tensors.path);
        return sp_device_read(r->plan->dev, sp_plan_tensor_range(r->plan, r->plan->logits_sum, 0), ours,
                              (size_t)n * sizeof *ours, err);
    }
    const sp_param *p = dot ? sp_graph_param(r->graph, dot + 1) : NULL;
    if (!p || p->elems != sp_tensor_elems(t))
        return SP_FAIL(err, SP_E_DATA, "%s: the network has no parameter for \"%s\"", r->tensors.path,
                       t->name);
    return sp_model_read(r->model, p,
                         strncmp(t->name, "grad.", 5) == 0 ? SP_RANGE_GRADIENTS : SP_RANGE_WEIGHTS, ours,
                         err);
}

static void add_products(running *r, const float *ours, const double *ref, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        r->dot += (double)ours[i] * ref[i];
        r->ours2 += (double)ours[i] * (double)ours[i];
        r->ref2 += ref[i] * ref[i];
    }
}

/* Two gradients that are both zero point the same way. */
static void judge_direction(running *r)
{
    bool any = r->ours2 > 0 || r->ref2 > 0;
    r->out->cosine = any ? r->dot / sqrt(r->ours2 * r->ref2) : (double)NAN;
    if ((r->o.half || r->o.bf16) && any && !(r->out->cosine >= 1 - r->tolerance))
        r->out->passed = false;
}

static sp_status compare_tensor(running *r, const sp_tensor *t, sp_error *err)
{
    int64_t n = sp_tensor_elems(t);
    float *ours = sp_alloc_pages((size_t)n + 1, sizeof *ours);
    double *ref = sp_alloc_array((size_t)n + 1, sizeof *ref);
    sp_status st = ours && ref ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    if (st == SP_OK)
        st = sp_tensor_to_f64(t, ref, err);
    if (st == SP_OK)
        st = read_ours(r, t, ours, err);
    if (st == SP_OK && strncmp(t->name, "grad.", 5) == 0)
        add_products(r, ours, ref, n);
    if (st == SP_OK)
        st =
            add_row(r, t->name,
                    relative_error(ours, ref, n, strncmp(t->name, "grad.", 5) == 0 ? r->largest_gradient : 0),
                    err);
    sp_free(ours);
    sp_free(ref);
    return st;
}

static bool is_expected(const char *name)
{
    return strncmp(name, "grad.", 5) == 0 || strncmp(name, "after.", 6) == 0 ||
           strcmp(name, "logits_sum") == 0;
}

static sp_status compare(running *r, sp_error *err)
{
    float *loss = sp_alloc_pages((size_t)r->o.batch, sizeof *loss);
    uint32_t *correct = sp_alloc_pages((size_t)r->o.batch, sizeof *correct);
    sp_status st = loss && correct ? sp_exec_results(r->plan, loss, correct, err)
                                   : SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    double sum = 0;
    for (int64_t i = 0; st == SP_OK && i < r->o.batch; i++)
        sum += (double)loss[i];
    if (st == SP_OK && !isnan(r->loss_value))
        st = add_row(r, "loss_value", fabs(sum / (double)r->o.batch - r->loss_value) / fabs(r->loss_value),
                     err);
    if (st == SP_OK)
        st = find_largest_gradient(r, err);
    for (size_t i = 0; i < r->tensors.n && st == SP_OK; i++)
        if (is_expected(r->tensors.items[i].name))
            st = compare_tensor(r, &r->tensors.items[i], err);
    judge_direction(r);
    sp_free(loss);
    sp_free(correct);
    if (st == SP_OK && r->out->n_rows == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: nothing to compare with (no grad.*, logits_sum or after.*)",
                     r->tensors.path);
    return st;
}

static void note_forced(void *ctx, const sp_step *s)
{
    running *r = ctx;
    for (size_t i = 0; i < r->plan->reg->n_forced; i++)
        r->out->used[i] = r->out->used[i] || sp_step_is_forced(r->plan->reg, i, s);
}

static sp_status run(running *r, sp_error *err)
{
    sp_exec_batch batch = {
        .images = r->images, .labels = r->labels, .targets = r->targets, .backprop = r->mask, .lr = r->lr};
    do {
        SP_TRY(sp_exec_run(r->plan, &batch, err));
        if (r->mini_batches && !r->o.online_update)
            SP_TRY(sp_exec_update(r->plan, r->lr, batch.iteration + 1, err));
    } while (++batch.iteration < r->mini_batches);
    r->out->used = sp_alloc_array(r->plan->reg->n_forced + 1, sizeof *r->out->used);
    if (!r->out->used)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    sp_exec_steps(r->plan, &batch, note_forced, r);
    const sp_segment *update = &r->plan->segments[SP_SEGMENT_UPDATE];
    for (int i = 0; r->mini_batches && !r->o.online_update && i < update->n; i++)
        note_forced(r, &update->steps[i]);
    return SP_OK;
}

static void fini(running *r)
{
    sp_plan_destroy(&r->plan);
    sp_model_destroy(&r->model);
    sp_graph_destroy(&r->graph);
    sp_tensors_free(&r->tensors);
    sp_yaml_free(&r->doc);
    sp_free(r->mask);
    sp_free(r->images);
    sp_free(r->labels);
    sp_free(r->targets);
    sp_free(r->class_weights);
}

sp_status sp_verify_run(const char *json_path, sp_device *dev, sp_registry *reg, double tolerance,
                        sp_verify_precision precision, sp_verify_case *out, sp_error *err)
{
    running r = {.out = out,
                 .tolerance = tolerance,
                 .o = {.half = precision.half, .bf16 = precision.bf16 ? SP_BF16_ALL : SP_BF16_NONE}};
    sp_status st = SP_OK;
    size_t stem = strlen(json_path) > 5 ? strlen(json_path) - 5 : 0;
    const char *slash = strrchr(json_path, '/');
    *out = (sp_verify_case){.passed = true};
    snprintf(out->name, sizeof out->name, "%.*s", (int)(json_path + stem - (slash ? slash + 1 : json_path)),
             slash ? slash + 1 : json_path);
    char *tensors = sp_format("%.*s.safetensors", (int)stem, json_path);
    if (!tensors)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a reference case");
    SP_TRY_GOTO(sp_yaml_load(json_path, &r.doc, err));
    SP_TRY_GOTO(sp_tensors_read(tensors, &r.tensors, err));
    SP_TRY_GOTO(sp_tensors_check_finite(&r.tensors, err));
    SP_TRY_GOTO(read_method(&r, err));
    SP_TRY_GOTO(read_loss(&r, err));
    SP_TRY_GOTO(read_training(&r, err));
    SP_TRY_GOTO(read_graph(&r, err));
    SP_TRY_GOTO(load_batch(&r, err));
    SP_TRY_GOTO(sp_model_create(r.graph, dev, &r.o, &r.model, err));
    SP_TRY_GOTO(load_parameters(&r, 1, err));
    SP_TRY_GOTO(sp_plan_create(r.graph, r.model, reg, &r.o, &r.plan, err));
    SP_TRY_GOTO(sp_plan_attach(r.plan, NULL, err));
    SP_TRY_GOTO(load_layer_targets(&r, err));
    SP_TRY_GOTO(run(&r, err));
    SP_TRY_GOTO(compare(&r, err));
done:
    fini(&r);
    sp_free(tensors);
    if (st != SP_OK)
        sp_verify_free(out);
    return st;
}

void sp_verify_free(sp_verify_case *c)
{
    sp_free(c->rows);
    sp_free(c->used);
    c->rows = NULL;
    c->used = NULL;
    c->n_rows = 0;
}
