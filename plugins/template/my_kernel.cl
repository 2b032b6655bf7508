//@ plugin: my_kernel 1.0.0
//@ abi:    1
//@ op:     scale/1
//@ kernel: scale__four
//@ global: M*C/VW
//@ define: VW = 4
//@ when:   M*C % VW == 0 && !X_BITS
//@ score:  5
//@ about:  y = factor x; four elements per work-item, one vector load and store
//
// Say here what one work-item does and why this is faster than the reference kernel (cl_kernels/util/scale.cl).
// y may be the same memory as x (alias in op_table.inc), hence SP_REF and SP_IO.

__kernel void scale__four(SP_REF(float, x), SP_IO(float, y), float factor)
{
    SP_AT(x);
    SP_AT(y);
    const size_t i = get_global_id(0);
    vstore4(vload4(i, x) * factor, i, y);
}
