//@ plugin: gpu_elementwise 1.0.0
//@ abi:    1
//@ include: fours.clh
//@ all:    device: gpu
//@ all:    bake: A B
//@ all:    score: 50
//@ op:     concat.forward/1
//@ kernel: concat_forward__vec4
//@ global: (A + B)/4*M
//@ define: WIDTH = 4
//@ when:   A % 4 == 0 && B % 4 == 0
//@ about:  four neighbouring channels a work-item
//@ op:     concat.forward/1
//@ kernel: concat_forward__flat
//@ global: (A + B)*M
//@ define: WIDTH = 1
//@ score:  40
//@ about:  one channel a work-item, where vectors would cross the seam
//@ op:     concat.backward/1
//@ kernel: concat_backward__vec4
//@ global: (A + B)/4*M
//@ define: WIDTH = 4
//@ when:   A % 4 == 0 && B % 4 == 0
//@ about:  four neighbouring channels a work-item
//@ op:     concat.backward/1
//@ kernel: concat_backward__flat
//@ global: (A + B)*M
//@ define: WIDTH = 1
//@ score:  40
//@ about:  one channel a work-item, where vectors would cross the seam
//@ op:     concat.spikes/1
//@ kernel: concat_spikes__words
//@ global: ceildiv(A + B, 32)*M
//@ define: WIDTH = 1
//@ about:  one word of spikes a work-item; what the seam moves by is known when it is compiled

/* y[m] = a[m], then b[m]. Items are numbered through all rows, so that a work-group is full whatever the number of channels. */
#if WIDTH == 4
#define FORWARD  concat_forward__vec4
#define BACKWARD concat_backward__vec4
typedef float4 channels;
#else
#define FORWARD  concat_forward__flat
#define BACKWARD concat_backward__flat
typedef float channels;
#endif
#define ROW (A + B)

#if defined(A_BITS) && A_BITS /* the other ops of this file are built without it */
typedef uint a_type;
#define FROM_A(m, c) bits(a, (m) * SP_WORDS(A), c)
#else
typedef float a_type;
#define FROM_A(m, c) *(__global const channels *)(a + (m) * A + (c))
#endif
#if defined(B_BITS) && B_BITS
typedef uint b_type;
#define FROM_B(m, c) bits(b, (m) * SP_WORDS(B), c)
#else
typedef float b_type;
#define FROM_B(m, c) *(__global const channels *)(b + (m) * B + (c))
#endif

/* Channels from c on of the row of spikes at `row`. */
SP_INLINE channels bits(__global const uint *words, ulong row, int c)
{
    const uint word = words[row + (ulong)(c / 32)] >> (c % 32);
#if WIDTH == 4
    return four_bits(word);
#else
    return (float)(word & 1u);
#endif
}

/* Row and first channel of this item. */
#define PLACE                                                                                                          \
    const ulong m = get_global_id(0) / (ROW / WIDTH);                                                                  \
    const int c = (int)(get_global_id(0) - m * (ROW / WIDTH)) * WIDTH

__kernel void FORWARD(SP_IN(a_type, a), SP_IN(b_type, b), SP_OUT(float, y))
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(y);
    PLACE;
    channels v;
    if (c < A)
        v = FROM_A(m, c);
    else
        v = FROM_B(m, c - A);
    *(__global channels *)(y + m * ROW + c) = v;
}

__kernel void BACKWARD(SP_IN(float, g), SP_OUT(float, g_a), SP_OUT(float, g_b))
{
    SP_AT(g);
    SP_AT(g_a);
    SP_AT(g_b);
    PLACE;
    const channels v = *(__global const channels *)(g + m * ROW + c);
    if (c < A)
        *(__global channels *)(g_a + m * A + c) = v;
    else
        *(__global channels *)(g_b + m * B + c - A) = v;
}

#if WIDTH == 1
SP_INLINE uint word_of(__global const uint *row, int word, int words) { return word < 0 || word >= words ? 0 : row[word]; }

/* The words of b[m] move up by A mod 32 bits; bits past the last channel are 0 in b, so they are in y. */
__kernel void concat_spikes__words(SP_IN(uint, a), SP_IN(uint, b), SP_OUT(uint, y))
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(y);
    const ulong m = get_global_id(0) / SP_WORDS(ROW);
    const int word = (int)(get_global_id(0) - m * SP_WORDS(ROW)), from = word - A / 32;
    uint bits = word_of(a + m * SP_WORDS(A), word, SP_WORDS(A));
    b += m * SP_WORDS(B);
    bits |= word_of(b, from, SP_WORDS(B)) << A % 32;
    if (A % 32)
        bits |= word_of(b, from - 1, SP_WORDS(B)) >> (32 - A % 32) % 32;
    y[get_global_id(0)] = bits;
}
#endif
