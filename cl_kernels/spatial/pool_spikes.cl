//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     pool.spikes.forward/1
//@ kernel: pool_spikes_forward__naive
//@ global: ceildiv(C, 32), WO, N*HO
//@ score:  0
//@ about:  one work-item makes one word of spikes
// y[n][ho][wo] = OR of x[n][h][i] over the window that starts at (ho SH - PH, wo SW - PW), 32 channels at a time.

__kernel void pool_spikes_forward__naive(SP_IN(uint, x), SP_OUT(uint, y), const int H, const int W, const int C,
                                         const int KH, const int KW, const int SH, const int SW, const int PH,
                                         const int PW, const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(y);
    const int wo = (int)get_global_id(1), n = (int)get_global_id(2) / HO;
    const int top = (int)get_global_id(2) % HO * SH - PH, left = wo * SW - PW;
    uint bits = 0;

    for (int h = max(top, 0); h < min(top + KH, H); h++)
        for (int i = max(left, 0); i < min(left + KW, W); i++)
            bits |= x[(((ulong)n * H + h) * W + i) * SP_WORDS(C) + get_global_id(0)];
    y[(get_global_id(2) * (ulong)WO + wo) * SP_WORDS(C) + get_global_id(0)] = bits;
}
