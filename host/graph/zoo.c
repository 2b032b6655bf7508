/* Writers of network files. Layers, strides, biases and starting values are those of the papers' public code;
 * where two layers differ (ResNet-18's convolution biases start as PyTorch's default, VGG's at zero), so do
 * the files. */
#include "graph/zoo.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"

typedef struct writer {
    sp_text *out;
    int indent;
    sp_zoo_options o; /* defaults filled in */
} writer;

static void layer(writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void layer(writer *w, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sp_text_add(w->out, "%*s- {type: %s}\n", w->indent, "", text);
}

static void note(writer *w, const char *what, int64_t n, const char *unit)
{
    sp_text_add(w->out, "%*s# %s: %lld %s\n", w->indent, "", what, (long long)n, unit);
}

static int64_t scaled(const writer *w, int64_t channels)
{
    int64_t n = llround((double)channels * w->o.width);
    return n < 1 ? 1 : n;
}

/* type: conv or ws_conv; rest: what a file says after the geometry, as ", bias: false". */
static void conv(writer *w, const char *type, int64_t out, int kernel, int stride, const char *rest)
{
    char in[32] = "", geometry[48] = "";
    int n = 0;
    if (w->o.channels > 0) /* the first layer */
        snprintf(in, sizeof in, ", in: %lld", (long long)w->o.channels);
    w->o.channels = 0;
    if (stride > 1)
        n = snprintf(geometry, sizeof geometry, ", stride: %d", stride);
    if (kernel > 1)
        snprintf(geometry + n, sizeof geometry - (size_t)n, ", padding: %d", kernel / 2);
    layer(w, "%s%s, out: %lld, kernel: %d%s, weight_init: fan_out_normal%s", type, in, (long long)out, kernel,
          geometry, rest);
}

static void dropout(writer *w)
{
    if (w->o.dropout > 0)
        layer(w, "dropout, p: %.9g", w->o.dropout);
}

static void linear(writer *w, const char *rest)
{
    layer(w, "flatten");
    layer(w, "linear, out: %lld%s", (long long)w->o.classes, rest);
}

static void norm_and_fire(writer *w)
{
    layer(w, "batch_norm");
    layer(w, "lif");
}

/* ---- residual layers: begin, then pre / branch / shortcut, each followed by its layers, then end ---- */

static void residual_begin(writer *w)
{
    sp_text_add(w->out, "%*s- type: residual\n", w->indent, "");
    w->indent += 4;
}

static void path(writer *w, const char *key)
{
    sp_text_add(w->out, "%*s%s:\n", w->indent - 2, "", key);
}

static void residual_end(writer *w)
{
    w->indent -= 4;
}

/* ---- ResNet-18 for 32x32 images, pre-activation ---- */

static void resnet18_block(writer *w, int64_t in, int64_t out, int stride)
{
    residual_begin(w);
    path(w, "pre"); /* the identity path carries these spikes, not the block's input */
    norm_and_fire(w);
    path(w, "branch");
    conv(w, "conv", out, 3, stride, "");
    norm_and_fire(w);
    dropout(w);
    conv(w, "conv", out, 3, 1, "");
    if (stride != 1 || in != out) {
        path(w, "shortcut");
        conv(w, "conv", out, 1, stride, "");
    }
    residual_end(w);
}

static void resnet18(writer *w)
{
    int64_t in = scaled(w, 64);
    conv(w, "conv", in, 3, 1, ", bias: false");
    for (int stage = 0; stage < 4; stage++) {
        int64_t out = scaled(w, (int64_t)64 << stage);
        note(w, "stage", out, "channels");
        resnet18_block(w, in, out, stage ? 2 : 1);
        resnet18_block(w, out, out, 1);
        in = out;
    }
    note(w, "head", w->o.classes, "classes");
    norm_and_fire(w);
    layer(w, "avg_pool, kernel: 4");
    dropout(w);
    linear(w, ", bias_init: zeros");
}

/* ---- VGG ---- */

static const double ws_gain = 2.74; /* keeps the variance through a weight-standardised layer and a neuron */

static void fire_and_scale(writer *w)
{
    layer(w, "lif");
    dropout(w);
    layer(w, "scale, factor: %.9g", ws_gain);
}

/* plan: channel counts; 0 stands for an average pool, -1 for the end. */
static void vgg(writer *w, const int64_t *plan, bool standardised)
{
    for (; *plan >= 0; plan++) {
        if (*plan == 0) {
            layer(w, "avg_pool, kernel: 2");
            continue;
        }
        conv(w, standardised ? "ws_conv" : "conv", scaled(w, *plan), 3, 1, ", bias_init: zeros");
        if (standardised) {
            fire_and_scale(w);
        } else {
            norm_and_fire(w);
            dropout(w);
        }
    }
}

static void vgg11_bn(writer *w)
{
    vgg(w, (const int64_t[]){64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0, -1}, false);
    layer(w, "adaptive_avg_pool, output: 7");
    linear(w, ", weight_init: normal_0.01, bias_init: zeros");
}

static void vgg11_ws(writer *w)
{
    vgg(w, (const int64_t[]){64, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, -1}, true);
    layer(w, "adaptive_avg_pool, output: 1");
    linear(w, ", weight_init: normal_0.01, bias_init: zeros");
}

static void vgg9_small(writer *w)
{
    vgg(w, (const int64_t[]){16, 16, 0, 32, 32, 0, 64, 64, 64, 0, -1}, false);
    layer(w, "flatten");
    layer(w, "linear, out: %lld", (long long)scaled(w, 128));
    norm_and_fire(w);
    dropout(w);
    layer(w, "linear, out: %lld", (long long)w->o.classes);
}

/* ---- NF-ResNet: weight standardisation and a learnt gain at the end of each branch in place of batch norm
 * ---- */

typedef struct nf_shape {
    int blocks[4];
    bool bottleneck;
} nf_shape;

static const double nf_alpha = 0.2;

/* variance: what the block's input is expected to have; its root is divided out before the first neuron. */
static void nf_block(writer *w, int64_t mid, int64_t out, int stride, bool shortcut, double variance,
                     bool bottleneck)
{
    const char *rest = ", bias_init: zeros";
    residual_begin(w);
    path(w, "pre");
    if (variance > 1.0)
        layer(w, "scale, factor: %.9g", 1.0 / sqrt(variance));
    fire_and_scale(w);
    path(w, "branch");
    if (bottleneck) {
        conv(w, "ws_conv", mid, 1, 1, rest);
        fire_and_scale(w);
    }
    conv(w, "ws_conv", mid, 3, stride, rest);
    fire_and_scale(w);
    conv(w, "ws_conv", out, bottleneck ? 1 : 3, 1, rest);
    if (shortcut) {
        path(w, "shortcut");
        conv(w, "ws_conv", out, 1, stride, rest);
    }
    sp_text_add(w->out, "%*sidentity_from: input\n%*sskip_gain: true\n%*salpha: %.9g\n", w->indent - 2, "",
                w->indent - 2, "", w->indent - 2, "", nf_alpha);
    residual_end(w);
}

static void nf_resnet(writer *w, const nf_shape *s)
{
    int64_t in = scaled(w, 64), expansion = s->bottleneck ? 4 : 1;
    double variance = 1;
    conv(w, "ws_conv", in, 7, 2, ", bias_init: zeros");
    layer(w, "avg_pool, kernel: 3, stride: 2, padding: 1");
    for (int stage = 0; stage < 4; stage++) {
        int64_t mid = scaled(w, (int64_t)64 << stage), out = mid * expansion;
        note(w, "stage", out, "channels");
        for (int i = 0; i < s->blocks[stage]; i++) {
            int stride = i == 0 && stage > 0 ? 2 : 1;
            bool shortcut = stride != 1 || in != out;
            nf_block(w, mid, out, stride, shortcut, variance, s->bottleneck);
            variance = (shortcut ? 1 : variance) + nf_alpha * nf_alpha;
            in = out;
        }
    }
    note(w, "head, on real values", w->o.classes, "classes");
    layer(w, "adaptive_avg_pool, output: 1");
    linear(w, ", weight_init: zeros");
}

static void nf_resnet34(writer *w)
{
    nf_resnet(w, &(nf_shape){{3, 4, 6, 3}, false});
}

static void nf_resnet50(writer *w)
{
    nf_resnet(w, &(nf_shape){{3, 4, 6, 3}, true});
}

static void nf_resnet101(writer *w)
{
    nf_resnet(w, &(nf_shape){{3, 4, 23, 3}, true});
}

/* ---- SEW ResNet: a block adds the spikes of its branch to those of its identity path ---- */

static void sew_layer(writer *w, int64_t out, int kernel, int stride)
{
    conv(w, "conv", out, kernel, stride, ", bias: false");
    norm_and_fire(w);
}

static void sew_resnet(writer *w, const int blocks[4])
{
    int64_t in = scaled(w, 64);
    sew_layer(w, in, 7, 2);
    layer(w, "max_pool, kernel: 3, stride: 2, padding: 1");
    for (int stage = 0; stage < 4; stage++) {
        int64_t out = scaled(w, (int64_t)64 << stage);
        note(w, "stage", out, "channels");
        for (int i = 0; i < blocks[stage]; i++, in = out) {
            int stride = i == 0 && stage > 0 ? 2 : 1;
            residual_begin(w);
            path(w, "branch");
            sew_layer(w, out, 3, stride);
            sew_layer(w, out, 3, 1);
            if (stride != 1 || in != out) {
                path(w, "shortcut");
                sew_layer(w, out, 1, stride);
            }
            residual_end(w);
        }
    }
    note(w, "head", w->o.classes, "classes");
    layer(w, "adaptive_avg_pool, output: 1");
    dropout(w);
    linear(w, "");
}

static void sew_resnet18(writer *w)
{
    sew_resnet(w, (const int[4]){2, 2, 2, 2});
}

static void sew_resnet34(writer *w)
{
    sew_resnet(w, (const int[4]){3, 4, 6, 3});
}

/* ---- the demo's network ---- */

static void conv_16_32_128(writer *w)
{
    static const int64_t plan[] = {16, 32};
    for (size_t i = 0; i < 2; i++) {
        layer(w, "conv, out: %lld, kernel: 3, padding: 1", (long long)scaled(w, plan[i]));
        norm_and_fire(w);
        layer(w, "avg_pool, kernel: 2");
    }
    layer(w, "flatten");
    layer(w, "linear, out: %lld", (long long)scaled(w, 128));
    layer(w, "lif");
    dropout(w);
    layer(w, "linear, out: %lld", (long long)w->o.classes);
}

/* ---- the table ---- */

typedef struct entry {
    const char *name, *about;
    void (*write)(writer *w);
    int64_t classes;
    double dropout, width;
} entry;

static const entry entries[] = {
    {"resnet18", "pre-activation ResNet-18 with batch norm, for 32x32 images (SLTT: CIFAR)", resnet18, 10, 0,
     1},
    {"vgg11_bn", "VGG-11 with batch norm, five average pools (SLTT: DVS-CIFAR10, DVS-Gesture)", vgg11_bn, 10,
     0, 1},
    {"vgg11_ws", "VGG-11 with weight standardisation, three average pools (OTTT)", vgg11_ws, 10, 0, 1},
    {"nf_resnet34", "normaliser-free ResNet-34 (SLTT: ImageNet)", nf_resnet34, 1000, 0, 1},
    {"nf_resnet50", "normaliser-free ResNet-50 (SLTT: ImageNet)", nf_resnet50, 1000, 0, 1},
    {"nf_resnet101", "normaliser-free ResNet-101 (SLTT: ImageNet)", nf_resnet101, 1000, 0, 1},
    {"sew_resnet18", "ResNet-18 whose blocks add spikes (SEW, ADD), for 224x224 images", sew_resnet18, 1000,
     0, 1},
    {"sew_resnet34", "ResNet-34 whose blocks add spikes (SEW, ADD), for 224x224 images", sew_resnet34, 1000,
     0, 1},
    {"vgg9_small", "seven convolutions of 16 to 64 channels and two linear layers: minutes on a CPU",
     vgg9_small, 10, 0, 1},
    {"resnet18_small", "resnet18 of a quarter of the width", resnet18, 10, 0, 0.25},
    {"conv_16_32_128", "two convolutions and 128 hidden neurons, for 28x28 grey images: the demo",
     conv_16_32_128, 10, 0, 1},
};
enum { N_ENTRIES = sizeof entries / sizeof entries[0] };

size_t sp_zoo_count(void)
{
    return N_ENTRIES;
}

const char *sp_zoo_name(size_t i)
{
    return i < N_ENTRIES ? entries[i].name : NULL;
}

const char *sp_zoo_about(size_t i)
{
    return i < N_ENTRIES ? entries[i].about : NULL;
}

static sp_status find(const char *name, const entry **out, sp_error *err)
{
    const char *names[N_ENTRIES];
    for (size_t i = 0; i < N_ENTRIES; i++) {
        names[i] = entries[i].name;
        *out = &entries[i];
        if (strcmp(entries[i].name, name) == 0)
            return SP_OK;
    }
    const char *near = sp_suggest(name, names, N_ENTRIES);
    if (near)
        return SP_FAIL(err, SP_E_USAGE, "there is no network \"%.64s\"; did you mean \"%s\"?", name, near);
    return SP_FAIL(err, SP_E_USAGE,
                   "there is no network \"%.64s\"; \"spikeport network --list\" names them all", name);
}

static sp_status settle(const entry *e, const sp_zoo_options *given, sp_zoo_options *o, sp_error *err)
{
    const int64_t most = 1 << 20;
    *o = *given;
    o->classes = o->classes ? o->classes : e->classes;
    o->dropout = o->dropout < 0 ? e->dropout : o->dropout;
    o->width = fpclassify(o->width) == FP_ZERO ? e->width : o->width;
    if (o->classes < 2 || o->classes > most)
        return SP_FAIL(err, SP_E_USAGE, "classes is %lld; choose 2 to %lld", (long long)o->classes,
                       (long long)most);
    if (o->channels < 0 || o->channels > most)
        return SP_FAIL(err, SP_E_USAGE, "channels is %lld; choose 1 to %lld", (long long)o->channels,
                       (long long)most);
    if (!(o->dropout <= 0.999))
        return SP_FAIL(err, SP_E_USAGE, "dropout is %g; choose 0 to 0.999", o->dropout);
    if (!(o->width > 0 && o->width <= 64))
        return SP_FAIL(err, SP_E_USAGE, "width is %g; choose a number above 0, at most 64", o->width);
    return SP_OK;
}

/* The command that writes the same file again. */
static void write_head(const entry *e, const sp_zoo_options *given, sp_text *out)
{
    sp_text_add(out, "# spikeport network %s", e->name);
    if (given->classes && given->classes != e->classes)
        sp_text_add(out, " --classes %lld", (long long)given->classes);
    if (given->channels)
        sp_text_add(out, " --channels %lld", (long long)given->channels);
    if (given->dropout > 0)
        sp_text_add(out, " --dropout %.9g", given->dropout);
    if (fpclassify(given->width) != FP_ZERO)
        sp_text_add(out, " --width %.9g", given->width);
    sp_text_add(out, "\nname: %s\nabout: \"%s\"\nlayers:\n", e->name, e->about);
}

sp_status sp_zoo_write(const char *name, const sp_zoo_options *o, sp_text *out, sp_error *err)
{
    const entry *e = NULL;
    writer w = {.out = out, .indent = 2};
    SP_TRY(find(name, &e, err));
    SP_TRY(settle(e, o, &w.o, err));
    write_head(e, o, out);
    e->write(&w);
    return out->failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory while writing a network") : SP_OK;
}
