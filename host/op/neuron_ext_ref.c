/* C references of neuron.forward_ext and neuron.backward_ext: models with a second state, a threshold that
 * follows it, or a learnable scalar. Equations: docs/NUMERICS.md, "More than u". */
#include <math.h>
#include <string.h>

#include "op/fragments_ref.h"
#include "op/references.h"

/* ---- models: what they have beyond the leaky integrate-and-fire neuron ---- */

static float sigmoid_of(float w)
{
    return (float)(1.0 / (1.0 + exp(-(double)w)));
}

static sp_neuron_args plif_learn(const sp_neuron_args *p, float w, int scaled)
{
    sp_neuron_args learned = *p;
    learned.decay = 1.0f - sigmoid_of(w);
    if (scaled)
        learned.x_gain = sigmoid_of(w);
    return learned;
}

static double plif_d_charge_d_w(double v, double u, const sp_neuron_args *learned, float w, int scaled)
{
    double rate = 1.0 / (1.0 + exp(-(double)w)), rest = (double)learned->v_reset;
    return scaled ? (1 - rate) * (u - v) : rate * (1 - rate) * (rest - v);
}

#define LEARN .learn = plif_learn, .d_charge_d_w = plif_d_charge_d_w
const sp_neuron_extra sp_plif_extra = {LEARN};

static float cuba_aux(float a, float x, float s, const sp_aux_args *q)
{
    (void)s;
    return fmaf(q->decay, a, x);
}

static float cuba_current(float x, float a)
{
    (void)x;
    return a;
}

static double aux_decay(const sp_aux_args *q)
{
    return (double)q->decay;
}

#define CURRENT                                                                                              \
    .aux = cuba_aux, .current = cuba_current, .d_aux_d_a = aux_decay, .d_aux_d_x = 1, .d_current_d_a = 1
const sp_neuron_extra sp_cuba_lif_extra = {CURRENT}, sp_cuba_plif_extra = {CURRENT, LEARN};

static float alif_aux(float a, float x, float s, const sp_aux_args *q)
{
    (void)x;
    return fmaf(q->decay, a, s);
}

static float alif_current(float x, float a)
{
    (void)a;
    return x;
}

static float alif_threshold(float a, const sp_neuron_args *p, const sp_aux_args *q)
{
    return fmaf(q->gain, a, p->v_th);
}

static double aux_gain(const sp_aux_args *q)
{
    return (double)q->gain;
}

#define THRESHOLD                                                                                            \
    .aux = alif_aux, .current = alif_current, .d_aux_d_a = aux_decay, .d_aux_d_s = 1, .d_current_d_x = 1,    \
    .threshold = alif_threshold, .d_threshold_d_a = aux_gain
const sp_neuron_extra sp_alif_extra = {THRESHOLD}, sp_palif_extra = {THRESHOLD, LEARN};

float sp_neuron_ref_threshold(const sp_neuron_model *n, float a, const sp_neuron_args *p,
                              const sp_aux_args *q)
{
    return n && n->extra && n->extra->threshold ? n->extra->threshold(a, p, q) : p->v_th;
}

/* ---- ops ---- */

/* A deviation next to nothing tells nothing: docs/NUMERICS.md, "Stabilised thresholds". */
static double deviation_of(double m2, double mean, double n)
{
    const double sd = n > 1 ? sqrt(m2 / (n - 1)) : 0;
    return sd > 1e-5 * fabs(mean) ? sd : 0;
}

void neuron_stabilise_ref(const sp_op_call *call, void *const *buf)
{
    const float *u = buf[0];
    float *ratio = buf[1], *th = buf[2];
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const double v_th = (double)(float)sp_call_float(call, "v_th");
    double mean = 0, m2 = 0;

    for (int64_t i = 0; i < n; i++)
        mean += (double)u[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        m2 += ((double)u[i] - mean) * ((double)u[i] - mean);
    const double sd = deviation_of(m2, mean, (double)n);
    if (sp_call_int(call, "first")) {
        ratio[0] = sd > 0 ? (float)((v_th - mean) / sd) : INFINITY;
        th[0] = (float)v_th;
    } else {
        th[0] = sd > 0 && isfinite(ratio[0]) ? (float)(mean + sd * (double)ratio[0]) : (float)v_th;
    }
}

void neuron_fire_ref(const sp_op_call *call, void *const *buf)
{
    const float *u = buf[0], *th = buf[1];
    uint32_t *s = buf[2];
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), W = ref_words(C);

    memset(s, 0, (size_t)(M * W) * sizeof *s);
    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            if (u[m * C + c] >= th[0])
                s[m * W + c / 32] |= UINT32_C(1) << (c % 32);
}

typedef struct setting {
    const sp_neuron_model *n; /* NULL: a model of an outside plugin, which has no formula */
    sp_neuron_args p;
    sp_aux_args q;
    int scaled, aux, adapt;
} setting;

/* th: NULL where the threshold is not learnt. */
static setting read_setting(const sp_op_call *call, const float *w, const float *th)
{
    setting s = {.n = sp_neuron_ref_find(call->neuron),
                 .scaled = sp_call_flag(call, "SCALED"),
                 .aux = sp_call_flag(call, "AUX"),
                 .adapt = sp_call_flag(call, "ADAPT")};
    s.p = (sp_neuron_args){(float)sp_call_float(call, "decay"), (float)sp_call_float(call, "x_gain"),
                           (float)sp_call_float(call, "v_th"), (float)sp_call_float(call, "v_reset"),
                           sp_call_flag(call, "HARD")};
    s.q = (sp_aux_args){(float)sp_call_float(call, "aux_decay"), (float)sp_call_float(call, "aux_gain")};
    if (th)
        s.p.v_th = th[0];
    if (s.n && w)
        s.p = s.n->extra->learn(&s.p, w[0], s.scaled);
    return s;
}

/* The number of channel c, or of the layer; NULL where nothing is learnt. */
static float *of_channel(const sp_op_call *call, float *x, int64_t c)
{
    return x && sp_call_flag(call, "EACH") ? x + c : x;
}

/* v[t-1], and the spike s[t-1] in *s. */
static float state_before(const setting *k, bool first, const float *u_prev, const float *aux_prev, int64_t i,
                          float *s)
{
    *s = 0;
    if (first)
        return k->p.v_reset;
    *s = u_prev[i] >= sp_neuron_ref_threshold(k->n, k->adapt ? aux_prev[i] : 0, &k->p, &k->q) ? 1.0f : 0.0f;
    return k->n->reset(u_prev[i], *s, &k->p);
}

void neuron_forward_ext_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0], *u_prev = buf[1], *scale = buf[2], *shift = buf[3], *aux_prev = buf[4];
    float *u = buf[6], *aux = buf[7];
    uint32_t *s = buf[8];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C"), W = ref_words(C);
    int norm = sp_call_flag(call, "NORM");
    bool first = sp_call_int(call, "first") != 0;

    memset(s, 0, (size_t)(M * W) * sizeof *s);
    for (int64_t c = 0; c < C; c++) {
        const setting k = read_setting(call, of_channel(call, buf[5], c),
                                       sp_call_flag(call, "V_TH") ? of_channel(call, buf[9], c) : NULL);
        for (int64_t m = 0; m < M; m++) {
            int64_t i = m * C + c;
            if (!k.n) {
                u[i] = NAN;
                continue;
            }
            float in = norm ? fmaf(scale[c], x[i], shift[c]) : x[i], a = 0, before;
            float v = state_before(&k, first, u_prev, aux_prev, i, &before);
            if (k.aux) {
                a = k.n->extra->aux(first ? 0 : aux_prev[i], in, before, &k.q);
                in = k.n->extra->current(in, a);
                aux[i] = a;
            }
            u[i] = k.n->charge(v, in, &k.p);
            if (u[i] >= sp_neuron_ref_threshold(k.n, a, &k.p, &k.q))
                s[m * W + c / 32] |= UINT32_C(1) << (c % 32);
        }
    }
}

/* What the neurons of channel c give, and what they add to dL/dw and dL/dth. */
static void backward_channel(const sp_op_call *call, void *const *buf, int64_t c, double *sum_w,
                             double *sum_th)
{
    const float *g_s = buf[0], *u = buf[1], *u_prev = buf[2], *aux = buf[3], *aux_prev = buf[4],
                *w = of_channel(call, buf[5], c);
    float *carry = buf[6], *carry_aux = buf[7], *g_x = buf[8];
    const int64_t C = sp_call_int(call, "C"), MC = sp_call_int(call, "M") * C;
    int temporal = sp_call_flag(call, "TEMPORAL"), detach = sp_call_flag(call, "DETACH");
    bool first = sp_call_int(call, "first") != 0, last = sp_call_int(call, "last") != 0;
    double width = (double)(float)sp_call_float(call, "width");
    setting k = read_setting(call, w, sp_call_flag(call, "V_TH") ? of_channel(call, buf[10], c) : NULL);
    static const sp_neuron_extra nothing;
    const sp_neuron_extra *x = k.n && k.n->extra ? k.n->extra : &nothing;

    for (int64_t i = c; i < MC; i += C) {
        if (!k.n) {
            g_x[i] = NAN;
            continue;
        }
        float th = sp_neuron_ref_threshold(k.n, k.adapt ? aux[i] : 0, &k.p, &k.q), before;
        double ui = (double)u[i], s = u[i] >= th ? 1 : 0;
        double h = sp_surrogate_ref_grad(call->surrogate, (double)(u[i] - th), width, NULL);
        double c_v = temporal && !last ? (double)carry[i] : 0,
               c_a = temporal && k.aux && !last ? (double)carry_aux[i] : 0;
        double g = (double)g_s[i] + (detach ? 0 : c_v * k.n->d_reset_d_s(ui, s, &k.p)) +
                   c_a * x->d_aux_d_s; /* dL/ds */
        double g_u = g * h + c_v * k.n->d_reset_d_u(ui, s, &k.p);
        double g_current = g_u * k.n->d_charge_d_x(&k.p), g_a = 0;
        if (k.aux)
            g_a = c_a * x->d_aux_d_a(&k.q) + g_current * x->d_current_d_a -
                  (k.adapt ? g * h * x->d_threshold_d_a(&k.q) : 0);
        g_x[i] = (float)(k.aux ? g_current * x->d_current_d_x + g_a * x->d_aux_d_x : g_current);
        *sum_th -=
            g * h + (k.p.hard ? 0 : c_v * s); /* by the comparison, and by what a soft reset takes away */
        if (temporal)
            carry[i] = (float)(g_u * k.n->d_charge_d_v(&k.p));
        if (temporal && k.aux)
            carry_aux[i] = (float)g_a;
        if (w)
            *sum_w += g_u * x->d_charge_d_w((double)state_before(&k, first, u_prev, aux_prev, i, &before), ui,
                                            &k.p, w[0], k.scaled);
    }
}

static void add_to(float *x, double *sum)
{
    if (x)
        *x = (float)((double)*x + *sum);
    *sum = 0;
}

void neuron_backward_ext_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t C = sp_call_int(call, "C");
    float *g_w = buf[5] ? buf[9] : NULL, *g_th = sp_call_flag(call, "V_TH") ? buf[11] : NULL;
    double sum_w = 0, sum_th = 0;
    for (int64_t c = 0; c < C; c++) {
        backward_channel(call, buf, c, &sum_w, &sum_th);
        if (c + 1 < C && !sp_call_flag(call, "EACH"))
            continue; /* one sum of all channels */
        add_to(of_channel(call, g_w, c), &sum_w);
        add_to(of_channel(call, g_th, c), &sum_th);
    }
}
