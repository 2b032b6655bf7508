//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     concat.forward/1
//@ kernel: concat_forward__naive
//@ global: A + B, M
//@ score:  0
//@ about:  one work-item per element
// y[m] = a[m], then b[m]; [M][A], [M][B], [M][A+B]; a and b float or bits.

#if defined(A_BITS) && A_BITS // the other ops of this file are built without it
typedef uint a_type;
#define A_AT(m, c) sp_bit(a, m, c, A)
#else
typedef float a_type;
#define A_AT(m, c) a[(m) * A + (c)]
#endif
#if defined(B_BITS) && B_BITS
typedef uint b_type;
#define B_AT(m, c) sp_bit(b, m, c, B)
#else
typedef float b_type;
#define B_AT(m, c) b[(m) * B + (c)]
#endif

__kernel void concat_forward__naive(SP_IN(a_type, a), SP_IN(b_type, b), SP_OUT(float, y), const int A,
                                    const int B)
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(y);
    const int c = (int)get_global_id(0);
    const ulong m = get_global_id(1);
    y[m * (ulong)(A + B) + c] = c < A ? A_AT(m, c) : B_AT(m, c - A);
}

//@ op:     concat.spikes/1
//@ kernel: concat_spikes__naive
//@ global: ceildiv(A + B, 32), M
//@ score:  0
//@ about:  one work-item makes one word of spikes
// The words of b[m] move up by A mod 32 bits; bits past the last channel are 0 in b, so they are in y.

inline uint word_of(__global const uint *row, int word, int words)
{
    return word < 0 || word >= words ? 0 : row[word];
}

__kernel void concat_spikes__naive(SP_IN(uint, a), SP_IN(uint, b), SP_OUT(uint, y), const int A, const int B)
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(y);
    const int word = (int)get_global_id(0), shift = A % 32, from = word - A / 32;
    const ulong m = get_global_id(1);
    uint bits = word_of(a + m * SP_WORDS(A), word, SP_WORDS(A));
    b += m * SP_WORDS(B);
    bits |= word_of(b, from, SP_WORDS(B)) << shift;
    if (shift > 0)
        bits |= word_of(b, from - 1, SP_WORDS(B)) >> (32 - shift);
    y[m * SP_WORDS(A + B) + word] = bits;
}

//@ op:     concat.backward/1
//@ kernel: concat_backward__naive
//@ global: A + B, M
//@ score:  0
//@ about:  one work-item per element

__kernel void concat_backward__naive(SP_IN(float, g), SP_OUT(float, g_a), SP_OUT(float, g_b), const int A,
                                     const int B)
{
    SP_AT(g);
    SP_AT(g_a);
    SP_AT(g_b);
    const int c = (int)get_global_id(0);
    const ulong m = get_global_id(1);
    const float v = g[m * (ulong)(A + B) + c];
    if (c < A)
        g_a[m * A + c] = v;
    else
        g_b[m * B + c - A] = v;
}
