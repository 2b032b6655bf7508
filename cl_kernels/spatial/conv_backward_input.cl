//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     conv.backward_input/1
//@ kernel: conv_backward_input__naive
//@ global: C, W, N*H
//@ score:  0
//@ about:  one work-item per input pixel and channel
//@ op:     group_conv.backward_input/1
//@ kernel: group_conv_backward_input__naive
//@ global: C, W, N*H
//@ define: GROUPED = 1
//@ score:  0
//@ about:  one work-item per input pixel and channel, which reads the O/G channels of its group
// g_x[n][h][i][c] = sum over the taps (kh, kw) and channels o of the outputs that read the pixel:
// e[n][ho][wo][o] w[kh][kw][c][o] with ho SH = h + PH - kh DH, wo SW = i + PW - kw DW. Gathers, so nothing is
// written twice. e [N][HO][WO][O], w [KH][KW][C][O] (GROUPED: [C/G]), g_x [N][H][W][C].

#if GROUPED
#define NAME group_conv_backward_input__naive
#else
#define NAME conv_backward_input__naive
#endif

__kernel void NAME(SP_IN(float, e), SP_IN(float, w), SP_OUT(float, g_x), const int H, const int W,
                   const int C, const int O, const int KH, const int KW, const int SH, const int SW,
                   const int PH, const int PW, const int DH, const int DW, const int HO, const int WO
#if GROUPED
                   ,
                   const int G
#endif
)
{
    SP_AT(e);
    SP_AT(w);
    SP_AT(g_x);
    const int c = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / H;
    const int h = (int)get_global_id(2) % H;

#if GROUPED
    const int CG = C / G, OG = O / G;
#else
    const int CG = C, OG = O;
#endif
    const int o0 = c / CG * OG;
    float sum = 0.0f;
    for (int kh = 0; kh < KH; kh++) {
        const int ho = (h + PH - kh * DH) / SH; // exact where the product below gives it back
        if (h + PH - kh * DH < 0 || ho * SH != h + PH - kh * DH || ho >= HO)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int wo = (i + PW - kw * DW) / SW;
            if (i + PW - kw * DW < 0 || wo * SW != i + PW - kw * DW || wo >= WO)
                continue;
            const ulong e_row = (((ulong)n * HO + ho) * WO + wo) * O;
            const ulong w_row = (((ulong)kh * KW + kw) * CG + c % CG) * O;
            float tap = 0.0f;
            for (int o = o0; o < o0 + OG; o++)
                tap += e[e_row + o] * w[w_row + o];
            sum += tap;
        }
    }
    g_x[(get_global_id(2) * (ulong)W + i) * C + c] = sum;
}
