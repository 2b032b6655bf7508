//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh carry.clh backward_step.clh pooled.clh
//@ op:     neuron.backward_sum/1
//@ kernel: neuron_backward_sum__rows16
//@ global: min(N*H*W, cu*16)
//@ local:  1
//@ bake:   KH KW
//@ when:   KH == SH && KW == SW && PH == 0 && PW == 0
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  a run of pixels per work-item, 16 channels at a time; g_s of a window is read where its neurons are

/* One pixel of C channels. */
SP_INLINE void pixel(pooled_row r, int w, ulong at, int C, __global const sp_u *u, __global float *carry,
                     __global float *g_x, int last, float width, neuron_args p)
{
    int c = 0;
    for (; c + 16 <= C; c += 16) {
        const ulong i = at + c;
        const float16 g = step(pooled_lanes(r, w, C, c, 16), u + i, carry + i, 16, last, width, p);
        SP_STORE16(__global, vload16(0, g_x + i) + g, g_x + i);
    }
    if (c < C) {
        const ulong i = at + c;
        const float16 g = step(pooled_lanes(r, w, C, c, C - c), u + i, carry + i, C - c, last, width, p);
        sp_store_lanes(sp_load_lanes(g_x + i, C - c) + g, g_x + i, C - c);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_sum__rows16(SP_IN(float, g_y), SP_IN(sp_u, u),
                            CARRY_ARGS SP_IO(float, g_x), int N, int H, int W, int C, int HO, int WO, float decay,
                            float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(g_y); SP_AT_U(u); SP_AT(g_x);
    CARRY_START
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), pixels = (long)N * H * W;
    const int end = (int)((item + 1) * pixels / items);
    for (int m = (int)(item * pixels / items); m < end;) {
        const int row = m / W, stop = min(end, (row + 1) * W);
        const pooled_row r = pooled_row_of(g_y, row, H, C, HO, WO);
        for (; m < stop; m++)
            pixel(r, m - row * W, (ulong)m * (ulong)C, C, u, carry, g_x, last, width, p);
    }
}
