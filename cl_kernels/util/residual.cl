//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: compensated.clh
//@ op:     residual.forward/1
//@ kernel: residual_forward__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item per element
// y = alpha [gain] branch + identity, [M][C]; identity float or bits, gain one number. y may be the memory of
// branch. Backward: g_branch = alpha [gain] g, g_gain += alpha sum of g branch.

#if defined(ID_BITS) && ID_BITS // residual.backward, in the same file, is built without it
typedef uint identity_type;
#define IDENTITY(i, cols) sp_bit(identity, (i) / (cols), (int)((i) % (cols)), cols)
#else
typedef float identity_type;
#define IDENTITY(i, cols) identity[i]
#endif

__kernel void residual_forward__naive(SP_REF(float, branch), SP_IN(identity_type, identity),
#if GAIN
                                      SP_IN(float, gain),
#endif
#if ID_BITS
                                      const int C,
#endif
                                      SP_IO(float, y), const float alpha)
{
    SP_AT(branch);
    SP_AT(identity);
    SP_AT(y);
    const size_t i = get_global_id(0);
    float factor = alpha;
#if GAIN
    SP_AT(gain);
    factor *= gain[0];
#endif
    y[i] = factor * branch[i] + IDENTITY(i, C);
}

//@ op:     residual.backward/1
//@ kernel: residual_backward__plain
//@ global: M*C
//@ when:   !GAIN
//@ score:  0
//@ about:  one work-item per element; no gain, no sum

__kernel void residual_backward__plain(SP_IN(float, g), SP_OUT(float, g_branch), const float alpha)
{
    SP_AT(g);
    SP_AT(g_branch);
    const size_t i = get_global_id(0);
    g_branch[i] = alpha * g[i];
}

//@ op:        residual.backward/1
//@ define:    GROUPS = 1024
//@ workspace: GROUPS
//@ kernel:    residual_backward__gain
//@ global:    GROUPS
//@ kernel:    residual_backward__finish
//@ global:    1
//@ when:      GAIN
//@ score:     0
//@ about:     GROUPS work-items stride over the elements and keep a sum; one adds the sums in order
// Compensated (Kahan) sums: products over a whole layer nearly cancel.
#ifndef GROUPS
#define GROUPS 1024 // the other ops of this file are built without it
#endif

__kernel void residual_backward__gain(SP_IN(float, g), SP_IN(float, branch), SP_IN(float, gain),
                                      SP_OUT(float, g_branch), SP_OUT(float, work), const int M, const int C,
                                      const float alpha)
{
    SP_AT(g);
    SP_AT(branch);
    SP_AT(gain);
    SP_AT(g_branch);
    SP_AT(work);
    const ulong n = (ulong)M * (ulong)C;
    const float factor = alpha * gain[0];

    float sum = 0.0f, lost = 0.0f;
    for (ulong i = get_global_id(0); i < n; i += GROUPS) {
        add_to(&sum, &lost, g[i] * branch[i]);
        g_branch[i] = factor * g[i];
    }
    work[get_global_id(0)] = sum;
}

__kernel void residual_backward__finish(SP_IN(float, work), SP_IO(float, g_gain), const float alpha)
{
    SP_AT(work);
    SP_AT(g_gain);
    g_gain[0] += alpha * sum_in_order(work, GROUPS);
}
