//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     pool.max.forward/1
//@ kernel: pool_max_forward__naive
//@ global: C, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel
// y[n][ho][wo][c] = largest x[n][h][i][c] of the window that starts at (ho SH - PH, wo SW - PW); padding
// never wins, a NaN does. The first maximum in row order takes the gradient.

// Is v, which comes later in the window, the new maximum?
inline bool beats(float v, float best)
{
    return v > best || isnan(v);
}

__kernel void pool_max_forward__naive(SP_IN(sp_x, x), SP_OUT(float, y), const int H, const int W, const int C,
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

    float best = -INFINITY;
    for (int h = max(top, 0); h < min(top + KH, H); h++)
        for (int i = max(left, 0); i < min(left + KW, W); i++) {
            const float v = SP_X(x, ((ulong)n * H + h) * W + i, c, C);
            best = beats(v, best) ? v : best;
        }
    y[(get_global_id(2) * (ulong)WO + wo) * C + c] = best;
}

//@ op:     pool.max.backward/1
//@ kernel: pool_max_backward__naive
//@ global: C, W, N*H
//@ score:  0
//@ about:  one work-item per input pixel and channel, which looks for the windows it won
// g_x[n][h][i][c] = sum of g_y over the windows whose first maximum is (h, i). Gathers: overlapping windows
// would write one pixel twice.

// Is (h, i) the first maximum of the window that starts at (top, left) in sample n?
inline bool wins(__global const sp_x *x, int n, int c, int h, int i, int top, int left, int H, int W, int C,
                 int KH, int KW)
{
    int best_at = -1;
    float best = 0.0f;
    for (int y = max(top, 0); y < min(top + KH, H); y++)
        for (int z = max(left, 0); z < min(left + KW, W); z++) {
            const float v = SP_X(x, ((ulong)n * H + y) * W + z, c, C);
            if (best_at < 0 || beats(v, best)) {
                best = v;
                best_at = y * W + z;
            }
        }
    return best_at == h * W + i;
}

__kernel void pool_max_backward__naive(SP_IN(sp_x, x), SP_IN(float, g_y), SP_OUT(float, g_x), const int H,
                                       const int W, const int C, const int KH, const int KW, const int SH,
                                       const int SW, const int PH, const int PW, const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(g_y);
    SP_AT(g_x);
    const int c = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / H;
    const int h = (int)get_global_id(2) % H;

    float sum = 0.0f;
    for (int kh = 0; kh < KH; kh++) {
        const int ho = (h + PH - kh) / SH; // exact where the product below gives it back
        if (h + PH - kh < 0 || ho * SH != h + PH - kh || ho >= HO)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int wo = (i + PW - kw) / SW;
            if (i + PW - kw < 0 || wo * SW != i + PW - kw || wo >= WO)
                continue;
            if (wins(x, n, c, h, i, h - kh, i - kw, H, W, C, KH, KW))
                sum += g_y[(((ulong)n * HO + ho) * WO + wo) * C + c];
        }
    }
    g_x[(get_global_id(2) * (ulong)W + i) * C + c] = sum;
}
