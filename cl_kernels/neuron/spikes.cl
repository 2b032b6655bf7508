//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     spikes.unpack/1
//@ kernel: spikes_unpack__naive
//@ global: C, M
//@ score:  0
//@ about:  one work-item one spike
__kernel void spikes_unpack__naive(SP_IN(uint, x), SP_OUT(float, y), int C)
{
    SP_AT(x);
    SP_AT(y);
    const ulong m = get_global_id(1);
    const int c = (int)get_global_id(0);
    y[m * (ulong)C + (ulong)c] = sp_bit(x, m, c, C);
}

//@ op:     spikes.mean/1
//@ kernel: spikes_mean__naive
//@ global: C, M
//@ score:  0
//@ about:  one work-item one number
// y = share count, whose P binary digits lie in count: [P][M][ceil(C/32)].
__kernel void spikes_mean__naive(SP_IN(uint, count), SP_OUT(float, y), int M, int C, int P, float share)
{
    SP_AT(count);
    SP_AT(y);
    const ulong m = get_global_id(1);
    const int c = (int)get_global_id(0);
    float n = 0.0f, worth = 1.0f;
    for (int digit = 0; digit < P; digit++, worth += worth)
        n += worth * sp_bit(count, (ulong)digit * (ulong)M + m, c, C);
    y[m * (ulong)C + (ulong)c] = share * n;
}

//@ op:     spikes.count/1
//@ kernel: spikes_count__naive
//@ global: 64
//@ score:  0
//@ about:  64 work-items, each counts every 64th word; the host adds the 64 numbers
__kernel void spikes_count__naive(SP_IN(uint, s), SP_IO(uint, count), int M, int C)
{
    SP_AT(s);
    SP_AT(count);
    const ulong words = (ulong)M * (ulong)SP_WORDS(C);
    uint n = 0;
    for (ulong i = get_global_id(0); i < words; i += 64)
        n += popcount(s[i]);
    count[get_global_id(0)] += n;
}
