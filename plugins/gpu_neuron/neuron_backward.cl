//@ plugin: gpu_neuron 1.0.0
//@ abi:    1
//@ all:    device: gpu
//@ op:     neuron.backward/1
//@ kernel: neuron_backward__vec4
//@ global: M*C/4
//@ define: SP_REAL_WIDTH = 4
//@ when:   M*C % 4 == 0
//@ score:  50
//@ about:  four neurons a work-item, whatever the number of channels
//@ op:     neuron.backward/1
//@ kernel: neuron_backward__flat
//@ global: M*C
//@ define: SP_REAL_WIDTH = 1
//@ score:  40
//@ about:  one neuron a work-item, where their number is not a multiple of four

/* As the reference kernel, four neighbours at a time: h = surrogate'(u - v_th); g_u = g_s h [+ carry (d_reset/d_u +
 * d_reset/d_s h)]; g_x = g_u d_charge/d_x; carry = g_u d_charge/d_v. g_x may be g_s. u is half with U_HALF. */
#pragma OPENCL FP_CONTRACT OFF

#if SP_REAL_WIDTH == 4
#define NAME neuron_backward__vec4
#define LOAD(p, i) ((__global const float4 *)(p))[i] /* whole vectors, which vload4 of floats does not promise */
#if U_HALF
#define LOAD_U(p, i) SP_UN(4, p, i)
#else
#define LOAD_U LOAD
#endif
#define STORE(v, p, i) ((__global float4 *)(p))[i] = (v)
#else
#define NAME neuron_backward__flat
#define LOAD(p, i) (p)[i]
#define LOAD_U SP_U
#define STORE(v, p, i) (p)[i] = (v)
#endif

__kernel void NAME(SP_REF(float, g_s), SP_IN(sp_u, u),
#if TEMPORAL
                   SP_IO(float, carry), int last,
#endif
                   SP_IO(float, g_x), float decay, float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(g_s);
    SP_AT_U(u);
    SP_AT(g_x);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const size_t i = get_global_id(0);
    const real here = LOAD_U(u, i), h = surrogate_grad(here - SP_REAL(v_th), width);
    real g_u = LOAD(g_s, i) * h;
#if TEMPORAL
    SP_AT(carry);
    if (!last) {
        const real s = select(SP_REAL(0.0f), SP_REAL(1.0f), here >= SP_REAL(v_th));
        real d_v = neuron_d_reset_d_u(here, s, p);
#if !DETACH
        d_v = fma(neuron_d_reset_d_s(here, s, p), h, d_v);
#endif
        g_u = fma(LOAD(carry, i), d_v, g_u);
    }
    STORE(g_u * neuron_d_charge_d_v(p), carry, i);
#endif
    STORE(g_u * neuron_d_charge_d_x(p), g_x, i);
}
