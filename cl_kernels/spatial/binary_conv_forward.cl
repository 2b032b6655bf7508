//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     binary_conv.forward/1
//@ kernel: binary_conv_forward__naive
//@ global: O, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel, 32 input channels at a time
// y[n][ho][wo][o] = bias[o] + sum over kh, kw, c of x[n][ho*SH-PH+kh*DH][wo*SW-PW+kw*DW][c] w[kh][kw][c][o], where x is 0 or
// 1, 0 outside, and w is 1 where its bit is set, else -1. Of a word of 32 channels that is 2 popcount(x & w) - popcount(x).
// x [N][H][W][words of C], w [KH][KW][words of C][O], y [N][HO][WO][O]. Neighbouring work-items are neighbouring output
// channels: they share x and read w side by side. Sums are whole numbers, so their order does not matter.
__kernel void binary_conv_forward__naive(SP_IN(uint, x), SP_IN(uint, w),
#if BIAS
                                         SP_IN(float, bias),
#endif
                                         SP_OUT(float, y), const int H, const int W, const int C, const int O,
                                         const int KH, const int KW, const int SH, const int SW, const int PH,
                                         const int PW, const int DH, const int DW, const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(w);
    SP_AT(y);
    const int o = (int)get_global_id(0);
    const int wo = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / HO;
    const int ho = (int)get_global_id(2) % HO;
    const int words = SP_WORDS(C);
    int both = 0, spikes = 0;
    for (int kh = 0; kh < KH; kh++) {
        const int h = ho * SH - PH + kh * DH;
        if (h < 0 || h >= H)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int i = wo * SW - PW + kw * DW;
            if (i < 0 || i >= W)
                continue;
            __global const uint *from = x + (((ulong)n * H + h) * W + i) * words;
            __global const uint *signs = w + ((ulong)kh * KW + kw) * words * O + o;
            for (int k = 0; k < words; k++) {
                const uint word = from[k];
                both += (int)popcount(word & signs[(ulong)k * O]);
                spikes += (int)popcount(word);
            }
        }
    }
    float sum = (float)(2 * both - spikes);
#if BIAS
    SP_AT(bias);
    sum += bias[o];
#endif
    y[(get_global_id(2) * (ulong)WO + wo) * O + o] = sum;
}
