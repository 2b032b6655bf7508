//@ plugin: cpu_elementwise 1.0.0
//@ abi:    1
//@ all:    device: cpu
//@ all:    score: 50
//@ op:     half.pack/1
//@ kernel: half_pack__strips
//@ global: cu*16
//@ local:  1
//@ about:  16 lanes over a strip per work-item
//@ op:     spikes.count/1
//@ kernel: spikes_count__lanes
//@ global: 4
//@ local:  1
//@ about:  a work-item counts 16 of the 64 numbers

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void half_pack__strips(SP_IN(float, x), SP_OUT(half, y), int M, int C)
{
    SP_AT(x);
    y += 2 * y_at; /* offsets count words of 4 bytes */
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), n = (long)M * C;
    const long vectors = (n + 15) / 16, end = min((item + 1) * vectors / items * 16, n);
    long i = item * vectors / items * 16;
    for (; i + 16 <= end; i += 16)
        vstore_half16_rte(vload16(0, x + i), 0, y + i);
    for (; i < end; i++)
        vstore_half_rte(x[i], i, y);
}

/* By sums of ever wider digits: PoCL counts the bits of a vector lane by lane. */
SP_INLINE uint16 bits_of(uint16 x)
{
    x -= x >> 1 & 0x55555555;
    x = (x & 0x33333333) + (x >> 2 & 0x33333333);
    x = x + (x >> 4) & 0x0f0f0f0f;
    x += x >> 8;
    return x + (x >> 16) & 63;
}

/* Words g, g + 64, g + 128, .. add to number g. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void spikes_count__lanes(SP_IN(uint, s), SP_IO(uint, count), int M, int C)
{
    SP_AT(s); SP_AT(count);
    const long words = (long)M * SP_WORDS(C), first = (long)get_global_id(0) * 16;
    uint16 sum = vload16(0, count + first);
    long i = first;
    for (; i + 16 <= words; i += 64)
        sum += bits_of(vload16(0, s + i));
    vstore16(sum, 0, count + first);
    for (const long end = min(i + 16, words); i < end; i++)
        count[i % 64] += popcount(s[i]);
}
