//@ plugin:    gpu_norm 1.0.0
//@ abi:       1
//@ include:   pair.clh pair_tree.clh
//@ all:       define: GROUPS = 128
//@ op:        residual.backward/1
//@ kernel:    residual_backward__groups
//@ global:    WGS*min(GROUPS, ceildiv(M*C, WGS*4))
//@ local:     WGS
//@ kernel:    residual_backward__join
//@ global:    WGS
//@ local:     WGS
//@ tune:      WGS = 128 64 256
//@ workspace: 2*GROUPS
//@ when:      GAIN && WGS <= wg
//@ device:    gpu
//@ score:     50
//@ about:     up to GROUPS work-groups stride over the elements; trees in local memory join pairs of floats
//@ op:        residual.backward/1
//@ kernel:    residual_backward__vec4
//@ global:    ceildiv(M*C, 4)
//@ define:    WGS = 1
//@ when:      !GAIN
//@ device:    gpu
//@ score:     50
//@ about:     no gain, no sum: four elements a work-item

/* g_branch = alpha gain g; g_gain += alpha sum g branch. Products over a whole layer nearly cancel, therefore sums are
 * pairs of floats, as in sums.cl. work: [2][GROUPS]. */

#if GAIN
__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
residual_backward__groups(SP_IN(float, g), SP_IN(float, branch), SP_IN(float, gain), SP_OUT(float, g_branch),
                          SP_OUT(float, work), const int M, const int C, const float alpha)
{
    __local float2 part[WGS];
    SP_AT(g);
    SP_AT(branch);
    SP_AT(gain);
    SP_AT(g_branch);
    SP_AT(work);
    const ulong n = (ulong)M * (ulong)C;
    const float factor = alpha * gain[0];
    float2 sum = (float2)(0.0f);

    for (ulong i = get_global_id(0); i < n; i += get_global_size(0)) {
        sum = add(sum, g[i] * branch[i]);
        g_branch[i] = factor * g[i];
    }
    put_sum(part, sum, work);
}

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
residual_backward__join(SP_IN(float, work), SP_IO(float, g_gain), const int M, const int C, const float alpha)
{
    __local float2 part[WGS];
    SP_AT(work);
    SP_AT(g_gain);
    const float sum = total(part, work, (ulong)M * (ulong)C);
    if (get_local_id(0) == 0)
        g_gain[0] += alpha * sum;
}
#else
__kernel void residual_backward__vec4(SP_IN(float, g), SP_OUT(float, g_branch), const int M, const int C, const float alpha)
{
    SP_AT(g);
    SP_AT(g_branch);
    const ulong i = get_global_id(0), n = (ulong)M * (ulong)C;
    if (i * 4 + 4 <= n)
        ((__global float4 *)g_branch)[i] = alpha * ((__global const float4 *)g)[i];
    else
        for (ulong j = i * 4; j < n; j++)
            g_branch[j] = alpha * g[j];
}
#endif
