//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     half.pack/1
//@ kernel: half_pack__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item per element
// y[i] = x[i] as half, to the nearest, ties to even. Storage only: no cl_khr_fp16.

__kernel void half_pack__naive(SP_IN(float, x), SP_OUT(half, y))
{
    SP_AT(x);
    y += 2 * y_at; // offsets count words of 4 bytes
    vstore_half_rte(x[get_global_id(0)], get_global_id(0), y);
}
