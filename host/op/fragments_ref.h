/* C formulas of the built-in fragments (cl_kernels/neuron/{lif,if,plif,cuba_lif,alif,...}.cl,
 * cl_kernels/surrogate): what they must compute. Fragments of outside plugins have no formula here; they are
 * checked by their own derivative. */
#ifndef SP_OP_FRAGMENTS_REF_H
#define SP_OP_FRAGMENTS_REF_H

/* Surrogates, d = u - v_th; *known (may be NULL) is 0, and the result NaN, where the name is not a built-in
 * one. */
double sp_surrogate_ref_grad(const char *name, double d, double width, int *known);
double sp_surrogate_ref_smooth(const char *name, double d, double width, int *known); /* its antiderivative */

/* A neuron's parameters as kernels receive them: float, and the op's flag HARD. */
typedef struct sp_neuron_args {
    float decay, x_gain, v_th, v_reset;
    int hard;
} sp_neuron_args;

/* Parameters of the second state `aux`. */
typedef struct sp_aux_args {
    float decay, gain;
} sp_aux_args;

/* What a model has beyond u; functions of a part that it does not use are NULL. docs/NUMERICS.md, "More than
 * u". */
typedef struct sp_neuron_extra {
    float (*aux)(float a, float x, float s, const sp_aux_args *q); /* a[t] of a[t-1], x[t], s[t-1] */
    float (*current)(float x, float a);                            /* what the charge sees */
    double (*d_aux_d_a)(const sp_aux_args *q);
    double d_aux_d_x, d_aux_d_s, d_current_d_x, d_current_d_a;
    float (*threshold)(float a, const sp_neuron_args *p, const sp_aux_args *q);
    double (*d_threshold_d_a)(const sp_aux_args *q);
    sp_neuron_args (*learn)(const sp_neuron_args *p, float w, int scaled);
    double (*d_charge_d_w)(double v, double u, const sp_neuron_args *learned, float w, int scaled);
} sp_neuron_extra;

/* Neuron models round like the kernels (float, fma in a stated order), because a spike is discontinuous: a
 * device with IEEE float gives the same bits. NULL where the name is not a built-in one. */
typedef struct sp_neuron_model {
    const char *name;
    float (*charge)(float v, float x, const sp_neuron_args *p);
    float (*reset)(float u, float s, const sp_neuron_args *p);
    double (*d_charge_d_v)(const sp_neuron_args *p);
    double (*d_charge_d_x)(const sp_neuron_args *p);
    double (*d_reset_d_u)(double u, double s, const sp_neuron_args *p);
    double (*d_reset_d_s)(double u, double s, const sp_neuron_args *p);
    const sp_neuron_extra *extra; /* NULL: the model keeps u alone */
} sp_neuron_model;

/* neuron_ext_ref.c */
extern const sp_neuron_extra sp_plif_extra, sp_cuba_lif_extra, sp_alif_extra, sp_cuba_plif_extra,
    sp_palif_extra;

/* Threshold of one neuron, as kernels round it: v_th, or what the model makes of its second state. */
float sp_neuron_ref_threshold(const sp_neuron_model *n, float a, const sp_neuron_args *p,
                              const sp_aux_args *q);

const sp_neuron_model *sp_neuron_ref_find(const char *name);

#endif
