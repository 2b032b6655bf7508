//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     quantise.apply/2
//@ kernel: quantise_apply__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item one element
// y = s clamp(round(x / s), -q, q), q = 2^(bits-1) - 1; s is the least power of two with 1.5 q s >= largest[c], by column. Every
// operation is exact but the rounding, so all devices agree. A NaN stays one.
__kernel void quantise_apply__naive(SP_IN(float, x), SP_IN(float, largest), SP_OUT(float, y), const int C,
                                    const int bits)
{
    SP_AT(x);
    SP_AT(largest);
    SP_AT(y);
    const ulong i = get_global_id(0);
    const float q = (float)((1 << (bits - 1)) - 1), most = largest[i % (ulong)C];
    int e = (most > 0.0f && isfinite(most) ? ilogb(most) : 0) - bits;
    while (ldexp(1.5f * q, e) < most)
        e++;
    const float r = rint(ldexp(x[i], -e));
    y[i] = ldexp(r > q ? q : r < -q ? -q : r, e);
}
