//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     conv.forward/1
//@ kernel: conv_forward__naive
//@ global: O, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel
//@ op:     group_conv.forward/1
//@ kernel: group_conv_forward__naive
//@ global: O, WO, N*HO
//@ define: GROUPED = 1
//@ score:  0
//@ about:  one work-item per output pixel and channel, which reads the C/G channels of its group
// y[n][ho][wo][o] = bias[o] + sum over kh, kw, c of x[n][ho*SH-PH+kh*DH][wo*SW-PW+kw*DW][c] w[kh][kw][c][o],
// where x is 0 outside. GROUPED: c counts the C/G channels of o's group, which begin at o / (O/G) C/G.
// x [N][H][W][C] (float or bits), w [KH][KW][C][O] (GROUPED: [C/G]), y [N][HO][WO][O]. Neighbouring work-items
// are neighbouring output channels: they share x and read w side by side. One partial sum per tap keeps float
// sums short.

#if GROUPED
#define NAME group_conv_forward__naive
#else
#define NAME conv_forward__naive
#endif

__kernel void NAME(SP_IN(sp_x, x), SP_IN(float, w),
#if BIAS
                   SP_IN(float, bias),
#endif
                   SP_OUT(float, y), const int H, const int W, const int C, const int O, const int KH,
                   const int KW, const int SH, const int SW, const int PH, const int PW, const int DH,
                   const int DW, const int HO, const int WO
#if GROUPED
                   ,
                   const int G
#endif
)
{
    SP_AT(x);
    SP_AT(w);
    SP_AT(y);
    const int o = (int)get_global_id(0);
    const int wo = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / HO;
    const int ho = (int)get_global_id(2) % HO;

#if GROUPED
    const int CG = C / G, c0 = o / (O / G) * CG;
#else
    const int CG = C, c0 = 0;
#endif
    float sum = 0.0f;
    for (int kh = 0; kh < KH; kh++) {
        const int h = ho * SH - PH + kh * DH;
        if (h < 0 || h >= H)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int i = wo * SW - PW + kw * DW;
            if (i < 0 || i >= W)
                continue;
            const ulong row = ((ulong)n * H + h) * W + i;
            const ulong k = ((ulong)kh * KW + kw) * CG;
            float tap = 0.0f;
            for (int c = 0; c < CG; c++)
                tap += SP_X(x, row, c0 + c, C) * w[(k + c) * O + o];
            sum += tap;
        }
    }
#if BIAS
    SP_AT(bias);
    sum += bias[o];
#endif
    y[(get_global_id(2) * (ulong)WO + wo) * O + o] = sum;
}
