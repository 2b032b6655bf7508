//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     mul/1
//@ kernel: mul__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item per element
// y[m][c] = a[m][c] b[m][c]. y may be the memory of a.

__kernel void mul__naive(SP_REF(float, a), SP_IN(float, b), SP_IO(float, y))
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(y);
    const size_t i = get_global_id(0);
    y[i] = a[i] * b[i];
}
