/* Nodes into layers. Each either becomes what computes the same, or is refused by name. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nir/walk.h"

enum { MOST_STEPS = 1024 }; /* of a delay layer */
typedef sp_status take_fn(spi_nir_walk *w);

sp_status spi_nir_memory(spi_nir_walk *w)
{
    return SP_FAIL(w->err, SP_E_MEMORY, "out of memory for a NIR graph");
}

sp_status spi_nir_note(spi_nir_walk *w, sp_nir_verdict verdict, const char *why)
{
    char layer[160];
    snprintf(layer, sizeof layer, "%s%d", w->prefix, w->index > 0 ? w->index - 1 : 0);
    return sp_nir_note_add(&w->out->notes, w->node->name, w->node->type, verdict, w->index > 0 ? layer : NULL,
                           w->err, "%s", why);
}

/* ---- parameters ---- */

sp_status spi_nir_need(spi_nir_walk *w, const char *key, const sp_nir_value **out)
{
    *out = sp_nir_find(w->node, key);
    return *out && (*out)->x ? SP_OK : spi_nir_refuse(w, "it has no numbers \"%s\"", key);
}

/* The one number that all elements are. */
sp_status spi_nir_uniform(spi_nir_walk *w, const char *key, double otherwise, double *out)
{
    const sp_nir_value *v = sp_nir_find(w->node, key);
    *out = otherwise;
    if (!v && !isnan(otherwise))
        return SP_OK;
    SP_TRY(spi_nir_need(w, key, &v));
    if (v->n < 1)
        return spi_nir_refuse(w, "\"%s\" is empty", key);
    *out = v->x[0];
    for (int64_t i = 0; i < v->n; i++) {
        if (!isfinite(v->x[i]))
            return spi_nir_refuse(w, "\"%s\" has a number that is not finite", key);
        if (v->x[i] != *out)
            return spi_nir_refuse(w, "\"%s\" differs from neuron to neuron (%g, %g); a layer has one", key,
                                  *out, v->x[i]);
    }
    return SP_OK;
}

/* One or two whole numbers from `low` on, as [y, x]. */
static sp_status pair(spi_nir_walk *w, const char *key, double low, int64_t out[2])
{
    const sp_nir_value *v;
    SP_TRY(spi_nir_need(w, key, &v));
    for (int i = 0; i < 2; i++) {
        double x = v->n == 1 ? v->x[0] : v->n == 2 ? v->x[i] : -1;
        if (!(x >= low && x <= 65536 && x == floor(x)))
            return spi_nir_refuse(w, "\"%s\" is not of one or two whole numbers from %g on", key, low);
        out[i] = (int64_t)x;
    }
    return SP_OK;
}

sp_status spi_nir_copy(spi_nir_walk *w, const char *key, const sp_nir_value *v, const char *suffix,
                       int n_dims, const int64_t *shape)
{
    float *x = spi_nir_tensor(w, suffix, n_dims, shape);
    if (!x)
        return spi_nir_memory(w);
    for (int64_t i = 0; i < v->n; i++) {
        x[i] = (float)v->x[i];
        if (!isfinite(x[i]))
            return spi_nir_refuse(w, "\"%s\" has a number that is not finite as float32", key);
    }
    return SP_OK;
}

static sp_status bias(spi_nir_walk *w, int64_t outputs, const sp_nir_value **out)
{
    *out = sp_nir_find(w->node, "bias");
    if (*out && ((*out)->text || (*out)->n != outputs))
        return spi_nir_refuse(w, "\"bias\" is not of %lld numbers", (long long)outputs);
    return SP_OK;
}

/* ---- layers with weights ---- */

static sp_status take_linear(spi_nir_walk *w)
{
    const sp_nir_value *weight, *b;
    SP_TRY(spi_nir_need(w, "weight", &weight));
    int64_t inputs = w->at.c * w->at.h * w->at.w;
    if (weight->n_dims != 2 || weight->shape[0] < 1)
        return spi_nir_refuse(w, "\"weight\" is not a matrix");
    if (!w->at.vector && !w->at.flat && w->at.h * w->at.w > 1)
        return spi_nir_refuse(w, "its input is %lldx%lldx%lld; a Flatten node has to stand before it",
                              (long long)w->at.c, (long long)w->at.h, (long long)w->at.w);
    if (weight->shape[1] != inputs)
        return spi_nir_refuse(w, "\"weight\" takes %lld numbers, its input has %lld",
                              (long long)weight->shape[1], (long long)inputs);
    SP_TRY(bias(w, weight->shape[0], &b));
    const size_t first = w->out->n_tensors + 1;
    spi_nir_layer(w, "linear, out: %lld, bias: %s", (long long)weight->shape[0], b ? "true" : "false");
    SP_TRY(spi_nir_copy(w, "weight", weight, "weight", 2, weight->shape));
    if (b)
        SP_TRY(spi_nir_copy(w, "bias", b, "bias", 1, weight->shape));
    w->at = (spi_nir_shape){.c = weight->shape[0], .h = 1, .w = 1, .vector = true, .weights = first};
    return spi_nir_note(w, SP_NIR_FAITHFUL, "");
}

/* Padding as numbers; "same" where it is the same on both sides. */
static sp_status padding(spi_nir_walk *w, const int64_t kernel[2], const int64_t stride[2],
                         const int64_t dilation[2], int64_t out[2])
{
    const sp_nir_value *v = sp_nir_find(w->node, "padding");
    if (!v || !v->text)
        return pair(w, "padding", 0, out);
    out[0] = out[1] = 0;
    if (strcmp(v->text, "valid") == 0)
        return SP_OK;
    for (int i = 0; i < 2; i++) {
        if (strcmp(v->text, "same") != 0 || stride[i] != 1 || dilation[i] * (kernel[i] - 1) % 2)
            return spi_nir_refuse(w,
                                  "padding \"%.20s\" cannot be said in numbers that are the same on both "
                                  "sides",
                                  v->text);
        out[i] = dilation[i] * (kernel[i] - 1) / 2;
    }
    return SP_OK;
}

static int64_t window_out(int64_t in, int64_t pad, int64_t dilation, int64_t k, int64_t stride)
{
    int64_t span = in + 2 * pad - dilation * (k - 1) - 1;
    return span < 0 ? 0 : span / stride + 1;
}

static sp_status take_conv(spi_nir_walk *w)
{
    bool line = strcmp(w->node->type, "Conv1d") == 0;
    const sp_nir_value *weight, *b;
    int64_t stride[2], dilation[2], pad[2], groups[2], kernel[2];
    SP_TRY(spi_nir_need(w, "weight", &weight));
    SP_TRY(pair(w, "stride", 1, stride));
    SP_TRY(pair(w, "dilation", 1, dilation));
    SP_TRY(pair(w, "groups", 1, groups));
    if (weight->n_dims != (line ? 3 : 4) || weight->n < 1)
        return spi_nir_refuse(w, "\"weight\" has %d dimensions", weight->n_dims);
    kernel[0] = line ? 1 : weight->shape[2], kernel[1] = weight->shape[line ? 2 : 3];
    SP_TRY(padding(w, kernel, stride, dilation, pad));
    if (line)
        stride[0] = dilation[0] = 1, pad[0] = 0;
    if (w->at.vector || w->at.flat || (line && w->at.h > 1))
        return spi_nir_refuse(w, "its input is no %s", line ? "line of places (C, N)" : "map (C, H, W)");
    if (weight->shape[0] % groups[0] || weight->shape[1] * groups[0] != w->at.c)
        return spi_nir_refuse(w, "\"weight\" takes %lld channels in %lld groups, its input has %lld",
                              (long long)weight->shape[1], (long long)groups[0], (long long)w->at.c);
    SP_TRY(bias(w, weight->shape[0], &b));
    const size_t first = w->out->n_tensors + 1;
    if (line)
        spi_nir_layer(w,
                      "conv1d, out: %lld, kernel: %lld, stride: %lld, padding: %lld, dilation: %lld, groups: "
                      "%lld, bias: %s",
                      (long long)weight->shape[0], (long long)kernel[1], (long long)stride[1],
                      (long long)pad[1], (long long)dilation[1], (long long)groups[0], b ? "true" : "false");
    else
        spi_nir_layer(w,
                      "conv, out: %lld, kernel: [%lld, %lld], stride: [%lld, %lld], padding: [%lld, %lld], "
                      "dilation: [%lld, %lld], groups: %lld, bias: %s",
                      (long long)weight->shape[0], (long long)kernel[0], (long long)kernel[1],
                      (long long)stride[0], (long long)stride[1], (long long)pad[0], (long long)pad[1],
                      (long long)dilation[0], (long long)dilation[1], (long long)groups[0],
                      b ? "true" : "false");
    SP_TRY(spi_nir_copy(w, "weight", weight, "weight", weight->n_dims, weight->shape));
    if (b)
        SP_TRY(spi_nir_copy(w, "bias", b, "bias", 1, weight->shape));
    w->at.h = window_out(w->at.h, pad[0], dilation[0], kernel[0], stride[0]);
    w->at.w = window_out(w->at.w, pad[1], dilation[1], kernel[1], stride[1]);
    w->at.c = weight->shape[0];
    w->at.weights = first;
    return w->at.h < 1 || w->at.w < 1 ? spi_nir_refuse(w, "its kernel does not fit its input")
                                      : spi_nir_note(w, SP_NIR_FAITHFUL, "");
}

/* ---- layers without weights ---- */

static sp_status take_pool(spi_nir_walk *w)
{
    bool sum = strcmp(w->node->type, "SumPool2d") == 0;
    int64_t kernel[2], stride[2], pad[2];
    SP_TRY(pair(w, "kernel_size", 1, kernel));
    SP_TRY(pair(w, "stride", 1, stride));
    SP_TRY(pair(w, "padding", 0, pad));
    if (w->at.vector || w->at.flat)
        return spi_nir_refuse(w, "its input is no map (C, H, W)");
    if (2 * pad[0] > kernel[0] || 2 * pad[1] > kernel[1])
        return spi_nir_refuse(w, "its padding is more than half of its kernel");
    spi_nir_layer(w, "avg_pool, kernel: [%lld, %lld], stride: [%lld, %lld], padding: [%lld, %lld]",
                  (long long)kernel[0], (long long)kernel[1], (long long)stride[0], (long long)stride[1],
                  (long long)pad[0], (long long)pad[1]);
    if (sum)
        spi_nir_layer(w, "scale, factor: %lld", (long long)(kernel[0] * kernel[1]));
    w->at.h = window_out(w->at.h, pad[0], 1, kernel[0], stride[0]);
    w->at.w = window_out(w->at.w, pad[1], 1, kernel[1], stride[1]);
    return w->at.h < 1 || w->at.w < 1
               ? spi_nir_refuse(w, "its kernel does not fit its input")
               : spi_nir_note(w, SP_NIR_FAITHFUL, sum ? "the average times the window's size" : "");
}

static sp_status take_flatten(spi_nir_walk *w)
{
    if (!w->at.vector && !w->at.flat) {
        bool spikes = w->at.spikes;
        spi_nir_layer(w, "flatten");
        w->at.flat = true;
        w->at.spikes = spikes;
    }
    return spi_nir_note(w, SP_NIR_FAITHFUL, "");
}

static sp_status take_scales(spi_nir_walk *w, const double *x)
{
    double *by = sp_alloc_array((size_t)w->at.c, sizeof *by);
    sp_status st = by ? spi_nir_by_channel(w, "\"scale\"", x, by) : spi_nir_memory(w);
    if (st == SP_OK)
        st = spi_nir_scale_channels(w, by);
    sp_free(by);
    return st == SP_OK ? spi_nir_note(w, SP_NIR_FAITHFUL, "a factor of each channel") : st;
}

static sp_status take_scale(spi_nir_walk *w)
{
    spi_nir_each each;
    SP_TRY(spi_nir_numbers(w, "scale", (double)NAN, &each));
    if (each.x)
        return take_scales(w, each.x);
    const double factor = each.one;
    if (factor != 1)
        spi_nir_layer(w, "scale, factor: %.9g", factor);
    return spi_nir_note(w, SP_NIR_FAITHFUL, factor == 1 ? "the identity" : "");
}

static sp_status take_delay(spi_nir_walk *w)
{
    double delay;
    SP_TRY(spi_nir_uniform(w, "delay", (double)NAN, &delay));
    if (delay == 0)
        return spi_nir_note(w, SP_NIR_FAITHFUL, "the identity");
    const double steps = round(delay / w->dt);
    if (!(steps >= 1 && steps <= MOST_STEPS) || fabs(delay / w->dt - steps) > 1e-6 * steps)
        return spi_nir_refuse(w,
                              "a delay of %g s is not of 1 to %d whole time steps of %g s; import with a "
                              "--dt that divides it",
                              delay, MOST_STEPS, w->dt);
    const bool spikes = w->at.spikes;
    spi_nir_layer(w, "delay, steps: %.0f", steps);
    w->at.spikes = spikes;
    return spi_nir_note(w, SP_NIR_FAITHFUL, "");
}

static sp_status take_end(spi_nir_walk *w)
{
    bool inner = strchr(w->node->name, '.') != NULL, input = strcmp(w->node->type, "Input") == 0;
    return inner || input ? spi_nir_note(w, SP_NIR_FAITHFUL, "") : SP_OK; /* the last one: finish() */
}

sp_status spi_nir_take(spi_nir_walk *w)
{
    static const struct {
        const char *type;
        take_fn *take;
    } known[] = {{"Affine", take_linear},   {"Linear", take_linear},     {"Conv1d", take_conv},
                 {"Conv2d", take_conv},     {"AvgPool2d", take_pool},    {"SumPool2d", take_pool},
                 {"Flatten", take_flatten}, {"Scale", take_scale},       {"Delay", take_delay},
                 {"Input", take_end},       {"Output", take_end},        {"LIF", spi_nir_neuron},
                 {"IF", spi_nir_neuron},    {"CubaLIF", spi_nir_neuron}, {"Threshold", spi_nir_neuron},
                 {"I", spi_nir_membrane},   {"LI", spi_nir_membrane},    {"CubaLI", spi_nir_membrane}};
    if (w->at.membrane && strcmp(w->node->type, "Output") != 0 && strcmp(w->node->type, "Flatten") != 0)
        return spi_nir_refuse(w, "it follows neurons without a threshold, which can only be the last ones");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(w->node->type, known[i].type) == 0)
            return known[i].take(w);
    return spi_nir_refuse(w, "there is no layer for a node of this type");
}
