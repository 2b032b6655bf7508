//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     scale/1
//@ kernel: scale__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item per element
// y[m][c] = factor x[m][c]; x float or bits. y may be the memory of x.

__kernel void scale__naive(SP_REF(sp_x, x), SP_IO(float, y), const int C, const float factor)
{
    SP_AT(x);
    SP_AT(y);
    const size_t i = get_global_id(0);
    y[i] = factor * SP_X(x, i / C, (int)(i % C), C);
}
