//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:        quantise.largest/1
//@ define:    GROUPS = 16
//@ workspace: GROUPS*64
//@ kernel:    quantise_largest__strips
//@ global:    64, GROUPS
//@ kernel:    quantise_largest__finish
//@ global:    1
//@ score:     0
//@ about:     maxima of 64 columns and groups of rows of 64, then of all of those

__kernel void quantise_largest__strips(SP_IN(float, x), SP_OUT(float, work), const int M)
{
    SP_AT(x);
    SP_AT(work);
    float most = 0.0f;
    for (ulong i = get_global_id(1) * 64 + get_global_id(0); i < (ulong)M; i += GROUPS * 64)
        most = fmax(most, fabs(x[i]));
    work[get_global_id(1) * 64 + get_global_id(0)] = most;
}

__kernel void quantise_largest__finish(SP_IN(float, work), SP_OUT(float, largest))
{
    SP_AT(work);
    SP_AT(largest);
    float most = 0.0f;
    for (int i = 0; i < 64 * GROUPS; i++)
        most = fmax(most, work[i]);
    largest[0] = most;
}
