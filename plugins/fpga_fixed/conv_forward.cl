//@ plugin: fpga_fixed 1.0.0
//@ abi:    1
//@ include: fixed.clh tap_row.clh
//@ op:     conv.forward/1
//@ kernel: conv_forward__fixed
//@ global: 1
//@ local:  1
//@ bake:   *
//@ define: LANES = 16
//@ tune:   FRAC = 10 8
//@ device: accelerator
//@ score:  1
//@ approximate: 0.05
//@ about:  convolution in fixed point, single work-item: factors int16 with FRAC fraction bits, int32 sums; spikes add weights

/* As fpga_conv's conv_forward__task, with one int32 sum for each of the LANES output channels: integers lose no digits. A spike
 * adds the weight, without a multiplier. Factors out of range saturate. */
__kernel SP_TASK void conv_forward__fixed(SP_IN(sp_x, x), SP_IN(float, w),
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
            int sum[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
#if BIAS
                sum[j] = j < lanes ? to_fixed(bias[o0 + j]) * (1 << (SUM_FRAC - FRAC)) : 0;
#else
                sum[j] = 0;
#endif
            for (int tap = 0; tap < KH * KW; tap++) {
                const long row = tap_row(n, ho, wo, tap);
                if (row < 0)
                    continue;
                SP_PIPELINE
                for (int c = 0; c < C; c++) {
                    const float in = SP_X(x, row, c, C);
                    const ulong k = ((ulong)tap * C + c) * O + o0;
                    SP_UNROLL
                    for (int j = 0; j < LANES; j++) {
                        const int weight = j < lanes ? to_fixed(w[k + j]) : 0;
#if X_BITS
                        sum[j] += in != 0.0f ? weight * (1 << (SUM_FRAC - FRAC)) : 0;
#else
                        sum[j] += fixed_product(to_fixed(in), weight);
#endif
                    }
                }
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                if (j < lanes)
                    y[(ulong)p * O + o0 + j] = from_fixed_sum(sum[j]);
        }
    }
}
