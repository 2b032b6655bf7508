//@ plugin: reference 1.0.0
//@ abi:    1
//@ let:       PARTS = min(GROUPS, ceildiv(M*C, 256))
//@ op:        quantile/1
//@ define:    COLUMNS = 16
//@ define:    GROUPS = 16
//@ workspace: 256*(COLUMNS*GROUPS + 4)
//@ kernel:    quantile__count0
//@ global:    COLUMNS, PARTS
//@ kernel:    quantile__sum0
//@ global:    256
//@ kernel:    quantile__count1
//@ global:    COLUMNS, PARTS
//@ kernel:    quantile__sum1
//@ global:    256
//@ kernel:    quantile__count2
//@ global:    COLUMNS, PARTS
//@ kernel:    quantile__sum2
//@ global:    256
//@ kernel:    quantile__count3
//@ global:    COLUMNS, PARTS
//@ kernel:    quantile__sum3
//@ global:    256
//@ kernel:    quantile__pick
//@ global:    1
//@ score:     0
//@ about:     eight bits at a time: how often each value of them occurs, and on which of them the place falls
//
// Numbers are compared as 32 bits that are in the same order. Round r counts the values of byte r, from the highest on, of the
// numbers whose bytes before are those that were found. work: [4][256] how often each value occurs in a round, then the same of
// parts of the numbers, [COLUMNS*PARTS][256]. Few numbers have fewer parts: to clear and add one takes as long as to count 256.

inline uint in_order(float x)
{
    const uint bits = as_uint(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

inline float from_order(uint key)
{
    return as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/* The bytes that `rounds` rounds have found. */
inline uint found(__global const uint *work, int rounds, ulong n, int permille)
{
    ulong place = ((ulong)permille * (n - 1) + 500) / 1000;
    uint key = 0;
    for (int r = 0; r < rounds; r++) {
        uint byte = 0;
        while (byte < 255 && place >= work[256 * r + byte])
            place -= work[256 * r + byte++];
        key = key << 8 | byte;
    }
    return key;
}

inline void count(__global const float *x, __global uint *work, ulong n, int permille, int r)
{
    const ulong parts = get_global_size(1), group = (n + parts - 1) / parts;
    const ulong end = min((get_global_id(1) + 1) * group, n);
    const uint before = found(work, r, n, permille);
    __global uint *mine = work + 256 * (4 + get_global_id(1) * COLUMNS + get_global_id(0));
    for (int i = 0; i < 256; i++)
        mine[i] = 0;
    for (ulong i = get_global_id(1) * group + get_global_id(0); i < end; i += COLUMNS) {
        const uint key = in_order(x[i]) >> (24 - 8 * r);
        if (key >> 8 == before)
            mine[key & 255]++;
    }
}

inline void sum(__global uint *work, ulong n, int r)
{
    const ulong byte = get_global_id(0), parts = COLUMNS * min((ulong)GROUPS, (n + 255) / 256);
    uint all = 0;
    for (ulong i = 0; i < parts; i++)
        all += work[256 * (4 + i) + byte];
    work[256 * r + byte] = all;
}

#define ROUND(r)                                                                                             \
    __kernel void quantile__count##r(SP_IN(float, x), SP_IO(uint, work), int M, int C, int permille)         \
    {                                                                                                        \
        SP_AT(x);                                                                                            \
        SP_AT(work);                                                                                         \
        count(x, work, (ulong)M * (ulong)C, permille, r);                                                    \
    }                                                                                                        \
    __kernel void quantile__sum##r(SP_IO(uint, work), int M, int C)                                          \
    {                                                                                                        \
        SP_AT(work);                                                                                         \
        sum(work, (ulong)M * (ulong)C, r);                                                                   \
    }
ROUND(0)
ROUND(1)
ROUND(2)
ROUND(3)

__kernel void quantile__pick(SP_IN(uint, work), SP_OUT(float, y), int M, int C, int permille)
{
    SP_AT(work);
    SP_AT(y);
    y[0] = from_order(found(work, 4, (ulong)M * (ulong)C, permille));
}
