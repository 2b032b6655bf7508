//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     mean.accumulate/1
//@ kernel: mean_accumulate__naive
//@ global: C, M
//@ score:  0
//@ about:  one work-item per element
// mean[m][c] += share x[m][c], from 0 at the first step of a block. x is float or bits.

__kernel void mean_accumulate__naive(SP_IN(sp_x, x), SP_IO(float, mean), int C, int block_start, float share)
{
    SP_AT(x);
    SP_AT(mean);
    const ulong m = get_global_id(1), c = get_global_id(0), i = m * (ulong)C + c;
    mean[i] = (block_start ? 0.0f : mean[i]) + share * SP_X(x, m, (int)c, C);
}
