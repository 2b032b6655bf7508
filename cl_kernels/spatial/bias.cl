//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: compensated.clh
//@ op:     bias.broadcast/1
//@ kernel: bias_broadcast__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item per element of y
// y[m][c] = bias[c], and its gradient g_bias[c] += sum over m of e[m][c]. All are [M][C] or [C].

__kernel void bias_broadcast__naive(SP_IN(float, bias), SP_OUT(float, y), const int C)
{
    SP_AT(bias);
    SP_AT(y);
    y[get_global_id(0)] = bias[get_global_id(0) % C];
}

//@ op:        bias.backward/1
//@ define:    GROUPS = 256
//@ workspace: GROUPS*C
//@ kernel:    bias_backward__rows
//@ global:    C, GROUPS
//@ kernel:    bias_backward__finish
//@ global:    C
//@ score:     0
//@ about:     partial sums over groups of rows, then over the groups, in a fixed order
// Compensated (Kahan) sums: the rows are the batch times the pixels and their gradients nearly cancel.
#ifndef GROUPS
#define GROUPS 256 // bias.broadcast, in the same file, is built without it
#endif

__kernel void bias_backward__rows(SP_IN(float, e), SP_OUT(float, work), const int M, const int C)
{
    SP_AT(e);
    SP_AT(work);
    const ulong c = get_global_id(0);
    const int rows = (M - 1) / GROUPS + 1;
    const int m0 = min(M, (int)get_global_id(1) * rows);
    const int m1 = m0 + min(rows, M - m0);

    float sum = 0.0f, lost = 0.0f;
    for (int m = m0; m < m1; m++)
        add_to(&sum, &lost, e[(ulong)m * C + c]);
    work[get_global_id(1) * (ulong)C + c] = sum;
}

__kernel void bias_backward__finish(SP_IN(float, work), SP_IO(float, g_bias), const int C)
{
    SP_AT(work);
    SP_AT(g_bias);
    const ulong c = get_global_id(0);

    float sum = g_bias[c], lost = 0.0f;
    for (int group = 0; group < GROUPS; group++)
        add_to(&sum, &lost, work[(ulong)group * C + c]);
    g_bias[c] = sum;
}
