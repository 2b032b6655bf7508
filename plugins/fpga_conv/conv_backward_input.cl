//@ plugin: fpga_conv 1.0.0
//@ abi:    1
//@ op:     conv.backward_input/1
//@ kernel: conv_backward_input__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ define: LANES = 16
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: errors and weights of 16 output channels in bursts, added as a tree

/* g_x[n][h][i][c] = sum over the taps and channels o of the outputs that read the pixel: e[n][ho][wo][o] w[kh][kw][c][o]
 * with ho SH = h + PH - kh DH, wo SW = i + PW - kw DW. The sum over o runs in LANES accumulators, because both
 * factors lie along o in memory. */
__kernel SP_TASK void conv_backward_input__task(SP_IN(float, e), SP_IN(float, w), SP_OUT(float, g_x))
{
    SP_AT(e); SP_AT(w); SP_AT(g_x);
    for (int p = 0; p < N * H * W; p++) {
        const int i = p % W, h = p / W % H, n = p / (W * H);
        for (int c = 0; c < C; c++) {
            float sum[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                sum[j] = 0.0f;
            for (int kh = 0; kh < KH; kh++)
                for (int kw = 0; kw < KW; kw++) { /* not one loop over taps: LLVM 21 (PoCL 7.1) loses taps with a stride there */
                    const int up = h + PH - kh * DH, left = i + PW - kw * DW;
                    if (up < 0 || up % SH != 0 || up / SH >= HO || left < 0 || left % SW != 0 || left / SW >= WO)
                        continue;
                    const ulong e_row = (((ulong)n * HO + up / SH) * WO + left / SW) * O;
                    const ulong w_row = ((ulong)(kh * KW + kw) * C + c) * O;
                    SP_PIPELINE
                    for (int o0 = 0; o0 < O; o0 += LANES) {
                        SP_UNROLL
                        for (int j = 0; j < LANES; j++)
                            sum[j] += o0 + j < O ? e[e_row + o0 + j] * w[w_row + o0 + j] : 0.0f;
                    }
                }
            SP_UNROLL
            for (int half_ = LANES / 2; half_ > 0; half_ /= 2) {
                SP_UNROLL
                for (int j = 0; j < half_; j++)
                    sum[j] += sum[j + half_];
            }
            g_x[(ulong)p * C + c] = sum[0];
        }
    }
}
