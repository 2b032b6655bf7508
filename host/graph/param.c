/* Parameters of a graph: by name, between the layouts of files and devices, starting values; and the table of
 * layers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "graph/graph.h"

const sp_param *sp_graph_param(const sp_graph *g, const char *name)
{
    for (int i = 0; i < g->n_params; i++)
        if (strcmp(g->params[i].name, name) == 0)
            return &g->params[i];
    return NULL;
}

enum { ROWS = 32, COLS = 128, PAD = 4 };

/* Where the numbers of row o0 and column `at` of a file lie on the device: ROWS of one column side by side.
 */
static int64_t device_at(const sp_param *p, int64_t o0, int64_t at)
{
    const int64_t taps = p->kh * p->kw;
    return (at % taps * p->c + at / taps) * p->o + o0;
}

static void tile_to_device(const sp_param *p, const float *file, int64_t o0, int64_t at, int64_t rows,
                           int64_t n, float *device)
{
    const int64_t cols = p->c * p->kh * p->kw;
    float tile[ROWS][COLS + PAD];
    for (int64_t o = 0; o < rows; o++)
        memcpy(tile[o], file + (o0 + o) * cols + at, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        float *to = device + device_at(p, o0, at + i);
        for (int64_t o = 0; o < rows; o++)
            to[o] = tile[o][i];
    }
}

/* Of 4 by 4, which compilers keep in registers. */
static void transpose_block(float from[restrict][ROWS], float *restrict to, int64_t cols)
{
    float block[4][4];
    for (int i = 0; i < 4; i++)
        for (int o = 0; o < 4; o++)
            block[o][i] = from[i][o];
    for (int o = 0; o < 4; o++)
        memcpy(to + o * cols, block[o], sizeof block[o]);
}

static void tile_to_file(const sp_param *p, const float *device, int64_t o0, int64_t at, int64_t rows,
                         int64_t n, float *file)
{
    const int64_t cols = p->c * p->kh * p->kw;
    float tile[COLS][ROWS];
    for (int64_t i = 0; i < n; i++)
        memcpy(tile[i], device + device_at(p, o0, at + i), (size_t)rows * sizeof(float));
    for (int64_t o = 0; o < rows; o += 4)
        for (int64_t i = 0; i < n; i += 4) {
            float *to = file + (o0 + o) * cols + at + i;
            if (o + 4 <= rows && i + 4 <= n)
                transpose_block((float(*)[ROWS]) & tile[i][o], to, cols);
            else
                for (int64_t r = 0; r < 4 && o + r < rows; r++)
                    for (int64_t k = 0; k < 4 && i + k < n; k++)
                        to[r * cols + k] = tile[i + k][o + r];
        }
}

/* From a file's layout to the device's, or back. Tiles go through a buffer, so that both sides are read and
 * written line by line, however far apart their rows lie. */
static void permute(const sp_param *p, const float *from, float *to,
                    void (*tile)(const sp_param *p, const float *from, int64_t o0, int64_t at, int64_t rows,
                                 int64_t n, float *to))
{
    const int64_t cols = p->c * p->kh * p->kw;
    for (int64_t o0 = 0; o0 < p->o; o0 += ROWS)
        for (int64_t at = 0; at < cols; at += COLS)
            tile(p, from, o0, at, p->o - o0 < ROWS ? p->o - o0 : ROWS, cols - at < COLS ? cols - at : COLS,
                 to);
}

void sp_param_to_device(const sp_param *p, const float *file, float *device)
{
    if (p->role == SP_ROLE_WEIGHT)
        permute(p, file, device, tile_to_device);
    else
        memcpy(device, file, (size_t)p->elems * sizeof(float));
}

void sp_param_to_file(const sp_param *p, const float *device, float *file)
{
    if (p->role == SP_ROLE_WEIGHT)
        permute(p, device, file, tile_to_file);
    else
        memcpy(file, device, (size_t)p->elems * sizeof(float));
}

int64_t sp_param_words(const sp_param *p)
{
    return p->kh * p->kw * ((p->c + 31) / 32) * p->o;
}

/* Word of input channel c of a tap for output o. */
static int64_t word_at(const sp_param *p, int64_t o, int64_t c, int64_t tap)
{
    return (tap * ((p->c + 31) / 32) + c / 32) * p->o + o;
}

void sp_param_pack(const sp_param *p, const float *file, uint32_t *words)
{
    memset(words, 0, (size_t)sp_param_words(p) * sizeof *words);
    for (int64_t o = 0; o < p->o; o++)
        for (int64_t c = 0; c < p->c; c++)
            for (int64_t tap = 0; tap < p->kh * p->kw; tap++)
                words[word_at(p, o, c, tap)] |= (uint32_t) !(*file++ < 0) << c % 32;
}

void sp_param_unpack(const sp_param *p, const uint32_t *words, float *file)
{
    for (int64_t o = 0; o < p->o; o++)
        for (int64_t c = 0; c < p->c; c++)
            for (int64_t tap = 0; tap < p->kh * p->kw; tap++)
                *file++ = words[word_at(p, o, c, tap)] >> c % 32 & 1u ? 1 : -1;
}

static void fill_uniform(float *x, int64_t n, double bound, sp_rng *r)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((2.0 * (double)sp_rng_uniform(r) - 1.0) * bound);
}

static void fill_normal(float *x, int64_t n, double deviation, sp_rng *r)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((double)sp_rng_normal(r) * deviation);
}

static void fill_value(float *x, int64_t n, float value)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
}

void sp_param_initialise(const sp_graph *g, const sp_param *p, uint64_t seed, float *file)
{
    enum { INIT_STREAM = 0x1000 };
    const sp_node *n = &g->nodes[p->node];
    sp_rng r = sp_rng_make(seed, INIT_STREAM + (uint64_t)(p - g->params));
    bool one = p->role == SP_ROLE_GAIN || p->role == SP_ROLE_GAMMA || p->role == SP_ROLE_RUNNING_VAR;
    if (p->role == SP_ROLE_THRESHOLD) {
        fill_value(file, p->elems, (float)n->layer->neuron.v_th);
        return;
    }
    if (p->role == SP_ROLE_NEURON) {
        fill_value(file, p->elems, (float)-log(n->layer->neuron.tau - 1.0));
        return;
    }
    if (p->role != SP_ROLE_WEIGHT && p->role != SP_ROLE_BIAS) {
        fill_value(file, p->elems, one ? 1.0f : 0.0f);
        return;
    }
    const sp_param *w = &g->params[n->weight];
    double fan_in = (double)(w->c * w->kh * w->kw), fan_out = (double)(w->o * w->kh * w->kw);
    switch (p->role == SP_ROLE_WEIGHT ? n->layer->weight_init : n->layer->bias_init) {
    case SP_INIT_FAN_IN_UNIFORM: fill_uniform(file, p->elems, 1.0 / sqrt(fan_in), &r); break;
    case SP_INIT_FAN_OUT_NORMAL: fill_normal(file, p->elems, sqrt(2.0 / fan_out), &r); break;
    case SP_INIT_NORMAL_0_01: fill_normal(file, p->elems, 0.01, &r); break;
    case SP_INIT_ZEROS: fill_value(file, p->elems, 0.0f); break;
    }
}

static const char *const node_names[] = {
    "conv",    "linear",   "batch_norm", "neuron", "avg_pool",   "max_pool", "adaptive_avg_pool",
    "scale",   "dropout",  "residual",   "concat", "layer_norm", "relu",     "delay",
    "synapse", "recurrent"};

void sp_graph_print(const sp_graph *g, sp_text *out)
{
    int64_t macs = 0;
    sp_text_add(out, "%-22s %-18s %-16s %12s %14s\n", "layer", "type", "output C,H,W", "parameters",
                "MACs/step");
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        const sp_activation *a = &g->acts[n->out];
        int64_t params = 0;
        for (int p = 0; p < g->n_params; p++)
            params += g->params[p].node == i && g->params[p].trainable ? g->params[p].elems : 0;
        char shape[64];
        snprintf(shape, sizeof shape, "%lld,%lld,%lld%s", (long long)a->c, (long long)a->h, (long long)a->w,
                 a->bits ? " bits" : "");
        const char *type = n->standardized                       ? "ws_conv"
                           : n->layer->type == SP_LAYER_ADD      ? "add"
                           : n->layer->type == SP_LAYER_RMS_NORM ? "rms_norm"
                           : n->layer->type == SP_LAYER_QCFS     ? "qcfs"
                           : n->scale_folded                     ? "scale (in a gain)"
                           : n->type == SP_NODE_NEURON           ? n->layer->neuron.model
                                                                 : node_names[n->type];
        sp_text_add(out, "%-22s %-18s %-16s %12lld %14lld\n", n->name, type, shape, (long long)params,
                    (long long)sp_graph_macs(g, i));
        macs += sp_graph_macs(g, i);
    }
    sp_text_add(out, "%lld parameters, %.1f M MACs a sample and time step, %lld neurons a sample\n",
                (long long)g->n_trainable, (double)macs * 1e-6, (long long)sp_graph_neurons(g));
}
