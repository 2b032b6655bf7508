/* Fragments: a small kernel evaluates the functions at many points, as scalars and as vectors, through the
 * same launch path as every op. The host then compares values with the C formulas (built-in names) and
 * derivatives with differences. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "check/fragment.h"
#include "op/fragments_ref.h"

#define POINTS(n, way)                                                                                       \
    {                                                                                                        \
        .name = n, .access = way, .rows = "1", .cols = "M"                                                   \
    }

static const sp_op surrogate_op = {.id = "fragment.surrogate/1",
                                   .takes_surrogate = true,
                                   .floats = {"width"},
                                   .ints = {"M"},
                                   .buffers = {POINTS("d", SP_IN), POINTS("grad", SP_OUT),
                                               POINTS("smooth", SP_OUT)}};

static const sp_op neuron_op = {.id = "fragment.neuron/1",
                                .takes_neuron = true,
                                .flags = {"HARD"},
                                .floats = {"decay", "x_gain", "v_th", "v_reset"},
                                .ints = {"M"},
                                .buffers = {POINTS("v", SP_IN), POINTS("x", SP_IN), POINTS("u", SP_IN),
                                            POINTS("s", SP_IN), POINTS("charge", SP_OUT),
                                            POINTS("reset", SP_OUT), POINTS("d_v", SP_OUT),
                                            POINTS("d_x", SP_OUT), POINTS("d_u", SP_OUT),
                                            POINTS("d_s", SP_OUT)}};

static const char surrogate_source[] =
    SP_REAL_ACCESS "__kernel void check_surrogate(SP_IN(float, d), SP_OUT(float, grad), SP_OUT(float, "
                   "smooth), float width)\n"
                   "{\n"
                   "    SP_AT(d);\n    SP_AT(grad);\n    SP_AT(smooth);\n"
                   "    real x = LOAD(d);\n"
                   "    real g = surrogate_grad(x, width), a = surrogate_smooth(x, width);\n"
                   "    STORE(g, grad);\n"
                   "    STORE(a, smooth);\n"
                   "}\n";

static const char neuron_source[] = SP_REAL_ACCESS
    "__kernel void check_neuron(SP_IN(float, v), SP_IN(float, x), SP_IN(float, u), SP_IN(float, s),\n"
    "                           SP_OUT(float, charge), SP_OUT(float, reset), SP_OUT(float, d_v), "
    "SP_OUT(float, d_x),\n"
    "                           SP_OUT(float, d_u), SP_OUT(float, d_s), float decay, float x_gain, float "
    "v_th,\n"
    "                           float v_reset)\n"
    "{\n"
    "    SP_AT(v);\n    SP_AT(x);\n    SP_AT(u);\n    SP_AT(s);\n    SP_AT(charge);\n    SP_AT(reset);\n"
    "    SP_AT(d_v);\n    SP_AT(d_x);\n    SP_AT(d_u);\n    SP_AT(d_s);\n"
    "    const neuron_args p = {decay, x_gain, v_th, v_reset};\n"
    "    real at_u = LOAD(u), at_s = LOAD(s);\n"
    "    real r0 = neuron_charge(LOAD(v), LOAD(x), p), r1 = neuron_reset(at_u, at_s, p);\n"
    "    real r2 = neuron_d_charge_d_v(p), r3 = neuron_d_charge_d_x(p);\n"
    "    real r4 = neuron_d_reset_d_u(at_u, at_s, p), r5 = neuron_d_reset_d_s(at_u, at_s, p);\n"
    "    STORE(r0, charge);\n    STORE(r1, reset);\n    STORE(r2, d_v);\n    STORE(r3, d_x);\n"
    "    STORE(r4, d_u);\n    STORE(r5, d_s);\n"
    "}\n";

enum { N_SURROGATE_POINTS = 656, N_NEURON_POINTS = SP_NEURON_POINTS, SHIFTS = SP_POINT_SHIFTS };
static const float step = SP_POINT_STEP;
static const double slack = SP_POINT_SLACK;
static const int widths[] = {1, 4, 8, 16};

float sp_point_get(const sp_check_case *c, const char *buffer, int i)
{
    float f;
    memcpy(&f, &c->buffers[sp_op_buffer_index(c->call.op, buffer)].got[i], sizeof f);
    return f;
}

double sp_point_slope(const sp_check_case *c, const char *function, const char *input, int k)
{
    return ((double)sp_point_get(c, function, k + 2) - (double)sp_point_get(c, function, k + 1)) /
           ((double)sp_point_get(c, input, k + 2) - (double)sp_point_get(c, input, k + 1));
}

void sp_point_put(sp_check_case *c, const char *buffer, int i, float f)
{
    memcpy(&c->buffers[sp_op_buffer_index(c->call.op, buffer)].initial[i], &f, sizeof f);
}

sp_status sp_point_check_finite(const sp_check_case *c, const char *input, sp_error *err)
{
    for (int b = 0; b < c->n_buffers; b++)
        for (int i = 0; c->buffers[b].access == SP_OUT && i < c->buffers[b].words; i++)
            if (!isfinite(sp_point_get(c, c->buffers[b].name, i)))
                return SP_FAIL(err, SP_E_MISMATCH, "%s is %s at %s = %.9g", c->buffers[b].name,
                               c->buffers[b].got[i] == SP_CHECK_POISON ? "not written" : "not finite", input,
                               (double)sp_point_get(c, input, i));
    return SP_OK;
}

/* The outputs at one vector width; the first width's results stay in expected, the others must agree with
 * them. */
static sp_status run_width(sp_registry *reg, sp_device *dev, sp_check_case *c, const char *kernel,
                           const char *source, int width, sp_error *err)
{
    char define[40], points[32], name[40], plugin[] = "check", version[] = "1", path[] = "fragment check";
    snprintf(define, sizeof define, "-DSP_REAL_WIDTH=%d", width);
    snprintf(points, sizeof points, "M/%d", width);
    snprintf(name, sizeof name, "%s", kernel);
    sp_variant v = {.plugin = plugin,
                    .version = version,
                    .id = name,
                    .op = c->call.op,
                    .n_passes = 1,
                    .defines = define,
                    .path = path,
                    .source = source};
    v.passes[0] = (sp_pass){.kernel = name, .global = {points}, .dims = 1};
    sp_launch *launch = NULL;
    sp_check_arena arena;
    sp_check_arena_init(&arena, dev);
    sp_status st = sp_launch_create(reg, dev, &v, &c->call, NULL, &launch, err);
    if (st == SP_OK)
        st = sp_check_arena_run(&arena, c, launch, false, err);
    sp_launch_destroy(&launch);
    sp_check_arena_fini(&arena);
    for (int b = 0; b < c->n_buffers && st == SP_OK; b++) {
        sp_check_buffer *buffer = &c->buffers[b];
        if (!buffer->present)
            continue;
        if (width == widths[0])
            memcpy(buffer->expected, buffer->got, (size_t)buffer->words * 4);
        sp_check_verdict verdict;
        sp_check_compare(c, b, 1e-5, &verdict); /* exp and erf may differ between float and float16 */
        if (buffer->access == SP_OUT && !verdict.ok)
            st = SP_FAIL(err, SP_E_MISMATCH, "as float%d it differs from float: %s", width, verdict.text);
    }
    return st;
}

/* What float says is judged before anything is compiled for vectors. */
sp_status sp_fragment_try(sp_registry *reg, sp_device *dev, const sp_fragment *f, const sp_fragment_test *t,
                          const sp_op_call *call, sp_check_report *report, sp_error *err)
{
    sp_check_case c;
    sp_status st = SP_OK;
    SP_TRY(sp_check_case_init(&c, call, 1, err));
    t->put_points(&c);
    SP_TRY_GOTO(run_width(reg, dev, &c, t->kernel, t->source, widths[0], err));
    SP_TRY_GOTO(sp_point_check_finite(&c, t->point, err));
    SP_TRY_GOTO(t->judge(&c, f, report, err));
    for (size_t i = 1; i < sizeof widths / sizeof *widths; i++)
        SP_TRY_GOTO(run_width(reg, dev, &c, t->kernel, t->source, widths[i], err));
    report->shapes_run++;
done:
    sp_check_case_fini(&c);
    return st;
}

bool sp_point_between(double difference, double a, double b, double c, double allowed)
{
    return difference >= fmin(a, fmin(b, c)) - allowed && difference <= fmax(a, fmax(b, c)) + allowed;
}

void sp_fragment_note(sp_check_report *report, double error, double allowed)
{
    report->worst_error = fmax(report->worst_error, error);
    report->worst_margin = fmax(report->worst_margin, error / allowed);
}

/* ---- surrogates ---- */

static void put_surrogate_points(sp_check_case *c)
{
    const float width = (float)sp_call_float(&c->call, "width");
    const float special[] = {0, width, -width, width / 2, -width / 2, 1e-6f, -1e-6f, 20, -20};
    const int n_special = sizeof special / sizeof *special;
    for (int i = 0; i < N_SURROGATE_POINTS; i++) {
        float d = i < n_special ? special[i] : -5 + (float)(i - n_special) / 64;
        sp_point_put(c, "d", i * SHIFTS, d);
        sp_point_put(c, "d", i * SHIFTS + 1, d - step);
        sp_point_put(c, "d", i * SHIFTS + 2, d + step);
    }
}

static sp_status check_surrogate_formula(const sp_check_case *c, const char *name, float width,
                                         sp_check_report *report, sp_error *err)
{
    double largest = 0;
    int known = 0;
    for (int i = 0; i < N_SURROGATE_POINTS * SHIFTS; i++)
        largest = fmax(largest, fabs((double)sp_point_get(c, "grad", i)));
    for (int i = 0; i < N_SURROGATE_POINTS * SHIFTS; i++) {
        double d = (double)sp_point_get(c, "d", i), g = (double)sp_point_get(c, "grad", i);
        double s = (double)sp_point_get(c, "smooth", i);
        double right_g = sp_surrogate_ref_grad(name, d, (double)width, &known);
        double right_s = sp_surrogate_ref_smooth(name, d, (double)width, NULL);
        if (!known)
            return SP_OK;
        sp_fragment_note(report, fmax(fabs(g - right_g) / fmax(largest, 1e-30), fabs(s - right_s)), 1e-5);
        if (fabs(g - right_g) > 1e-5 * largest || fabs(s - right_s) > 1e-5)
            return SP_FAIL(err, SP_E_MISMATCH,
                           "at d = %.9g, width %g: surrogate_grad is %.9g, should be %.9g; surrogate_smooth "
                           "is %.9g, should be %.9g",
                           d, (double)width, g, right_g, s, right_s);
    }
    return SP_OK;
}

static sp_status check_surrogate_slope(const sp_check_case *c, float width, sp_error *err)
{
    for (int i = 0; i < N_SURROGATE_POINTS; i++) {
        int k = i * SHIFTS;
        double slope = sp_point_slope(c, "smooth", "d", k);
        double g = (double)sp_point_get(c, "grad", k);
        if (!sp_point_between(slope, g, (double)sp_point_get(c, "grad", k + 1),
                              (double)sp_point_get(c, "grad", k + 2), slack * fmax(1, fabs(g))))
            return SP_FAIL(err, SP_E_MISMATCH,
                           "surrogate_grad is not the derivative of surrogate_smooth: at d = %.9g, width %g "
                           "it is %.6g, the slope %.6g",
                           (double)sp_point_get(c, "d", k), (double)width, g, slope);
    }
    return SP_OK;
}

static sp_status judge_surrogate(const sp_check_case *c, const sp_fragment *f, sp_check_report *report,
                                 sp_error *err)
{
    const float width = (float)sp_call_float(&c->call, "width");
    SP_TRY(check_surrogate_formula(c, f->name, width, report, err));
    return check_surrogate_slope(c, width, err);
}

static sp_status check_surrogate(sp_registry *reg, sp_device *dev, const sp_fragment *f,
                                 sp_check_report *report, sp_error *err)
{
    static const sp_fragment_test test = {"check_surrogate", surrogate_source, "d", put_surrogate_points,
                                          judge_surrogate};
    for (int half = 0; half < 2; half++) {
        sp_op_call call = {.op = &surrogate_op, .surrogate = f->name};
        sp_call_set_int(&call, "M", N_SURROGATE_POINTS * SHIFTS);
        sp_call_set_float(&call, "width", (double)((float)f->width_default * (half ? 0.5f : 1.0f)));
        SP_TRY(sp_fragment_try(reg, dev, f, &test, &call, report, err));
    }
    return SP_OK;
}

/* ---- neurons ---- */

void sp_point_put_neuron(sp_check_case *c, const char *state)
{
    const bool with_u = sp_op_buffer_index(c->call.op, "u") >= 0;
    for (int i = 0; i < N_NEURON_POINTS; i++)
        for (int k = 0; k < SHIFTS; k++) {
            float shift = k == 0 ? 0 : k == 1 ? -step : step;
            float v = -2 + (float)(i / 4 % 16) * 0.25f, x = -1 + (float)(i / 64) * 0.75f;
            sp_point_put(c, state, i * SHIFTS + k, i % 2 ? v : v + shift);
            sp_point_put(c, "x", i * SHIFTS + k, i % 2 ? x + shift : x);
            sp_point_put(c, "s", i * SHIFTS + k, (float)(i / 2 % 2));
            if (with_u)
                sp_point_put(c, "u", i * SHIFTS + k, v * 1.5f + 0.125f * x + shift);
        }
}

static sp_status differs(const sp_check_case *c, const char *what, int i, double got, double right,
                         sp_error *err)
{
    return SP_FAIL(err, SP_E_MISMATCH, "%s is %.9g, should be %.9g at v=%g x=%g u=%g s=%g%s%s", what, got,
                   right, (double)sp_point_get(c, "v", i), (double)sp_point_get(c, "x", i),
                   (double)sp_point_get(c, "u", i), (double)sp_point_get(c, "s", i),
                   sp_call_flag(&c->call, "HARD") ? ", hard reset" : ", soft reset",
                   strncmp(what, "neuron_d_charge", 15) == 0 ? SP_CHARGE_IS_LINEAR : "");
}

static sp_status check_neuron_formula(const sp_check_case *c, const char *name, sp_check_report *report,
                                      sp_error *err)
{
    const sp_neuron_model *n = sp_neuron_ref_find(name);
    sp_neuron_args p = {(float)sp_call_float(&c->call, "decay"), (float)sp_call_float(&c->call, "x_gain"),
                        (float)sp_call_float(&c->call, "v_th"), (float)sp_call_float(&c->call, "v_reset"),
                        sp_call_flag(&c->call, "HARD")};
    for (int i = 0; n && i < N_NEURON_POINTS * SHIFTS; i++) {
        float u = sp_point_get(c, "u", i), s = sp_point_get(c, "s", i);
        const struct {
            const char *buffer, *what;
            double right;
        } values[] = {
            {"charge", "neuron_charge",
             (double)n->charge(sp_point_get(c, "v", i), sp_point_get(c, "x", i), &p)},
            {"reset", "neuron_reset", (double)n->reset(u, s, &p)},
            {"d_v", "neuron_d_charge_d_v", n->d_charge_d_v(&p)},
            {"d_x", "neuron_d_charge_d_x", n->d_charge_d_x(&p)},
            {"d_u", "neuron_d_reset_d_u", n->d_reset_d_u((double)u, (double)s, &p)},
            {"d_s", "neuron_d_reset_d_s", n->d_reset_d_s((double)u, (double)s, &p)},
        };
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            double got = (double)sp_point_get(c, values[k].buffer, i);
            sp_fragment_note(report, fabs(got - values[k].right), 1e-6);
            if (fabs(got - values[k].right) > 1e-6)
                return differs(c, values[k].what, i, got, values[k].right, err);
        }
    }
    return SP_OK;
}

static sp_status check_slope(const sp_check_case *c, const char *function, const char *input,
                             const char *derivative, int i, sp_error *err)
{
    int k = i * SHIFTS;
    double slope = sp_point_slope(c, function, input, k);
    double g = (double)sp_point_get(c, derivative, k);
    if (sp_point_between(slope, g, (double)sp_point_get(c, derivative, k + 1),
                         (double)sp_point_get(c, derivative, k + 2), slack * fmax(1, fabs(g))))
        return SP_OK;
    char what[96];
    snprintf(what, sizeof what, "neuron_d_%s_%s", function, derivative);
    return differs(c, what, k, g, slope, err);
}

/* From no spike to a spike: s is only ever 0 or 1. */
static sp_status check_spike_step(const sp_check_case *c, int i, sp_error *err)
{
    int silent = i * SHIFTS, spiking = (i + 2) * SHIFTS;
    double rise = (double)sp_point_get(c, "reset", spiking) - (double)sp_point_get(c, "reset", silent);
    double g = (double)sp_point_get(c, "d_s", silent), other = (double)sp_point_get(c, "d_s", spiking);
    if (sp_point_between(rise, g, other, g, slack * fmax(1, fabs(g))))
        return SP_OK;
    return differs(c, "neuron_d_reset_d_s", silent, g, rise, err);
}

static sp_status check_neuron_slopes(const sp_check_case *c, sp_error *err)
{
    for (int i = 0; i < N_NEURON_POINTS; i++) {
        SP_TRY(check_slope(c, "charge", i % 2 ? "x" : "v", i % 2 ? "d_x" : "d_v", i, err));
        SP_TRY(check_slope(c, "reset", "u", "d_u", i, err));
        if (i % 4 == 0)
            SP_TRY(check_spike_step(c, i, err));
    }
    return SP_OK;
}

static void put_neuron_points(sp_check_case *c)
{
    sp_point_put_neuron(c, "v");
}

static sp_status judge_neuron(const sp_check_case *c, const sp_fragment *f, sp_check_report *report,
                              sp_error *err)
{
    SP_TRY(check_neuron_formula(c, f->name, report, err));
    return check_neuron_slopes(c, err);
}

static sp_status check_neuron(sp_registry *reg, sp_device *dev, const sp_fragment *f, sp_check_report *report,
                              sp_error *err)
{
    static const sp_fragment_test test = {"check_neuron", neuron_source, "u", put_neuron_points,
                                          judge_neuron};
    for (int hard = 0; hard < 2; hard++) {
        sp_op_call call = {.op = &neuron_op, .neuron = f->name};
        sp_call_set_int(&call, "M", N_NEURON_POINTS * SHIFTS);
        sp_call_set_flag(&call, "HARD", hard);
        sp_call_set_float(&call, "decay", 0.75);
        sp_call_set_float(&call, "x_gain", 0.5);
        sp_call_set_float(&call, "v_th", 1);
        sp_call_set_float(&call, "v_reset", hard ? -0.25 : 0);
        SP_TRY(sp_fragment_try(reg, dev, f, &test, &call, report, err));
    }
    return SP_OK;
}

sp_status sp_check_fragment(sp_registry *reg, sp_device *dev, sp_fragment *f, sp_check_report *report,
                            sp_error *err)
{
    sp_check_report own = {0};
    if (!report)
        report = &own;
    *report = own;
    sp_status st = sp_check_signatures(f, err);
    if (st == SP_OK && f->uses)
        st = sp_check_neuron_extra(reg, dev, f, report, err);
    if (st == SP_OK)
        st = f->kind == SP_FRAGMENT_NEURON ? check_neuron(reg, dev, f, report, err)
                                           : check_surrogate(reg, dev, f, report, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st,
                               "%s %s (plugin %s): ", f->kind == SP_FRAGMENT_NEURON ? "neuron" : "surrogate",
                               f->name, f->plugin);
    return SP_OK;
}
