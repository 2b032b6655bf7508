//@ plugin:    gpu_neuron 1.0.0
//@ abi:       1
//@ include:   threshold.clh backward_ext.clh pair.clh pair_tree.clh
//@ all:       device: gpu
//@ all:       score: 50
//@ all:       define: GROUPS = 128
//@ op:        neuron.backward_ext/3
//@ kernel:    neuron_backward_ext__vec4
//@ global:    M*C/4
//@ define:    SP_REAL_WIDTH = 4
//@ define:    WGS = 1
//@ when:      !LEARN && !V_TH && M*C % 4 == 0
//@ about:     four neurons a work-item, whatever the number of channels
//@ op:        neuron.backward_ext/3
//@ kernel:    neuron_backward_ext__flat
//@ global:    M*C
//@ define:    SP_REAL_WIDTH = 1
//@ define:    WGS = 1
//@ when:      !LEARN && !V_TH
//@ score:     40
//@ about:     one neuron a work-item, where their number is not a multiple of four
//@ op:        neuron.backward_ext/3
//@ kernel:    neuron_backward_ext__groups
//@ global:    WGS*min(GROUPS, ceildiv(M*C, WGS*4))
//@ local:     WGS
//@ kernel:    neuron_backward_ext__join
//@ global:    WGS
//@ local:     WGS
//@ tune:      WGS = 128 64 256
//@ define:    SP_REAL_WIDTH = 1
//@ workspace: 4*GROUPS
//@ when:      (LEARN || V_TH) && !EACH && WGS <= wg
//@ about:     up to GROUPS work-groups stride over the neurons; trees in local memory join what they add to dL/dw and dL/dth

/* What the neurons add to the two scalars nearly cancels, therefore sums are pairs of floats. work: [2][GROUPS] of dL/dw, then of
 * dL/dth. */
#pragma OPENCL FP_CONTRACT OFF

/* WGS is 1 for the variants without sums. */
#define SUMS (WGS > 1 && (LEARN || V_TH))
#if SUMS
#define NAME neuron_backward_ext__groups
#elif SP_REAL_WIDTH == 4
#define NAME neuron_backward_ext__vec4
#else
#define NAME neuron_backward_ext__flat
#endif

__kernel
#if SUMS
    __attribute__((reqd_work_group_size(WGS, 1, 1)))
#endif
    void
    NAME(BACKWARD_EXT_ARGS)
{
    BACKWARD_EXT_START
    const ulong n = (ulong)M * (ulong)C / SP_REAL_WIDTH;
    real add_w = SP_REAL(0.0f), add_th = add_w;
#if SUMS
    __local float2 part[WGS];
    float2 sum_w = (float2)(0.0f), sum_th = sum_w;
#endif
    for (ulong i = get_global_id(0); i < n; i += get_global_size(0)) {
        step(&l, i * SP_REAL_WIDTH, SP_REAL_WIDTH, &add_w, &add_th);
#if SUMS
        sum_w = add(sum_w, add_w);
        sum_th = add(sum_th, add_th);
#endif
    }
#if SUMS
    SP_AT(work);
#if LEARN
    put_sum(part, sum_w, work);
#endif
#if V_TH
    put_sum(part, sum_th, work + 2 * GROUPS);
#endif
#endif
}

#if SUMS
__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
neuron_backward_ext__join(BACKWARD_EXT_SUM_ARGS, int M, int C)
{
    __local float2 part[WGS];
    SP_AT(work);
    const ulong n = (ulong)M * (ulong)C;
#if LEARN
    SP_AT(g_w);
    const float to_w = total(part, work, n);
    if (get_local_id(0) == 0)
        g_w[0] += to_w;
#endif
#if V_TH
    SP_AT(g_th);
    const float to_th = total(part, work + 2 * GROUPS, n);
    if (get_local_id(0) == 0)
        g_th[0] += to_th;
#endif
}
#endif
