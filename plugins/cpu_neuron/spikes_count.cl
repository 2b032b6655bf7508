//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ op:     spikes.count/1
//@ kernel: spikes_count__words16
//@ global: 4
//@ local:  1
//@ device: cpu
//@ score:  50
//@ about:  a work-item has 16 of the 64 counters in its lanes

/* count[g] += set bits of words g, g + 64, ... */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void spikes_count__words16(SP_IN(uint, s), SP_IO(uint, count), int M, int C)
{
    SP_AT(s); SP_AT(count);
    const ulong words = (ulong)M * (ulong)SP_WORDS(C);
    const int first = (int)get_global_id(0) * 16;
    uint16 n = vload16(0, count + first);
    ulong i = (ulong)first;
    for (; i + 16 <= words; i += 64)
        n += popcount(vload16(0, s + i));
    vstore16(n, 0, count + first);
    for (int k = 0; i + (ulong)k < words && k < 16; k++)
        count[first + k] += popcount(s[i + (ulong)k]);
}
