/* C formulas of the built-in fragments (cl_kernels/neuron/{lif,if}.cl, cl_kernels/surrogate): what the fragments must compute.
 * Fragments of outside plugins have no formula here; they are checked by their own derivative. */
#ifndef SP_OP_FRAGMENTS_REF_H
#define SP_OP_FRAGMENTS_REF_H

/* Surrogates, d = u - v_th; *known (may be NULL) is 0, and the result NaN, where the name is not a built-in one. */
double sp_surrogate_ref_grad(const char *name, double d, double width, int *known);
double sp_surrogate_ref_smooth(const char *name, double d, double width, int *known); /* its antiderivative */

/* A neuron's parameters as kernels receive them: float, and the op's flag HARD. */
typedef struct sp_neuron_args {
    float decay, x_gain, v_th, v_reset;
    int hard;
} sp_neuron_args;

/* Neuron models round like the kernels (float, fma in a stated order), because a spike is discontinuous: a device with
 * IEEE float gives the same bits. NULL where the name is not a built-in one. */
typedef struct sp_neuron_model {
    const char *name;
    float (*charge)(float v, float x, const sp_neuron_args *p);
    float (*reset)(float u, float s, const sp_neuron_args *p);
    double (*d_charge_d_v)(const sp_neuron_args *p);
    double (*d_charge_d_x)(const sp_neuron_args *p);
    double (*d_reset_d_u)(double u, double s, const sp_neuron_args *p);
    double (*d_reset_d_s)(double u, double s, const sp_neuron_args *p);
} sp_neuron_model;

const sp_neuron_model *sp_neuron_ref_find(const char *name);

#endif
