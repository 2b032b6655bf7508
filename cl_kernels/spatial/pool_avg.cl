//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: pool_back.clh
//@ op:     pool.avg.forward/1
//@ kernel: pool_avg_forward__naive
//@ global: C, WO, N*HO
//@ score:  0
//@ about:  one work-item per output pixel and channel
// y[n][ho][wo][c] = sum of x[n][h][i][c] over the window / (KH KW): padding counts as zeros. The window of
// output (ho, wo) starts at (ho SH - PH, wo SW - PW).

__kernel void pool_avg_forward__naive(SP_IN(sp_x, x), SP_OUT(float, y), const int H, const int W, const int C,
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

    float sum = 0.0f;
    for (int h = max(top, 0); h < min(top + KH, H); h++) {
        float line = 0.0f;
        for (int i = max(left, 0); i < min(left + KW, W); i++)
            line += SP_X(x, ((ulong)n * H + h) * W + i, c, C);
        sum += line;
    }
    y[(get_global_id(2) * (ulong)WO + wo) * C + c] = sum / (float)(KH * KW);
}

//@ op:     pool.avg.backward/1
//@ kernel: pool_avg_backward__naive
//@ global: C, W, N*H
//@ score:  0
//@ about:  one work-item per input pixel and channel

__kernel void pool_avg_backward__naive(SP_IN(float, g_y), SP_OUT(float, g_x), const int H, const int W,
                                       const int C, const int KH, const int KW, const int SH, const int SW,
                                       const int PH, const int PW, const int HO, const int WO)
{
    SP_AT(g_y);
    SP_AT(g_x);
    const int c = (int)get_global_id(0), i = (int)get_global_id(1), row = (int)get_global_id(2);
    g_x[((ulong)row * W + i) * C + c] = behind_pool(g_y, row, i, c, H, C, KH, KW, SH, SW, PH, PW, HO, WO);
}
