//@ plugin: fpga_conv 1.0.0
//@ abi:    1
//@ op:     conv.backward_weight/1
//@ kernel: conv_backward_weight__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ define: LANES = 16
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: 16 weights of one input channel at a time, errors in bursts

/* g_w[kh][kw][c][o] += sum over n, ho, wo of x[n][ho*SH-PH+kh*DH][wo*SW-PW+kw*DW][c] e[n][ho][wo][o]. Sums per row of the
 * picture, then per picture, then over the batch: a single float sum over all of them would lose digits. */
__kernel SP_TASK void conv_backward_weight__task(SP_IN(sp_x, x), SP_IN(float, e), SP_IO(float, g_w))
{
    SP_AT(x); SP_AT(e); SP_AT(g_w);
    for (int k = 0; k < KH * KW * C; k++) {
        const int c = k % C, kw = k / C % KW, kh = k / (C * KW);
        for (int o0 = 0; o0 < O; o0 += LANES) {
            const int lanes = min(LANES, O - o0);
            float sum[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                sum[j] = 0.0f;
            for (int n = 0; n < N; n++) {
                float picture[LANES];
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    picture[j] = 0.0f;
                for (int ho = 0; ho < HO; ho++) {
                    const int h = ho * SH - PH + kh * DH;
                    if (h < 0 || h >= H)
                        continue;
                    float line[LANES];
                    SP_UNROLL
                    for (int j = 0; j < LANES; j++)
                        line[j] = 0.0f;
                    SP_PIPELINE
                    for (int wo = 0; wo < WO; wo++) {
                        const int i = wo * SW - PW + kw * DW;
                        const ulong e_row = (((ulong)n * HO + ho) * WO + wo) * O + o0;
                        const bool inside = i >= 0 && i < W;
                        const float in = inside ? SP_X(x, ((ulong)n * H + h) * W + i, c, C) : 0.0f;
                        SP_UNROLL
                        for (int j = 0; j < LANES; j++)
                            line[j] += inside && j < lanes ? in * e[e_row + j] : 0.0f;
                    }
                    SP_UNROLL
                    for (int j = 0; j < LANES; j++)
                        picture[j] += line[j];
                }
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    sum[j] += picture[j];
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                if (j < lanes)
                    g_w[(ulong)k * O + o0 + j] += sum[j];
        }
    }
}
