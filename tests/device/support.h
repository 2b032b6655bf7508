/* What the device tests share: a device with a registry, and a rig: a network in YAML made into a plan that
 * holds one mini-batch of random data. No trust here: the kernels themselves are the business of
 * spikeport-check. */
#ifndef TESTS_DEVICE_SUPPORT_H
#define TESTS_DEVICE_SUPPORT_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "exec/executor.h"

static sp_device *dev;
static sp_registry *reg;

static inline void load_registry(void)
{
    sp_error err = {0};
    sp_registry_destroy(&reg);
    cr_assert_eq(sp_registry_create(NULL, &reg, &err), SP_OK, "%s", err.text);
}

static inline void setup(void)
{
    sp_error err = {0};
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    sp_log_set_level(SP_LOG_WARNING);
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
    load_registry();
}

static inline void teardown(void)
{
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
}

/* From here on kernels are chosen as `choice` ("op=variant") says. */
static inline void force(const char *choice)
{
    sp_error err = {0};
    cr_assert_eq(sp_registry_force(reg, choice, &err), SP_OK, "%s", err.text);
}

typedef struct rig {
    sp_graph *g;
    sp_model *m;
    sp_plan *p;
    float *images;
    int32_t *labels, iteration;
    const uint8_t *backprop;
} rig;

static inline sp_plan_options options_of(sp_method method, int64_t batch, int64_t time_steps)
{
    return (sp_plan_options){.method = method,
                             .batch = batch,
                             .time_steps = time_steps,
                             .w_ce = 1,
                             .mse_one_hot = true,
                             .seed = 5,
                             .momentum = 0.9,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .eps = 1e-8,
                             .count_spikes = true};
}

static inline sp_graph *graph_of(const char *layers, const int64_t chw[3])
{
    sp_error err = {0};
    sp_yaml_doc doc;
    sp_network net;
    sp_graph *g = NULL;
    sp_neuron neuron = sp_neuron_default();
    char *text = sp_format("layers:\n%s", layers);
    cr_assert_eq(sp_yaml_parse("test", text, strlen(text), &doc, &err), SP_OK, "%s\n%s", err.text, text);
    cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK, "%s",
                 err.text);
    cr_assert_eq(sp_graph_create(&net, "test", chw[0], chw[1], chw[2], &g, &err), SP_OK, "%s", err.text);
    sp_yaml_free(&doc);
    sp_free(text);
    return g;
}

/* Starting values, with everything that starts as a constant moved off it. */
static inline void random_parameters(rig *r, uint64_t seed)
{
    sp_error err = {0};
    for (int i = 0; i < r->g->n_params; i++) {
        const sp_param *p = &r->g->params[i];
        sp_rng rng = sp_rng_make(seed, 77 + (uint64_t)i);
        float *x = malloc((size_t)p->elems * sizeof *x);
        sp_param_initialise(r->g, p, seed, x);
        for (int64_t k = 0; k < p->elems && p->role != SP_ROLE_WEIGHT && p->trainable; k++)
            x[k] += 0.2f * sp_rng_normal(&rng) + (p->role == SP_ROLE_SKIP_GAIN ? 0.7f : 0.0f);
        cr_assert_eq(sp_model_write(r->m, p, SP_RANGE_WEIGHTS, x, &err), SP_OK, "%s", err.text);
        free(x);
    }
}

/* `skip` samples are drawn and left out: two small batches are then the halves of a large one. */
static inline void random_data(rig *r, uint64_t seed, int64_t skip)
{
    const sp_plan_options *o = &r->p->o;
    size_t n = (size_t)sp_act_elems(&r->g->acts[0]), frames = o->sequence ? (size_t)o->time_steps : 1;
    for (size_t b = 0; b < (size_t)o->batch; b++) {
        r->labels[b] = (int32_t)(((int64_t)b + skip) % r->g->classes);
        for (size_t t = 0; t < frames; t++) {
            sp_rng rng = sp_rng_make(seed, ((uint64_t)skip + b) << 16 | t);
            for (size_t i = 0; i < n; i++)
                r->images[(t * (size_t)o->batch + b) * n + i] = sp_rng_normal(&rng);
        }
    }
}

static inline rig rig_open(const char *layers, const int64_t chw[3], const sp_plan_options *o)
{
    sp_error err = {0};
    rig r = {.g = graph_of(layers, chw), .iteration = 3};
    size_t frames = o->sequence ? (size_t)o->time_steps : 1;
    r.images = calloc(frames * (size_t)o->batch * (size_t)sp_act_elems(&r.g->acts[0]), sizeof *r.images);
    r.labels = calloc((size_t)o->batch, sizeof *r.labels);
    cr_assert_eq(sp_model_create(r.g, dev, o, &r.m, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_plan_create(r.g, r.m, reg, o, &r.p, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_plan_attach(r.p, NULL, &err), SP_OK, "%s", err.text);
    random_parameters(&r, 11);
    random_data(&r, 21, 0);
    return r;
}

static inline void rig_close(rig *r)
{
    sp_plan_destroy(&r->p);
    sp_model_destroy(&r->m);
    sp_graph_destroy(&r->g);
    free(r->images);
    free(r->labels);
}

static inline void rig_run(rig *r)
{
    sp_error err = {0};
    sp_exec_batch b = {.images = r->images,
                       .labels = r->labels,
                       .backprop = r->backprop,
                       .iteration = r->iteration};
    cr_assert_eq(sp_exec_run(r->p, &b, &err), SP_OK, "%s", err.text);
}

/* Runs the mini-batch; the mean loss. */
static inline double rig_loss(rig *r)
{
    sp_error err = {0};
    size_t n = (size_t)r->p->o.batch;
    float *loss = calloc(n, sizeof *loss);
    uint32_t *correct = calloc(n, sizeof *correct);
    double sum = 0;
    rig_run(r);
    cr_assert_eq(sp_exec_results(r->p, loss, correct, &err), SP_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        sum += (double)loss[i];
    free(loss);
    free(correct);
    return sum / (double)n;
}

/* A range of all trainable parameters, one after the other in file layout; free with free(). */
static inline float *rig_read(rig *r, sp_model_range range)
{
    sp_error err = {0};
    float *all = calloc((size_t)r->g->n_trainable, sizeof *all), *at = all;
    for (int i = 0; i < r->g->n_params; i++) {
        const sp_param *p = &r->g->params[i];
        if (!p->trainable)
            continue;
        cr_assert_eq(sp_model_read(r->m, p, range, at, &err), SP_OK, "%s", err.text);
        at += p->elems;
    }
    return all;
}

static inline float *rig_gradient(rig *r)
{
    rig_run(r);
    return rig_read(r, SP_RANGE_GRADIENTS);
}

static inline double largest(const float *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fabs((double)x[i]) > most || isnan(x[i]) ? fabs((double)x[i]) : most;
    return most;
}

/* By tensor: largest difference over the tensor's largest value (of the whole gradient where the tensor is
 * zero but for rounding, as a bias before a batch norm is). */
static inline void expect_same_gradient(const sp_graph *g, const float *a, const float *b, double tolerance,
                                        const char *what)
{
    double all = largest(b, g->n_trainable);
    cr_assert(all > 1e-4 && isfinite(all), "%s: no gradient to compare (%g)", what, all);
    for (int i = 0; i < g->n_params; i++) {
        const sp_param *p = &g->params[i];
        if (!p->trainable)
            continue;
        double most = largest(b, p->elems), worst = 0;
        for (int64_t k = 0; k < p->elems; k++) {
            double d = fabs((double)a[k] - (double)b[k]);
            worst = d > worst || isnan(d) ? d : worst;
        }
        double scale = most > 1e-5 * all ? most : all;
        cr_assert(worst <= tolerance * scale, "%s: %s differs by %g (largest value %g)", what, p->name, worst,
                  most);
        a += p->elems;
        b += p->elems;
    }
}

/* Every neuron model with more than u, and recurrent layers. */
#define EVERY_MODEL                                                                                          \
    "  - {type: conv, out: 6, kernel: 3, stride: 2}\n"                                                       \
    "  - {type: batch_norm}\n"                                                                               \
    "  - {type: plif, tau: 2, v_th: 0.5}\n"                                                                  \
    "  - {type: conv, out: 5, kernel: 2}\n"                                                                  \
    "  - {type: alif, tau_a: 3, beta: 0.4, v_th: 0.3}\n"                                                     \
    "  - {type: flatten}\n"                                                                                  \
    "  - {type: linear, out: 34}\n"                                                                          \
    "  - {type: cuba_lif, tau_syn: 2, tau: 3, v_th: 0.4, recurrent: true}\n"                                 \
    "  - {type: linear, out: 16}\n"                                                                          \
    "  - {type: plif, tau: 3, decay_input: true, v_th: 0.1, recurrent: true, reset: hard}\n"                 \
    "  - {type: linear, out: 4}\n"

/* Every kind of layer but avg_pool and td_batch_norm at small sizes; spikes and real values meet every layer
 * that takes both. */
#define EVERY_LAYER                                                                                          \
    "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"                                                      \
    "  - {type: batch_norm}\n"                                                                               \
    "  - {type: lif}\n"                                                                                      \
    "  - type: residual\n"                                                                                   \
    "    branch: [{type: ws_conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}]\n"                     \
    "    skip_gain: true\n"                                                                                  \
    "    alpha: 0.8\n"                                                                                       \
    "  - {type: lif, tau: 2}\n"                                                                              \
    "  - {type: max_pool, kernel: 2}\n"                                                                      \
    "  - {type: conv, out: 12, kernel: [3, 2], stride: [2, 1], padding: [1, 0], dilation: [1, 2]}\n"         \
    "  - {type: lif, reset: hard, surrogate: atan, decay_input: true, v_th: 0.4}\n"                          \
    "  - {type: adaptive_avg_pool, output: [2, 3]}\n"                                                        \
    "  - {type: scale, factor: 3}\n"                                                                         \
    "  - {type: dropout, p: 0.2}\n"                                                                          \
    "  - {type: flatten}\n"                                                                                  \
    "  - {type: linear, out: 16}\n"                                                                          \
    "  - {type: lif, detach_reset: true, v_th: 0.5}\n"                                                       \
    "  - {type: linear, out: 4}\n"

#endif
