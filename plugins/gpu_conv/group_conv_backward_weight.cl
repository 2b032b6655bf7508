//@ plugin:    gpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh slots.clh
//@ let:       WEIGHTS = KH*KW*(C/G)*O
//@ let:       SLOTS = max(1, min(N*HO, ITEMS/WEIGHTS))
//@ op:        group_conv.backward_weight/1
//@ kernel:    group_conv_backward_weight__slots
//@ global:    WEIGHTS*SLOTS
//@ kernel:    group_conv_backward_weight__add
//@ global:    WEIGHTS
//@ bake:      *
//@ define:    ITEMS = 65536
//@ workspace: WEIGHTS*SLOTS
//@ when:      WEIGHTS*SLOTS < 2147483648
//@ device:    gpu
//@ score:     50
//@ about:     a weight and a slot of lines a work-item; the sums of the slots are added in order

/* g_w[kh][kw][k][o] += sum over the output pixels of x[pixel moved by (kh, kw)][o / (O/G) C/G + k] e[pixel][o].
 *
 * Few weights and many pixels: the lines of all pictures are cut into fixed slots, as many as give the device ITEMS items. The sums of
 * the slots lie in work, [slot][weight], and the second pass adds them in order: no atomics, the same bits every time. Neighbouring
 * items have neighbouring outputs. */
#define IN_G    (C / G)
#define WEIGHTS (KH * KW * IN_G * O)
#define WANTED  (ITEMS / WEIGHTS)
#define SLOTS   MAX(1, MIN(N * HO, WANTED))

__kernel void group_conv_backward_weight__slots(SP_IN(sp_x, x), SP_IN(float, e), SP_OUT(float, work))
{
    SP_AT(x);
    SP_AT(e);
    SP_AT(work);
    const uint item = (uint)get_global_id(0), slot = item / WEIGHTS, weight = item - slot * WEIGHTS;
    const int o = (int)(weight % O), k = (int)(weight / O % IN_G), tap = (int)(weight / (O * IN_G));
    const int dh = tap / KW * DH - PH, dw = tap % KW * DW - PW, c = o / (O / G) * IN_G + k;
    const int end = slot_start((int)slot + 1, SLOTS, N * HO);
    float sum = 0.0f;
    for (int line = slot_start((int)slot, SLOTS, N * HO); line < end; line++) {
        const int n = line / HO, h = line % HO * SH + dh;
        float here = 0.0f;
        for (int wo = 0; wo < WO; wo++) { /* without a condition, see group_conv.cl */
            const int i = wo * SW + dw;
            const bool inside = (uint)h < H && (uint)i < W;
            const float read = SP_X(x, ((ulong)n * H + (uint)clamp(h, 0, H - 1)) * W + (uint)clamp(i, 0, W - 1), c, C);
            here += (inside ? read : 0.0f) * e[((ulong)line * WO + (uint)wo) * O + (uint)o];
        }
        sum += here;
    }
    work[item] = sum;
}

__kernel void group_conv_backward_weight__add(SP_IN(float, work), SP_IO(float, g_w))
{
    SP_AT(work);
    SP_AT(g_w);
    const ulong i = get_global_id(0);
    float sum = 0.0f;
#pragma unroll 8
    for (int slot = 0; slot < SLOTS; slot++)
        sum += work[(ulong)slot * WEIGHTS + i];
    g_w[i] += sum;
}
