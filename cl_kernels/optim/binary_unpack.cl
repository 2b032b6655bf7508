//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     binary.unpack/1
//@ kernel: binary_unpack__naive
//@ global: O, C, M
//@ score:  0
//@ about:  one work-item one weight
// y[m][c][o] = 1 where bit c % 32 of w[m][c / 32][o] is set, else -1.
__kernel void binary_unpack__naive(SP_IN(uint, w), SP_OUT(float, y), const int C, const int O)
{
    SP_AT(w);
    SP_AT(y);
    const int o = (int)get_global_id(0), c = (int)get_global_id(1);
    const ulong m = get_global_id(2);
    const uint word = w[(m * SP_WORDS(C) + (c >> 5)) * O + o];
    y[(m * C + c) * O + o] = word >> (c & 31) & 1u ? 1.0f : -1.0f;
}
