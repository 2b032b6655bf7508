//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     col2im/1
//@ kernel: col2im__naive
//@ global: C, W, N*H
//@ score:  0
//@ about:  one work-item per input pixel and channel
// g_x[n][h][i][c] = sum of col[n ho wo][kh kw c] over the taps with ho SH = h + PH - kh DH, wo SW = i + PW -
// kw DW. Gathers, so nothing is written twice.

__kernel void col2im__naive(SP_IN(float, col), SP_OUT(float, g_x), const int H, const int W, const int C,
                            const int KH, const int KW, const int SH, const int SW, const int PH,
                            const int PW, const int DH, const int DW, const int HO, const int WO)
{
    SP_AT(col);
    SP_AT(g_x);
    const int c = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / H;
    const int h = (int)get_global_id(2) % H;

    float sum = 0.0f;
    for (int kh = 0; kh < KH; kh++) {
        const int ho = (h + PH - kh * DH) / SH; // exact where the product below gives it back
        if (h + PH - kh * DH < 0 || ho * SH != h + PH - kh * DH || ho >= HO)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int wo = (i + PW - kw * DW) / SW;
            if (i + PW - kw * DW < 0 || wo * SW != i + PW - kw * DW || wo >= WO)
                continue;
            sum += col[((((ulong)n * HO + ho) * WO + wo) * (ulong)(KH * KW) + kh * KW + kw) * C + c];
        }
    }
    g_x[(get_global_id(2) * (ulong)W + i) * C + c] = sum;
}
