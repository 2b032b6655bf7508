/* C references of the neuron family: neuron.forward/backward, spikes, traces, dropout. Equations:
 * docs/NUMERICS.md, "Neuron", "Dropout". */
#include "op/references.h"
#include "op/fragments_ref.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

static sp_neuron_args neuron_args(const sp_op_call *call)
{
    return (sp_neuron_args){(float)sp_call_float(call, "decay"), (float)sp_call_float(call, "x_gain"),
                            (float)sp_call_float(call, "v_th"), (float)sp_call_float(call, "v_reset"),
                            sp_call_flag(call, "HARD")};
}

void neuron_forward_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0], *scale = buf[2], *shift = buf[3];
    uint32_t *s = buf[5];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), W = ref_words(C);
    int norm = sp_call_flag(call, "NORM"), half = sp_call_flag(call, "U_HALF");
    bool first = sp_call_int(call, "first") != 0;
    sp_neuron_args p = neuron_args(call);
    const sp_neuron_model *n = sp_neuron_ref_find(call->neuron);

    memset(s, 0, (size_t)(M * W) * sizeof *s);
    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            int64_t i = m * C + c;
            if (!n) { /* a model of an outside plugin: no formula, and no plausible numbers instead */
                ref_store(buf[4], half, i, NAN);
                continue;
            }
            float in = norm ? fmaf(scale[c], x[i], shift[c]) : x[i],
                  before = first ? 0 : ref_stored(buf[1], half, i);
            float v = first ? p.v_reset : n->reset(before, before >= p.v_th ? 1.0f : 0.0f, &p);
            ref_store(buf[4], half, i, n->charge(v, in, &p));
            if (ref_stored(buf[4], half, i) >= p.v_th) /* what is stored decides */
                s[m * W + c / 32] |= UINT32_C(1) << (c % 32);
        }
}

/* What the backward pass of a call is made of. */
typedef struct backward {
    const sp_neuron_model *n;
    const char *surrogate;
    sp_neuron_args p;
    int temporal, detach, half;
    bool last;
    double width;
} backward;

static backward spatial_of(const sp_op_call *call)
{
    const int u = sp_op_buffer_index(call->op, "u"); /* rates have none */
    return (backward){.n = sp_neuron_ref_find(call->neuron),
                      .surrogate = call->surrogate,
                      .p = neuron_args(call),
                      .half = u >= 0 && sp_call_buffer_is_half(call, u),
                      .width = (double)(float)sp_call_float(call, "width")};
}

/* And through the reset. */
static backward through_reset(const sp_op_call *call)
{
    backward b = spatial_of(call);
    b.detach = sp_call_flag(call, "DETACH");
    return b;
}

static backward backward_of(const sp_op_call *call)
{
    backward b = through_reset(call);
    b.temporal = sp_call_flag(call, "TEMPORAL");
    b.last = sp_call_int(call, "last") != 0;
    return b;
}

/* g_x of neuron i; carry goes one time step back. */
static float backward_neuron(const backward *b, const float *g_s, const void *potentials, float *carry,
                             int64_t i)
{
    if (!b->n)
        return NAN;
    float u = ref_stored(potentials, b->half, i);
    double ui = (double)u, s = u >= b->p.v_th ? 1 : 0;
    double h = sp_surrogate_ref_grad(b->surrogate, (double)(u - b->p.v_th), b->width, NULL);
    double g_u = (double)g_s[i] * h;
    if (b->temporal && !b->last)
        g_u += (double)carry[i] *
               (b->n->d_reset_d_u(ui, s, &b->p) + (b->detach ? 0 : b->n->d_reset_d_s(ui, s, &b->p) * h));
    if (b->temporal)
        carry[i] = (float)(g_u * b->n->d_charge_d_v(&b->p));
    return (float)(g_u * b->n->d_charge_d_x(&b->p));
}

void neuron_backward_ref(const sp_op_call *call, void *const *buf)
{
    float *g_x = buf[3];
    int64_t MC = sp_call_int(call, "M") * sp_call_int(call, "C");
    backward b = backward_of(call);

    for (int64_t i = 0; i < MC; i++)
        g_x[i] = backward_neuron(&b, buf[0], buf[1], buf[2], i);
}

/* Samples without a label are padding, but their potentials are like others'. */
void neuron_penalty_ref(const sp_op_call *call, void *const *buf)
{
    const float *g = buf[0];
    float *carry = buf[2], *g_x = buf[3], *loss = buf[4];
    const int64_t N = sp_call_int(call, "N"), MC = sp_call_int(call, "M") * sp_call_int(call, "C");
    const int half = sp_call_flag(call, "U_HALF");
    const double each = (double)(float)sp_call_float(call, "w_t") / (double)MC;
    const sp_neuron_args p = neuron_args(call);
    const sp_neuron_model *n = sp_neuron_ref_find(call->neuron);

    for (int64_t sample = 0; sample < N; sample++) {
        double sum = 0;
        for (int64_t i = sample * MC; i < (sample + 1) * MC; i++) {
            const float u = ref_stored(buf[1], half, i), rest = u - p.v_reset, over = u - p.v_th;
            const float d = fabsf(over) <= fabsf(rest) ? over : rest;
            const double slope = each / (double)N * ((d > 0) - (d < 0));
            sum += fabs((double)d);
            g_x[i] = n ? (float)((double)g[i] + slope * n->d_charge_d_x(&p)) : NAN;
            if (carry)
                carry[i] = n ? (float)((double)carry[i] + slope * n->d_charge_d_v(&p)) : NAN;
        }
        loss[sample] = (float)((double)loss[sample] + each * sum);
    }
}

/* What the backward pass of a batch norm adds up. */
typedef struct norm_sums {
    const float *mean, *rstd;
    float *sums, *g_gamma, *g_beta;
} norm_sums;

static void add_norm_sums(const float *g_x, const void *x, int x_half, int64_t rows, int64_t C, norm_sums n)
{
    for (int64_t c = 0; c < C; c++) {
        double sum_g = 0, sum_gxhat = 0;
        for (int64_t i = c; i < rows * C; i += C) {
            sum_g += (double)g_x[i];
            sum_gxhat +=
                (double)g_x[i] * ((double)ref_stored(x, x_half, i) - (double)n.mean[c]) * (double)n.rstd[c];
        }
        n.sums[c] = (float)sum_g;
        n.sums[C + c] = (float)sum_gxhat;
        n.g_gamma[c] = (float)((double)n.g_gamma[c] + sum_gxhat);
        n.g_beta[c] = (float)((double)n.g_beta[c] + sum_g);
    }
}

/* buf of neuron.backward_norm, with g_s of rows x C in place of its first. */
static void backward_norm(const sp_op_call *call, const float *g_s, int64_t rows, void *const *buf)
{
    float *g_x = buf[6];
    int64_t C = sp_call_int(call, "C");
    backward b = backward_of(call);

    for (int64_t i = 0; i < rows * C; i++)
        g_x[i] = backward_neuron(&b, g_s, buf[1], buf[5], i);
    add_norm_sums(g_x, buf[2], sp_call_flag(call, "X_HALF"), rows, C,
                  (norm_sums){buf[3], buf[4], buf[7], buf[8], buf[9]});
}

void neuron_backward_norm_ref(const sp_op_call *call, void *const *buf)
{
    backward_norm(call, buf[0], sp_call_int(call, "M"), buf);
}

static int64_t pooled_rows(const sp_op_call *call)
{
    return sp_call_int(call, "N") * sp_call_int(call, "H") * sp_call_int(call, "W");
}

/* g_s of a call that reads the gradient behind an average pool; NULL without memory. */
static float *behind_pool(const sp_op_call *call, void *g_y)
{
    float *g_s = sp_alloc_array((size_t)(pooled_rows(call) * sp_call_int(call, "C")), sizeof *g_s);
    if (g_s)
        pool_avg_backward_ref(call, (void *[]){g_y, g_s});
    return g_s;
}

/* Without memory nothing is computed: a reference has no way to say so but numbers that fail a comparison. */
void neuron_backward_sum_ref(const sp_op_call *call, void *const *buf)
{
    float *g_s = behind_pool(call, buf[0]), *g_x = buf[3];
    backward b = backward_of(call);

    for (int64_t i = 0; i < pooled_rows(call) * sp_call_int(call, "C"); i++)
        g_x[i] = g_s ? (float)((double)g_x[i] + (double)backward_neuron(&b, g_s, buf[1], buf[2], i)) : NAN;
    sp_free(g_s);
}

/* u after n time steps of the same input; `before` gets that of the step before, where there is one. A model
 * of an outside plugin has no formula. */
static float potential_after(const sp_neuron_model *n, const sp_neuron_args *p, float in, int64_t steps,
                             float *before)
{
    float u = n ? n->charge(p->v_reset, in, p) : NAN;
    for (int64_t t = 1; t < steps && n; t++) {
        *before = u;
        u = n->charge(n->reset(u, u >= p->v_th ? 1.0f : 0.0f, p), in, p);
    }
    return u;
}

static float static_input(const sp_op_call *call, void *const *buf, int64_t i)
{
    const float *x = buf[0], *scale = buf[1], *shift = buf[2];
    const int64_t c = i % sp_call_int(call, "C");
    return sp_call_flag(call, "NORM") ? fmaf(scale[c], x[i], shift[c]) : x[i];
}

void neuron_forward_static_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t C = sp_call_int(call, "C"), n = sp_call_int(call, "time_step"), rows = pooled_rows(call);
    float *g_x = buf[4], *g_s = n > 1 ? behind_pool(call, buf[3]) : NULL;
    uint32_t *s = buf[5];
    const backward b = spatial_of(call);

    memset(s, 0, (size_t)(rows * ref_words(C)) * sizeof *s);
    for (int64_t i = 0; i < rows * C; i++) {
        float before = 0;
        const float u = potential_after(b.n, &b.p, static_input(call, buf, i), n, &before);
        if (u >= b.p.v_th)
            s[i / C * ref_words(C) + i % C / 32] |= UINT32_C(1) << (i % C % 32);
        if (n > 1)
            g_x[i] = g_s ? (float)((n > 2 ? (double)g_x[i] : 0) +
                                   (double)backward_neuron(&b, &g_s[i], &before, NULL, 0))
                         : NAN;
    }
    sp_free(g_s);
}

void neuron_backward_static_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "steps");
    float *g_x = buf[4], *g_s = behind_pool(call, buf[3]);
    const backward b = spatial_of(call);

    for (int64_t i = 0; i < pooled_rows(call) * sp_call_int(call, "C"); i++) {
        float before = 0;
        const float u = potential_after(b.n, &b.p, static_input(call, buf, i), n, &before);
        g_x[i] = g_s ? (float)((double)g_x[i] + (double)backward_neuron(&b, &g_s[i], &u, NULL, 0)) : NAN;
    }
    sp_free(g_s);
}

void neuron_forward_steps_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), T = sp_call_int(call, "steps");
    const int64_t W = ref_words(C);
    const sp_neuron_model *n = sp_neuron_ref_find(call->neuron);
    const sp_neuron_args p = neuron_args(call);
    uint32_t *s = buf[3];

    memset(s, 0, (size_t)(T * M * W) * sizeof *s);
    for (int64_t i = 0; i < M * C; i++)
        for (int64_t t = 1; t <= T; t++) {
            float before;
            if (potential_after(n, &p, static_input(call, buf, i), t, &before) >= p.v_th)
                s[((t - 1) * M + i / C) * W + i % C / 32] |= UINT32_C(1) << (i % C % 32);
        }
}

/* Without memory nothing is computed, as in neuron_backward_sum_ref. */
void neuron_backward_steps_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t C = sp_call_int(call, "C"), T = sp_call_int(call, "steps"), all = pooled_rows(call) * C;
    const int64_t part = sp_call_int(call, "N") * sp_call_int(call, "HO") * sp_call_int(call, "WO") * C;
    float *u = sp_alloc_array((size_t)all, sizeof *u), *g_x = buf[6];
    const backward b = spatial_of(call);

    for (int64_t t = 1; t <= T; t++) {
        float *g_s = behind_pool(call, (float *)buf[3] + (t - 1) * part), before;
        for (int64_t i = 0; i < all; i++) {
            if (u)
                u[i] = potential_after(b.n, &b.p, static_input(call, buf, i), t, &before);
            g_x[i] =
                u && g_s
                    ? (float)((t > 1 ? (double)g_x[i] : 0) + (double)backward_neuron(&b, g_s, u, NULL, i))
                    : NAN;
        }
        sp_free(g_s);
    }
    sp_free(u);
    if (sp_call_flag(call, "SUMS"))
        add_norm_sums(g_x, buf[0], 0, pooled_rows(call), C,
                      (norm_sums){buf[4], buf[5], buf[7], buf[8], buf[9]});
}

void neuron_backward_pool_ref(const sp_op_call *call, void *const *buf)
{
    float *g_s = behind_pool(call, buf[0]), *sums = buf[7];

    if (g_s)
        backward_norm(call, g_s, pooled_rows(call), buf);
    for (int64_t c = 0; c < 2 * sp_call_int(call, "C") && !g_s; c++)
        sums[c] = NAN;
    sp_free(g_s);
}

/* count[p][m][c], digit p of a number in binary, with 1 added; what does not fit is lost. */
static void count_spike(uint32_t *count, int64_t digits, int64_t words, int64_t at, uint32_t bit)
{
    for (int64_t p = 0; p < digits; p++) {
        count[p * words + at] ^= bit;
        if (count[p * words + at] & bit)
            return;
    }
}

/* buf: spikes, f, e, count. */
static void add_rates(const sp_op_call *call, const backward *b, const void *potentials, void *const *buf)
{
    const uint32_t *spikes = buf[0];
    float *f = buf[1], *e = buf[2];
    uint32_t *count = buf[3];
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), W = ref_words(C);
    const int64_t digits = sp_call_int(call, "P");
    const bool start = sp_call_int(call, "block_start") != 0;
    const double share = (double)(float)sp_call_float(call, "share");

    if (start)
        memset(count, 0, (size_t)(digits * M * W) * sizeof *count);
    for (int64_t i = 0; i < M * C && b->n; i++) {
        const int64_t word = i / C * W + i % C / 32;
        const uint32_t bit = UINT32_C(1) << (i % C % 32);
        const float u = ref_stored(potentials, b->half, i);
        const double ui = (double)u, s = spikes[word] & bit ? 1 : 0;
        const double h = sp_surrogate_ref_grad(b->surrogate, (double)(u - b->p.v_th), b->width, NULL);
        const double now = b->n->d_charge_d_x(&b->p) + (start ? 0 : b->n->d_charge_d_v(&b->p) * (double)f[i]);
        e[i] = (float)((start ? 0 : (double)e[i]) + share * now * h);
        f[i] = (float)(now * (b->n->d_reset_d_u(ui, s, &b->p) +
                              (b->detach ? 0 : b->n->d_reset_d_s(ui, s, &b->p) * h)));
        if (s > 0)
            count_spike(count, digits, M * W, word, bit);
    }
}

void neuron_forward_rate_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0];
    float *x_mean = buf[9]; /* NULL without X_MEAN */
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const bool start = sp_call_int(call, "block_start") != 0;
    const double share = (double)(float)sp_call_float(call, "share");
    const backward b = through_reset(call);

    neuron_forward_ref(call, buf);
    for (int64_t i = 0; i < n && x_mean; i++)
        x_mean[i] = (float)((start ? 0 : (double)x_mean[i]) + share * (double)x[i]);
    add_rates(call, &b, buf[4], buf + 5);
}

void neuron_fire_rate_ref(const sp_op_call *call, void *const *buf)
{
    backward b = through_reset(call);
    b.p.v_th = *(const float *)buf[1];
    neuron_fire_ref(call, buf);
    add_rates(call, &b, buf[0], buf + 2);
}

void spikes_mean_ref(const sp_op_call *call, void *const *buf)
{
    float *y = buf[1];
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), digits = sp_call_int(call, "P");
    const double share = (double)(float)sp_call_float(call, "share");

    for (int64_t i = 0; i < M * C; i++) {
        double n = 0;
        for (int64_t p = 0; p < digits; p++)
            n += ldexp((double)ref_bit(buf[0], p * M + i / C, i % C, C), (int)p);
        y[i] = (float)(share * n);
    }
}

void spikes_unpack_ref(const sp_op_call *call, void *const *buf)
{
    float *y = buf[1];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            y[m * C + c] = (float)ref_bit(buf[0], m, c, C);
}

void spikes_count_ref(const sp_op_call *call, void *const *buf)
{
    const uint32_t *s = buf[0];
    uint32_t *count = buf[1];
    int64_t words = sp_call_int(call, "M") * ref_words(sp_call_int(call, "C"));

    for (int64_t i = 0; i < words; i++)
        for (uint32_t w = s[i]; w; w &= w - 1)
            count[i % 64]++;
}

void trace_update_ref(const sp_op_call *call, void *const *buf)
{
    float *trace = buf[1];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    int bits = sp_call_flag(call, "X_BITS");
    bool first = sp_call_int(call, "first") != 0;
    double decay = (double)(float)sp_call_float(call, "decay");

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            double x = ref_value(buf[0], bits, m, c, C);
            float *a = &trace[m * C + c];
            *a = (float)(first ? x : decay * (double)*a + x);
        }
}

/* v of a neuron, from its rest. */
static float after_reset(const sp_neuron_model *n, float u, const sp_neuron_args *p)
{
    return n->reset(u, u >= p->v_th ? 1.0f : 0.0f, p) - p->v_reset;
}

void neuron_trace_ref(const sp_op_call *call, void *const *buf)
{
    float *trace = buf[2];
    const int64_t MC = sp_call_int(call, "M") * sp_call_int(call, "C");
    const int half = sp_call_flag(call, "U_HALF");
    const bool first = sp_call_int(call, "first") != 0;
    const sp_neuron_args p = neuron_args(call);
    const sp_neuron_model *n = sp_neuron_ref_find(call->neuron);

    for (int64_t i = 0; i < MC; i++) {
        const float u = ref_stored(buf[0], half, i);
        const double s = u >= p.v_th ? 1 : 0;
        if (!n || first) {
            trace[i] = n ? (float)s : NAN;
            continue;
        }
        const double most = n->d_charge_d_v(&p), v = (double)after_reset(n, u, &p),
                     before = (double)after_reset(n, ref_stored(buf[1], half, i), &p),
                     e = fabs(before) > 0 ? v / before : (v > 0) - (v < 0);
        trace[i] = (float)(fmin(fmax(e, -most), most) * (double)trace[i] + s);
    }
}

/* p in 1/2^32: a random word below it drops the element. */
static uint32_t drop_threshold(const sp_op_call *call)
{
    double t = floor((double)(float)sp_call_float(call, "p") * 4294967296.0);
    return t < 0 ? 0 : t > 4294967295.0 ? UINT32_MAX : (uint32_t)t;
}

void dropout_mask_ref(const sp_op_call *call, void *const *buf)
{
    uint32_t *mask = buf[0];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), W = ref_words(C);
    uint64_t seed = (uint32_t)sp_call_int(call, "seed");
    uint32_t step = sp_call_flag(call, "STEP") ? (uint32_t)sp_call_int(call, "time_step") : 0;
    uint64_t stream = (uint64_t)((uint32_t)sp_call_int(call, "stream") ^ step << 20) |
                      (uint64_t)(uint32_t)sp_call_int(call, "iteration") << 32;
    uint32_t threshold = drop_threshold(call);
    int64_t rows = sp_call_int(call, "rows");

    memset(mask, 0, (size_t)(M * W) * sizeof *mask);
    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            uint64_t e = (uint64_t)(m / rows * C + c);
            uint32_t word[4];
            sp_philox(seed, stream, e / 4, word);
            if (word[e % 4] >= threshold)
                mask[m * W + c / 32] |= UINT32_C(1) << (c % 32);
        }
}

void dropout_apply_ref(const sp_op_call *call, void *const *buf)
{
    float *y = buf[2];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    int bits = sp_call_flag(call, "X_BITS");
    double keep = 1 - (double)(float)sp_call_float(call, "p");

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            double x = ref_value(buf[0], bits, m, c, C);
            y[m * C + c] = (float)(ref_bit(buf[1], m, c, C) ? x / keep : 0);
        }
}
