//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: adaptive_window.clh
//@ op:     pool.adaptive_avg.forward/1
//@ kernel: pool_adaptive_avg_forward__naive
//@ global: C, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel
// y[n][ho][wo][c] = mean of x[n][h][i][c] over the window; output a of n_out covers the inputs
// window_start(a) .. window_end(a) - 1 of n_in.

__kernel void pool_adaptive_avg_forward__naive(SP_IN(sp_x, x), SP_OUT(float, y), const int H, const int W,
                                               const int C, const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(y);
    const int c = (int)get_global_id(0);
    const int wo = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / HO;
    const int ho = (int)get_global_id(2) % HO;
    const int top = window_start(ho, H, HO), bottom = window_end(ho, H, HO);
    const int left = window_start(wo, W, WO), right = window_end(wo, W, WO);

    float sum = 0.0f;
    for (int h = top; h < bottom; h++) {
        float line = 0.0f;
        for (int i = left; i < right; i++)
            line += SP_X(x, ((ulong)n * H + h) * W + i, c, C);
        sum += line;
    }
    y[(get_global_id(2) * (ulong)WO + wo) * C + c] = sum / (float)((bottom - top) * (right - left));
}

//@ op:     pool.adaptive_avg.backward/1
//@ kernel: pool_adaptive_avg_backward__naive
//@ global: C, W, N*H
//@ score:  0
//@ about:  one work-item per input pixel and channel
// g_x[n][h][i][c] = sum of g_y / area over the windows that hold the pixel. Input h lies in the outputs
// floor(h HO / H) .. ceil((h + 1) HO / H) - 1: the forward formula with input and output exchanged.

__kernel void pool_adaptive_avg_backward__naive(SP_IN(float, g_y), SP_OUT(float, g_x), const int H,
                                                const int W, const int C, const int HO, const int WO)
{
    SP_AT(g_y);
    SP_AT(g_x);
    const int c = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / H;
    const int h = (int)get_global_id(2) % H;

    float sum = 0.0f;
    for (int ho = window_start(h, HO, H); ho < window_end(h, HO, H); ho++)
        for (int wo = window_start(i, WO, W); wo < window_end(i, WO, W); wo++) {
            const int rows = window_end(ho, H, HO) - window_start(ho, H, HO);
            const int columns = window_end(wo, W, WO) - window_start(wo, W, WO);
            sum += g_y[(((ulong)n * HO + ho) * WO + wo) * C + c] / (float)(rows * columns);
        }
    g_x[(get_global_id(2) * (ulong)W + i) * C + c] = sum;
}
