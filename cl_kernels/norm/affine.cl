//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     affine.forward/1
//@ kernel: affine_forward__naive
//@ global: C, M
//@ score:  0
//@ about:  y = scale x + shift per channel, the same fma as neuron.forward with NORM; y may be x
__kernel void affine_forward__naive(SP_REF(float, x), SP_IN(float, scale), SP_IN(float, shift),
                                    SP_IO(float, y), int C)
{
    SP_AT(x);
    SP_AT(scale);
    SP_AT(shift);
    SP_AT(y);
    const size_t c = get_global_id(0);
    const ulong i = get_global_id(1) * (ulong)C + c;
    y[i] = fma(scale[c], x[i], shift[c]);
}
