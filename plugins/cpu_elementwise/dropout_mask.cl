//@ plugin: cpu_elementwise 1.0.0
//@ abi:    1
//@ op:     dropout.mask/2
//@ kernel: dropout_mask__blocks8
//@ global: min(M, cu*16)
//@ local:  1
//@ device: cpu
//@ when:   C % 4 == 0
//@ score:  50
//@ about:  a run of rows per work-item; a word of the mask from eight blocks of the generator side by side
//
// The numbers are those of the reference kernel: element e takes word e % 4 of block e / 4, and a row begins with
// a block. Rows that share a mask are copied.
#define LANES ((ulong8)(0, 1, 2, 3, 4, 5, 6, 7))

/* Words of Philox4x32-10 at 8 counters (*a, *b, c, d); the results are in *a, *b, *c and *d. */
inline void philox8(uint8 *a, uint8 *b, uint8 *c, uint8 *d, uint key)
{
    uint other = 0;
    for (int i = 0; i < 10; i++) {
        const ulong8 x = convert_ulong8(*a) * 0xD2511F53ul, y = convert_ulong8(*c) * 0xCD9E8D57ul;
        *a = convert_uint8(y >> 32) ^ *b ^ key;
        *b = convert_uint8(y);
        *c = convert_uint8(x >> 32) ^ *d ^ other;
        *d = convert_uint8(x);
        key += 0x9E3779B9u;
        other += 0xBB67AE85u;
    }
}

/* Bits of the 32 elements from block `first` on. */
inline uint draw(ulong first, uint key, uint stream, uint iteration, uint threshold)
{
    const ulong8 block = first + LANES;
    uint8 a = convert_uint8(block), b = convert_uint8(block >> 32), c = stream, d = iteration;
    philox8(&a, &b, &c, &d, key);
    const int8 kept = ((a >= threshold) & 1) | ((b >= threshold) & 2) | ((c >= threshold) & 4) | ((d >= threshold) & 8);
    const uint8 at = as_uint8(kept) << (uint8)(0, 4, 8, 12, 16, 20, 24, 28);
    const uint4 joined = at.lo | at.hi;
    return joined.s0 | joined.s1 | joined.s2 | joined.s3;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
dropout_mask__blocks8(SP_OUT(uint, mask), int M, int C, int rows, int seed, int stream, int iteration,
                      int time_step, float p)
{
    SP_AT(mask);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const long first = item * M / items, end = (item + 1) * M / items;
    const int words = (C + 31) / 32, rest = C % 32;
    const uint threshold = convert_uint_sat(p * 4294967296.0f); // exact: a power of two
#if STEP
    stream ^= time_step << 20;
#endif
    for (long m = first; m < end; m++)
        for (int word = 0; word < words; word++) {
            __global uint *to = mask + m * words + word;
            if (m > first && m % rows) {
                to[0] = to[-words];
                continue;
            }
            const uint bits = draw((ulong)(m / rows) * (ulong)(C / 4) + (ulong)word * 8, (uint)seed, (uint)stream,
                                   (uint)iteration, threshold);
            to[0] = word + 1 == words && rest ? bits & ((1u << rest) - 1) : bits;
        }
}
