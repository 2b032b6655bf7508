//@ plugin:    gpu_neuron 1.0.0
//@ abi:       1
//@ op:        spikes.count/1
//@ kernel:    spikes_count__groups
//@ global:    64*min(GROUPS, ceildiv(M*ceildiv(C, 32), 256))
//@ local:     64
//@ kernel:    spikes_count__add
//@ global:    64
//@ local:     64
//@ define:    GROUPS = 64
//@ workspace: 64*GROUPS
//@ device:    gpu
//@ score:     50
//@ about:     up to 64 groups of 64 work-items instead of one, then their sums
__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
spikes_count__groups(SP_IN(uint, s), SP_OUT(uint, work), int M, int C)
{
    SP_AT(s);
    SP_AT(work);
    const ulong words = (ulong)M * (ulong)SP_WORDS(C);
    uint n = 0;
    for (ulong i = get_global_id(0); i < words; i += get_global_size(0)) /* word i counts for counter i % 64, this item's */
        n += popcount(s[i]);
    work[get_global_id(0)] = n;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
spikes_count__add(SP_IN(uint, work), SP_IO(uint, count), int M, int C)
{
    SP_AT(work);
    SP_AT(count);
    const int groups = (int)min((ulong)GROUPS, ((ulong)M * (ulong)SP_WORDS(C) + 255) / 256);
    uint n = count[get_global_id(0)];
    for (int group = 0; group < groups; group++)
        n += work[group * 64 + get_global_id(0)];
    count[get_global_id(0)] = n;
}
