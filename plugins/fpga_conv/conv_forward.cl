//@ plugin: fpga_conv 1.0.0
//@ abi:    1
//@ include: tap_row.clh
//@ op:     conv.forward/1
//@ kernel: conv_forward__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ define: LANES = 16
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: 16 output channels side by side, their weights in one burst

/* y[n][ho][wo][o] = bias[o] + sum over kh, kw, c of x[n][ho*SH-PH+kh*DH][wo*SW-PW+kw*DW][c] w[kh][kw][c][o], x is 0
 * outside. Each of the LANES output channels has its accumulator; one input value meets LANES weights that lie side by
 * side. A partial sum for each tap keeps float sums short. */
__kernel SP_TASK void conv_forward__task(SP_IN(sp_x, x), SP_IN(float, w),
#if BIAS
                                         SP_IN(float, bias),
#endif
                                         SP_OUT(float, y))
{
    SP_AT(x); SP_AT(w); SP_AT(y);
#if BIAS
    SP_AT(bias);
#endif
    for (int p = 0; p < N * HO * WO; p++) {
        const int wo = p % WO, ho = p / WO % HO, n = p / (WO * HO);
        for (int o0 = 0; o0 < O; o0 += LANES) {
            const int lanes = min(LANES, O - o0);
            float sum[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                sum[j] = 0.0f;
            for (int tap = 0; tap < KH * KW; tap++) {
                const long row = tap_row(n, ho, wo, tap);
                if (row < 0)
                    continue;
                float part[LANES];
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    part[j] = 0.0f;
                SP_PIPELINE
                for (int c = 0; c < C; c++) {
                    const float in = SP_X(x, row, c, C);
                    const ulong k = ((ulong)tap * C + c) * O + o0;
                    SP_UNROLL
                    for (int j = 0; j < LANES; j++)
                        part[j] += j < lanes ? in * w[k + j] : 0.0f;
                }
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    sum[j] += part[j];
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                if (j < lanes) {
#if BIAS
                    sum[j] += bias[o0 + j];
#endif
                    y[(ulong)p * O + o0 + j] = sum[j];
                }
        }
    }
}
