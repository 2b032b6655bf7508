//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: integer.clh
//@ op:     integer.conv/1
//@ kernel: integer_conv__naive
//@ global: O, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel
// Networks of integers (docs/NUMERICS.md, "Integers"). y[n][ho][wo][o] = sum over kh, kw, c of x w: as conv.forward, with
// x [N][H][W][C] bits or int and w [KH][KW][C][O] int.

__kernel void integer_conv__naive(SP_IN(integer_x, x), SP_IN(int, w), SP_OUT(int, y), const int H, const int W,
                                  const int C, const int O, const int KH, const int KW, const int SH,
                                  const int SW, const int PH, const int PW, const int DH, const int DW,
                                  const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(w);
    SP_AT(y);
    const int o = (int)get_global_id(0);
    const int wo = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / HO;
    const int ho = (int)get_global_id(2) % HO;

    int sum = 0;
    for (int kh = 0; kh < KH; kh++) {
        const int h = ho * SH - PH + kh * DH;
        if (h < 0 || h >= H)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int i = wo * SW - PW + kw * DW;
            if (i < 0 || i >= W)
                continue;
            const ulong row = ((ulong)n * H + h) * W + i, k = ((ulong)kh * KW + kw) * C;
            for (int c = 0; c < C; c++)
                sum += INTEGER_X(x, row, c, C) * w[(k + c) * O + o];
        }
    }
    y[(get_global_id(2) * (ulong)WO + wo) * O + o] = sum;
}

//@ op:     integer.pool_sum/1
//@ kernel: integer_pool_sum__naive
//@ global: C, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel
// y[n][ho][wo][c] = sum of x over the window: an average whose division the next layer's thresholds take over.

__kernel void integer_pool_sum__naive(SP_IN(integer_x, x), SP_OUT(int, y), const int H, const int W, const int C,
                                      const int KH, const int KW, const int SH, const int SW, const int PH,
                                      const int PW, const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(y);
    const int c = (int)get_global_id(0);
    const int wo = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / HO;
    const int top = (int)get_global_id(2) % HO * SH - PH;
    const int left = wo * SW - PW;

    int sum = 0;
    for (int h = max(top, 0); h < min(top + KH, H); h++)
        for (int i = max(left, 0); i < min(left + KW, W); i++) {
            const ulong row = ((ulong)n * H + h) * W + i;
            sum += INTEGER_X(x, row, c, C);
        }
    y[(get_global_id(2) * (ulong)WO + wo) * C + c] = sum;
}

//@ op:     integer.neuron/1
//@ kernel: integer_neuron__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  one work-item makes one word of spikes: 32 neurons, one after the other
// v = 0 at first, else u_prev after its reset (to `reset` with HARD_RESET, else less the threshold, where u_prev >= threshold).
// u = clamp(leak(v) + 2^fraction x + bias) to `width` bits; s = u >= threshold. leak(v) = v >> shift, or v - (v >> shift)
// with LEAK; >> rounds down. u may be u_prev.
__kernel void integer_neuron__naive(SP_IN(int, x), SP_IN(int, bias), SP_IN(int, threshold),
#if HARD_RESET
                                    SP_IN(int, reset),
#endif
                                    SP_REF(int, u_prev), SP_IO(int, u), SP_OUT(uint, s), int C, int first,
                                    int shift, int fraction, int width)
{
    SP_AT(x);
    SP_AT(bias);
    SP_AT(threshold);
#if HARD_RESET
    SP_AT(reset);
#endif
    SP_AT(u_prev);
    SP_AT(u);
    SP_AT(s);
    const int word = (int)get_global_id(0), most = (int)((1u << (width - 1)) - 1u);
    const ulong m = get_global_id(1);
    const int end = min(C, word * 32 + 32);
    uint bits = 0;

    for (int c = word * 32; c < end; c++) {
        const ulong i = m * (ulong)C + (ulong)c;
#if HARD_RESET
        int v = reset[c];
#else
        int v = 0;
#endif
        if (!first) {
            const int before = u_prev[i];
#if HARD_RESET
            v = before >= threshold[c] ? v : before;
#else
            v = before >= threshold[c] ? before - threshold[c] : before;
#endif
        }
#if LEAK
        v -= v >> shift;
#else
        v = v >> shift;
#endif
        const int now = clamp(v + x[i] * (1 << fraction) + bias[c], -most - 1, most);
        u[i] = now;
        if (now >= threshold[c])
            bits |= 1u << (c & 31);
    }
    s[m * (ulong)SP_WORDS(C) + (ulong)word] = bits;
}
