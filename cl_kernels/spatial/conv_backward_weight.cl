//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     conv.backward_weight/1
//@ kernel: conv_backward_weight__naive
//@ global: O, C, KH*KW
//@ score:  0
//@ about:  one work-item per weight, which walks over all samples and output pixels
//@ op:     group_conv.backward_weight/1
//@ kernel: group_conv_backward_weight__naive
//@ global: O, C/G, KH*KW
//@ define: GROUPED = 1
//@ score:  0
//@ about:  one work-item per weight, which walks over all samples and output pixels
// g_w[kh][kw][c][o] += sum over n, ho, wo of x[n][ho*SH-PH+kh*DH][wo*SW-PW+kw*DW][c] e[n][ho][wo][o].
// x [N][H][W][C] (float or bits), e [N][HO][WO][O], g_w [KH][KW][C][O] (GROUPED: [C/G]). Sums per row of the picture, then per
// picture, then over the batch: a single float sum over all of them would lose digits.

#if GROUPED
#define NAME group_conv_backward_weight__naive
#else
#define NAME conv_backward_weight__naive
#endif

__kernel void NAME(SP_IN(sp_x, x), SP_IN(float, e), SP_IO(float, g_w), const int N, const int H, const int W,
                   const int C, const int O, const int KW, const int SH, const int SW, const int PH,
                   const int PW, const int DH, const int DW, const int HO, const int WO
#if GROUPED
                   ,
                   const int G
#endif
)
{
    SP_AT(x);
    SP_AT(e);
    SP_AT(g_w);
    const int o = (int)get_global_id(0);
    const int c = (int)get_global_id(1);
    const int kh = (int)get_global_id(2) / KW;
    const int kw = (int)get_global_id(2) % KW;
#if GROUPED
    const int CG = C / G, from = o / (O / G) * CG + c; // channel of x
#else
    const int CG = C, from = c;
#endif

    float sum = 0.0f;
    for (int n = 0; n < N; n++) {
        float picture = 0.0f;
        for (int ho = 0; ho < HO; ho++) {
            const int h = ho * SH - PH + kh * DH;
            if (h < 0 || h >= H)
                continue;
            float line = 0.0f;
            for (int wo = 0; wo < WO; wo++) {
                const int i = wo * SW - PW + kw * DW;
                const ulong row = ((ulong)n * H + h) * W + i;
                if (i >= 0 && i < W)
                    line += SP_X(x, row, from, C) * e[(((ulong)n * HO + ho) * WO + wo) * O + o];
            }
            picture += line;
        }
        sum += picture;
    }
    g_w[(get_global_id(2) * (ulong)CG + c) * O + o] += sum;
}
