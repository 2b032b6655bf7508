/* Inside of host/check: what the checks of fragments share. A case has triples of points: one, and its
 * neighbours below and above in one input. */
#ifndef SP_CHECK_FRAGMENT_H
#define SP_CHECK_FRAGMENT_H

#include "check/case.h"

enum { SP_NEURON_POINTS = 256, SP_POINT_SHIFTS = 3 }; /* multiples of 16 together */
#define SP_POINT_STEP  (1.0f / 256) /* of the central differences: exact, and far above rounding */
#define SP_POINT_SLACK 2e-3         /* what rounding and curvature may make of a difference */

/* vload and vstore of `real`, whatever its width. */
#define SP_REAL_ACCESS                                                                                       \
    "#if SP_REAL_WIDTH == 1\n"                                                                               \
    "#define LOAD(p) ((p)[get_global_id(0)])\n"                                                              \
    "#define STORE(value, p) ((p)[get_global_id(0)] = (value))\n"                                            \
    "#else\n"                                                                                                \
    "#define JOIN_(a, b) a##b\n"                                                                             \
    "#define JOIN(a, b) JOIN_(a, b)\n"                                                                       \
    "#define LOAD(p) JOIN(vload, SP_REAL_WIDTH)(get_global_id(0), p)\n"                                      \
    "#define STORE(value, p) JOIN(vstore, SP_REAL_WIDTH)(value, get_global_id(0), p)\n"                      \
    "#endif\n"

float sp_point_get(const sp_check_case *c, const char *buffer, int i);
/* Of a function between the two neighbours of point k, by one of its inputs. */
double sp_point_slope(const sp_check_case *c, const char *function, const char *input, int k);
/* Inputs of a neuron: point i and its neighbours, 0 the point, 1 and 2 with u and one of `state` (v or a) and
 * x moved down and up. Points 4j and 4j+2 differ in s alone. */
void sp_point_put_neuron(sp_check_case *c, const char *state);
void sp_point_put(sp_check_case *c, const char *buffer, int i, float f);
sp_status sp_point_check_finite(const sp_check_case *c, const char *input, sp_error *err);

typedef struct sp_fragment_test {
    const char *kernel, *source;
    const char *point; /* the input that tells where a result is not finite */
    void (*put_points)(sp_check_case *c);
    /* Compares the results, which are in `got`, with the formula and with slopes. */
    sp_status (*judge)(const sp_check_case *c, const sp_fragment *f, sp_check_report *report, sp_error *err);
} sp_fragment_test;

/* Runs the kernel as float, float4, float8 and float16, which must agree, and judges the results. */
sp_status sp_fragment_try(sp_registry *reg, sp_device *dev, const sp_fragment *f, const sp_fragment_test *t,
                          const sp_op_call *call, sp_check_report *report, sp_error *err);

/* A difference must lie between the derivatives at both ends and the middle (mean value), whatever jumps
 * there are. */
bool sp_point_between(double difference, double a, double b, double c, double allowed);
void sp_fragment_note(sp_check_report *report, double error, double allowed);

/* Why: between time steps the kernels keep u alone, so neither v nor x is there when a gradient is computed.
 */
#define SP_CHARGE_IS_LINEAR                                                                                  \
    "; the charge of a neuron must be linear in v and x: its slopes may depend on the settings alone"

/* SP_E_MISMATCH names the first function that is defined with another number of arguments than it is called
 * with. */
sp_status sp_check_signatures(const sp_fragment *f, sp_error *err);

/* What a model has beyond u (fragment_ext.c). */
sp_status sp_check_neuron_extra(sp_registry *reg, sp_device *dev, const sp_fragment *f,
                                sp_check_report *report, sp_error *err);

#endif
