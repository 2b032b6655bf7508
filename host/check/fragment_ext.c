/* Fragments of neuron models that keep more than u: the functions of a second state, of a threshold that
 * follows it and of a learnable scalar, compared with the C formulas (built-in names) and with differences.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "check/fragment.h"
#include "op/fragments_ref.h"

#define POINTS(n, way, condition)                                                                            \
    {                                                                                                        \
        .name = n, .access = way, .rows = "1", .cols = "M", .when = condition                                \
    }

static const sp_op extra_op = {.id = "fragment.neuron_ext/1",
                               .takes_neuron = true,
                               .flags = {"HARD", "SCALED", "AUX", "ADAPT", "LEARN"},
                               .floats = {"decay", "x_gain", "v_th", "v_reset", "aux_decay", "aux_gain", "w"},
                               .ints = {"M"},
                               .buffers = {POINTS("a", SP_IN, NULL), POINTS("x", SP_IN, NULL),
                                           POINTS("s", SP_IN, NULL), POINTS("aux", SP_OUT, "AUX"),
                                           POINTS("current", SP_OUT, "AUX"),
                                           POINTS("threshold", SP_OUT, "ADAPT"),
                                           POINTS("slopes", SP_OUT, "AUX"),
                                           POINTS("slope_th", SP_OUT, "ADAPT"),
                                           POINTS("charge", SP_OUT, "LEARN"), POINTS("down", SP_OUT, "LEARN"),
                                           POINTS("up", SP_OUT, "LEARN"), POINTS("d_w", SP_OUT, "LEARN")}};

/* The five slopes of aux and current are the same everywhere: one for each run of 128 elements. `a` serves as
 * the potential of the charge. */
static const char source[] = SP_REAL_ACCESS
    "__kernel void check_neuron_ext(SP_IN(float, a), SP_IN(float, x), SP_IN(float, s),\n"
    "#if AUX\n"
    "    SP_OUT(float, aux), SP_OUT(float, current), SP_OUT(float, slopes),\n"
    "#endif\n"
    "#if ADAPT\n"
    "    SP_OUT(float, threshold), SP_OUT(float, slope_th),\n"
    "#endif\n"
    "#if LEARN\n"
    "    SP_OUT(float, charge), SP_OUT(float, down), SP_OUT(float, up), SP_OUT(float, d_w), float w,\n"
    "#endif\n"
    "    float decay, float x_gain, float v_th, float v_reset, float aux_decay, float aux_gain)\n"
    "{\n"
    "    SP_AT(a);\n    SP_AT(x);\n    SP_AT(s);\n"
    "    const neuron_args p = {decay, x_gain, v_th, v_reset};\n"
    "    const aux_args q = {aux_decay, aux_gain};\n"
    "    const real at_a = LOAD(a), at_x = LOAD(x), at_s = LOAD(s);\n"
    "#if AUX\n"
    "    SP_AT(aux);\n    SP_AT(current);\n    SP_AT(slopes);\n"
    "    const int which = min((int)get_global_id(0) * SP_REAL_WIDTH / 128, 4);\n"
    "    const real slope = which == 0 ? neuron_d_aux_d_a(p, q) : which == 1 ? neuron_d_aux_d_x(p, q)\n"
    "        : which == 2 ? neuron_d_aux_d_s(p, q) : which == 3 ? neuron_d_current_d_x(p, q)\n"
    "        : neuron_d_current_d_a(p, q);\n"
    "    const real r0 = neuron_aux(at_a, at_x, at_s, p, q), r1 = neuron_current(at_x, at_a, p, q);\n"
    "    STORE(r0, aux);\n    STORE(r1, current);\n    STORE(slope, slopes);\n"
    "#endif\n"
    "#if ADAPT\n"
    "    SP_AT(threshold);\n    SP_AT(slope_th);\n"
    "    const real r2 = neuron_threshold(at_a, p, q), r3 = neuron_d_threshold_d_a(p, q);\n"
    "    STORE(r2, threshold);\n    STORE(r3, slope_th);\n"
    "#endif\n"
    "#if LEARN\n"
    "    SP_AT(charge);\n    SP_AT(down);\n    SP_AT(up);\n    SP_AT(d_w);\n"
    "    const neuron_args learned = neuron_learn(p, w);\n"
    "    const real r4 = neuron_charge(at_a, at_x, learned);\n"
    "    const real r5 = neuron_charge(at_a, at_x, neuron_learn(p, w - 0.00390625f));\n"
    "    const real r6 = neuron_charge(at_a, at_x, neuron_learn(p, w + 0.00390625f));\n"
    "    const real r7 = neuron_d_charge_d_w(at_a, r4, learned, w);\n"
    "    STORE(r4, charge);\n    STORE(r5, down);\n    STORE(r6, up);\n    STORE(r7, d_w);\n"
    "#endif\n"
    "}\n";

enum { D_AUX_A, D_AUX_X, D_AUX_S, D_CURRENT_X, D_CURRENT_A, SLOPES };
static const char *const slope_names[SLOPES] = {"neuron_d_aux_d_a", "neuron_d_aux_d_x", "neuron_d_aux_d_s",
                                                "neuron_d_current_d_x", "neuron_d_current_d_a"};

static sp_status differs(const sp_check_case *c, const char *what, int i, double got, double right,
                         sp_error *err)
{
    return SP_FAIL(err, SP_E_MISMATCH, "%s is %.9g, should be %.9g at a or v = %g, x = %g, s = %g%s", what,
                   got, right, (double)sp_point_get(c, "a", i), (double)sp_point_get(c, "x", i),
                   (double)sp_point_get(c, "s", i), sp_call_flag(&c->call, "SCALED") ? ", scaled input" : "");
}

static sp_status check_slope(const sp_check_case *c, const char *function, const char *input,
                             const char *name, double g, int i, sp_error *err)
{
    int k = i * SP_POINT_SHIFTS;
    double slope = sp_point_slope(c, function, input, k);
    return fabs(slope - g) <= SP_POINT_SLACK * fmax(1, fabs(g)) ? SP_OK : differs(c, name, k, g, slope, err);
}

static sp_status check_aux(const sp_check_case *c, sp_error *err)
{
    double slope[SLOPES];
    for (int i = 0; i < SLOPES; i++)
        slope[i] = (double)sp_point_get(c, "slopes", i * 128);
    for (int i = 0; i < SP_NEURON_POINTS; i++) {
        bool x = i % 2;
        SP_TRY(check_slope(c, "aux", x ? "x" : "a", slope_names[x ? D_AUX_X : D_AUX_A],
                           slope[x ? D_AUX_X : D_AUX_A], i, err));
        SP_TRY(check_slope(c, "current", x ? "x" : "a", slope_names[x ? D_CURRENT_X : D_CURRENT_A],
                           slope[x ? D_CURRENT_X : D_CURRENT_A], i, err));
        if (!x && sp_call_flag(&c->call, "ADAPT"))
            SP_TRY(check_slope(c, "threshold", "a", "neuron_d_threshold_d_a",
                               (double)sp_point_get(c, "slope_th", i), i, err));
        int silent = i * SP_POINT_SHIFTS, spiking = (i + 2) * SP_POINT_SHIFTS;
        double rise = i % 4
                          ? slope[D_AUX_S]
                          : (double)sp_point_get(c, "aux", spiking) - (double)sp_point_get(c, "aux", silent);
        if (fabs(rise - slope[D_AUX_S]) > SP_POINT_SLACK * fmax(1, fabs(rise)))
            return differs(c, slope_names[D_AUX_S], silent, slope[D_AUX_S], rise, err);
    }
    return SP_OK;
}

static sp_status check_learning(const sp_check_case *c, sp_error *err)
{
    for (int i = 0; i < SP_NEURON_POINTS * SP_POINT_SHIFTS; i++) {
        double g = (double)sp_point_get(c, "d_w", i), two_steps = 2.0 / 256;
        double slope = ((double)sp_point_get(c, "up", i) - (double)sp_point_get(c, "down", i)) / two_steps;
        if (fabs(slope - g) > SP_POINT_SLACK * fmax(1, fabs(g)))
            return differs(c, "neuron_d_charge_d_w", i, g, slope, err);
    }
    return SP_OK;
}

/* One value at one point against the C formula of the same name. */
static sp_status compare(const sp_check_case *c, const char *buffer, const char *what, int i, double right,
                         sp_check_report *report, sp_error *err)
{
    double got = (double)sp_point_get(c, buffer, i);
    sp_fragment_note(report, fabs(got - right), 1e-6);
    return fabs(got - right) <= 1e-6 ? SP_OK : differs(c, what, i, got, right, err);
}

static sp_status check_formula(const sp_check_case *c, const char *name, sp_check_report *report,
                               sp_error *err)
{
    const sp_neuron_model *n = sp_neuron_ref_find(name);
    const sp_neuron_extra *x = n ? n->extra : NULL;
    int scaled = sp_call_flag(&c->call, "SCALED");
    float w = (float)sp_call_float(&c->call, "w");
    sp_neuron_args p = {(float)sp_call_float(&c->call, "decay"), (float)sp_call_float(&c->call, "x_gain"),
                        (float)sp_call_float(&c->call, "v_th"), (float)sp_call_float(&c->call, "v_reset"),
                        sp_call_flag(&c->call, "HARD")};
    sp_aux_args q = {(float)sp_call_float(&c->call, "aux_decay"), (float)sp_call_float(&c->call, "aux_gain")};
    for (int i = 0; x && i < SP_NEURON_POINTS * SP_POINT_SHIFTS; i++) {
        float a = sp_point_get(c, "a", i), in = sp_point_get(c, "x", i), s = sp_point_get(c, "s", i);
        if (x->aux) {
            SP_TRY(compare(c, "aux", "neuron_aux", i, (double)x->aux(a, in, s, &q), report, err));
            SP_TRY(compare(c, "current", "neuron_current", i, (double)x->current(in, a), report, err));
        }
        if (x->threshold)
            SP_TRY(
                compare(c, "threshold", "neuron_threshold", i, (double)x->threshold(a, &p, &q), report, err));
        if (x->learn) {
            sp_neuron_args learned = x->learn(&p, w, scaled);
            double u = (double)n->charge(a, in, &learned);
            SP_TRY(compare(c, "charge", "neuron_charge after neuron_learn", i, u, report, err));
            SP_TRY(compare(c, "d_w", "neuron_d_charge_d_w", i,
                           x->d_charge_d_w((double)a, u, &learned, w, scaled), report, err));
        }
    }
    return SP_OK;
}

static sp_op_call make_call(const sp_fragment *f, int setting)
{
    sp_op_call call = {.op = &extra_op, .neuron = f->name};
    sp_call_set_int(&call, "M", SP_NEURON_POINTS * SP_POINT_SHIFTS);
    sp_call_set_flag(&call, "HARD", setting & 1), sp_call_set_flag(&call, "SCALED", setting >> 1);
    sp_call_set_flag(&call, "AUX", f->uses & SP_USES_AUX),
        sp_call_set_flag(&call, "ADAPT", f->uses & SP_USES_THRESHOLD);
    sp_call_set_flag(&call, "LEARN", f->uses & SP_USES_LEARN);
    sp_call_set_float(&call, "decay", 0.75), sp_call_set_float(&call, "x_gain", 0.5),
        sp_call_set_float(&call, "v_th", 1);
    sp_call_set_float(&call, "v_reset", setting & 1 ? -0.25 : 0);
    sp_call_set_float(&call, "aux_decay", 0.625), sp_call_set_float(&call, "aux_gain", 0.375),
        sp_call_set_float(&call, "w", -0.75);
    return call;
}

static void put_points(sp_check_case *c)
{
    sp_point_put_neuron(c, "a");
}

static sp_status judge(const sp_check_case *c, const sp_fragment *f, sp_check_report *report, sp_error *err)
{
    SP_TRY(check_formula(c, f->name, report, err));
    if (f->uses & SP_USES_AUX)
        SP_TRY(check_aux(c, err));
    return f->uses & SP_USES_LEARN ? check_learning(c, err) : SP_OK;
}

sp_status sp_check_neuron_extra(sp_registry *reg, sp_device *dev, const sp_fragment *f,
                                sp_check_report *report, sp_error *err)
{
    static const sp_fragment_test test = {"check_neuron_ext", source, "a", put_points, judge};
    const bool tells = f->uses & SP_USES_LEARN || strstr(f->source, "SCALED"); /* else the same again */
    for (int setting = 0; setting < (tells ? 4 : 2); setting++) {
        const sp_op_call call = make_call(f, setting);
        SP_TRY(sp_fragment_try(reg, dev, f, &test, &call, report, err));
    }
    return SP_OK;
}
