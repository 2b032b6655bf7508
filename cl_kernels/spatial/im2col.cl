//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     im2col/1
//@ kernel: im2col__naive
//@ global: KH*KW*C, WO, N*HO
//@ score:  0
//@ about:  one work-item per element of col
// col[n ho wo][kh kw c] = x[n][ho*SH-PH+kh*DH][wo*SW-PW+kw*DW][c], 0 outside. x [N][H][W][C] (float or bits).

__kernel void im2col__naive(SP_IN(sp_x, x), SP_OUT(float, col), const int H, const int W, const int C,
                            const int KW, const int SH, const int SW, const int PH, const int PW,
                            const int DH, const int DW, const int HO, const int WO)
{
    SP_AT(x);
    SP_AT(col);
    const int k = (int)get_global_id(0);
    const int c = k % C;
    const int kw = k / C % KW;
    const int kh = k / C / KW;
    const int wo = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / HO;
    const int ho = (int)get_global_id(2) % HO;

    const int h = ho * SH - PH + kh * DH;
    const int i = wo * SW - PW + kw * DW;
    float v = 0.0f;
    if (h >= 0 && h < H && i >= 0 && i < W)
        v = SP_X(x, ((ulong)n * H + h) * W + i, c, C);
    col[(get_global_id(2) * (ulong)WO + wo) * get_global_size(0) + k] = v;
}
