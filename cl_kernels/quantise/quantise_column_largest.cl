//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     quantise.column_largest/1
//@ kernel: quantise_column_largest__naive
//@ global: C
//@ score:  0
//@ about:  one work-item one column
__kernel void quantise_column_largest__naive(SP_IN(float, x), SP_OUT(float, largest), const int M, const int C)
{
    SP_AT(x);
    SP_AT(largest);
    const ulong c = get_global_id(0);
    float most = 0.0f;
    for (ulong i = c; i < (ulong)M * (ulong)C; i += (ulong)C)
        most = fmax(most, fabs(x[i]));
    largest[c] = most;
}
