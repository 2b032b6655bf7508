/* The C formulas of the built-in fragments: surrogates and neuron models that keep u (what others have beyond
 * it: neuron_ext_ref.c). Equations: docs/NUMERICS.md, "Neuron", "Surrogates". */
#include "op/fragments_ref.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* ---- surrogates ---- */

static double triangle_grad(double d, double a)
{
    return fmax(0.0, a - fabs(d)) / (a * a);
}

static double triangle_smooth(double d, double a)
{
    double z = fmax(-1.0, fmin(1.0, d / a));
    return 0.5 + z - 0.5 * z * fabs(z);
}

static double straight_through_grad(double d, double a)
{
    (void)d, (void)a;
    return 1;
}

static double straight_through_smooth(double d, double a)
{
    (void)a;
    return d;
}

static double rectangle_grad(double d, double a)
{
    return fabs(d) < a / 2 ? 1 / a : 0;
}

static double rectangle_smooth(double d, double a)
{
    return fmax(0.0, fmin(1.0, d / a + 0.5));
}

static double sigmoid_grad(double d, double a)
{
    double e = exp(-a * fabs(d)); /* symmetric, so that the far tail keeps its digits */
    return a * e / ((1 + e) * (1 + e));
}

static double sigmoid_smooth(double d, double a)
{
    return 1 / (1 + exp(-a * d));
}

static double atan_grad(double d, double a)
{
    double z = pi / 2 * a * d;
    return a / 2 / (1 + z * z);
}

static double atan_smooth(double d, double a)
{
    return atan(pi / 2 * a * d) / pi + 0.5;
}

static double fast_sigmoid_grad(double d, double a)
{
    double z = 1 + a * fabs(d);
    return 1 / (z * z);
}

static double fast_sigmoid_smooth(double d, double a)
{
    return d / (1 + a * fabs(d));
}

static double piecewise_exp_grad(double d, double a)
{
    return a / 2 * exp(-a * fabs(d));
}

static double piecewise_exp_smooth(double d, double a)
{
    double e = 0.5 * exp(-a * fabs(d));
    return d < 0 ? e : 1 - e;
}

static double gaussian_grad(double d, double a)
{
    double z = d / a;
    return exp(-0.5 * z * z) / (a * sqrt(2 * pi));
}

static double gaussian_smooth(double d, double a)
{
    return 0.5 + 0.5 * erf(d / (a * sqrt(2.0)));
}

static double erf_grad(double d, double a)
{
    return a / sqrt(pi) * exp(-a * a * d * d);
}

static double erf_smooth(double d, double a)
{
    return 0.5 + 0.5 * erf(a * d);
}

static double dspike_grad(double d, double b)
{
    const double z = cosh(b * d);
    return fabs(d) <= 0.5 ? b / (2 * tanh(b / 2) * z * z) : 0;
}

static double dspike_smooth(double d, double b)
{
    return 0.5 + tanh(b * fmax(-0.5, fmin(0.5, d))) / (2 * tanh(b / 2));
}

typedef struct surrogate {
    const char *name;
    double (*grad)(double d, double a);
    double (*smooth)(double d, double a);
} surrogate;

static const surrogate surrogates[] = {
    {"triangle", triangle_grad, triangle_smooth},
    {"rectangle", rectangle_grad, rectangle_smooth},
    {"sigmoid", sigmoid_grad, sigmoid_smooth},
    {"atan", atan_grad, atan_smooth},
    {"fast_sigmoid", fast_sigmoid_grad, fast_sigmoid_smooth},
    {"piecewise_exp", piecewise_exp_grad, piecewise_exp_smooth},
    {"gaussian", gaussian_grad, gaussian_smooth},
    {"erf", erf_grad, erf_smooth},
    {"dspike", dspike_grad, dspike_smooth},
    {"straight_through", straight_through_grad, straight_through_smooth},
};

static const surrogate *find_surrogate(const char *name)
{
    for (size_t i = 0; name && i < sizeof surrogates / sizeof *surrogates; i++)
        if (strcmp(surrogates[i].name, name) == 0)
            return &surrogates[i];
    return NULL;
}

double sp_surrogate_ref_grad(const char *name, double d, double width, int *known)
{
    const surrogate *s = find_surrogate(name);
    if (known)
        *known = s != NULL;
    return s ? s->grad(d, width) : (double)NAN;
}

double sp_surrogate_ref_smooth(const char *name, double d, double width, int *known)
{
    const surrogate *s = find_surrogate(name);
    if (known)
        *known = s != NULL;
    return s ? s->smooth(d, width) : (double)NAN;
}

/* ---- neuron models ---- */

static float lif_charge(float v, float x, const sp_neuron_args *p)
{
    float rest = (1.0f - p->decay) * p->v_reset;
    return fmaf(p->decay, v, fmaf(p->x_gain, x, rest));
}

static float if_charge(float v, float x, const sp_neuron_args *p)
{
    return fmaf(p->x_gain, x, v);
}

static float any_reset(float u, float s, const sp_neuron_args *p)
{
    if (p->hard)
        return s > 0 ? p->v_reset : u;
    return fmaf(-p->v_th, s, u);
}

/* The threshold is taken off one step later, behind the leak. */
static float late_drop(const sp_neuron_args *p)
{
    return p->v_th / p->decay;
}

static float late_reset(float u, float s, const sp_neuron_args *p)
{
    return p->hard ? any_reset(u, s, p) : fmaf(-late_drop(p), s, u);
}

static double lif_d_charge_d_v(const sp_neuron_args *p)
{
    return (double)p->decay;
}

static double if_d_charge_d_v(const sp_neuron_args *p)
{
    (void)p;
    return 1;
}

static double any_d_charge_d_x(const sp_neuron_args *p)
{
    return (double)p->x_gain;
}

static double any_d_reset_d_u(double u, double s, const sp_neuron_args *p)
{
    (void)u;
    return p->hard ? 1 - s : 1;
}

static double any_d_reset_d_s(double u, double s, const sp_neuron_args *p)
{
    (void)s;
    return p->hard ? (double)p->v_reset - u : -(double)p->v_th;
}

static double late_d_reset_d_s(double u, double s, const sp_neuron_args *p)
{
    return p->hard ? any_d_reset_d_s(u, s, p) : -(double)late_drop(p);
}

static const sp_neuron_model models[] = {
    {"lif", lif_charge, any_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s,
     NULL},
    {"if", if_charge, any_reset, if_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s, NULL},
    {"lif_late_reset", lif_charge, late_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u,
     late_d_reset_d_s, NULL},
    {"plif", lif_charge, any_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s,
     &sp_plif_extra},
    {"cuba_lif", lif_charge, any_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s,
     &sp_cuba_lif_extra},
    {"alif", lif_charge, any_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s,
     &sp_alif_extra},
    {"cuba_plif", lif_charge, any_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s,
     &sp_cuba_plif_extra},
    {"palif", lif_charge, any_reset, lif_d_charge_d_v, any_d_charge_d_x, any_d_reset_d_u, any_d_reset_d_s,
     &sp_palif_extra},
};

const sp_neuron_model *sp_neuron_ref_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}
