//@ plugin: cpu_elementwise 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ op:     residual.backward/1
//@ kernel: residual_backward__sums
//@ global: SLOTS
//@ local:  1
//@ kernel: residual_backward__total
//@ global: 1
//@ local:  1
//@ define: SLOTS = 64
//@ define: ADAMW = 0
//@ workspace: SLOTS*32
//@ when:   GAIN
//@ about:  compensated sums of 16 lanes over a strip, then over strips and lanes
//@ op:     optimizer.adamw/2
//@ kernel: optimizer_adamw__strips
//@ global: cu*16
//@ local:  1
//@ define: ADAMW = 1
//@ about:  16 lanes over a strip per work-item

/* Strips as in elementwise.cl, where nothing is bits. */
#pragma OPENCL FP_CONTRACT OFF

/* ELEMENTS(i, lanes) for all of this work-item's n elements. */
#define STRIPS(n)                                                                                            \
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), vectors = ((n) + 15) / 16;   \
    const long end = min((item + 1) * vectors / items * 16, n);                                              \
    long i = item * vectors / items * 16;                                                                    \
    for (; i + 16 <= end; i += 16)                                                                           \
        ELEMENTS(i, 16);                                                                                     \
    if (i < end)                                                                                             \
        ELEMENTS(i, (int)(end - i));

#if !ADAMW
/* Compensated (Kahan): products over a whole layer nearly cancel. */
#define ADD_TO(type, sum, lost, v) {                                                                         \
        const type t = (v) - lost, s = sum + t;                                                              \
        lost = (s - sum) - t;                                                                                \
        sum = s; }

/* work: [SLOTS][2][16], the sums and what they have too much. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void residual_backward__sums(SP_IN(float, g), SP_IN(float, branch), SP_IN(float, gain), SP_OUT(float, g_branch),
                             SP_OUT(float, work), int M, int C, float alpha)
{
    SP_AT(g); SP_AT(branch); SP_AT(gain); SP_AT(g_branch); SP_AT(work);
    const float factor = alpha * gain[0];
    float16 sum = 0.0f, lost = 0.0f;
#define ELEMENTS(i, lanes) {                                                                                 \
        const float16 e = sp_load_lanes(g + (i), lanes);                                                     \
        ADD_TO(float16, sum, lost, e * sp_load_lanes(branch + (i), lanes))                                   \
        sp_store_lanes(factor * e, g_branch + (i), lanes); }
    STRIPS((long)M * C)
    vstore16(sum, 2 * item, work);
    vstore16(lost, 2 * item + 1, work);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void residual_backward__total(SP_IN(float, work), SP_IO(float, g_gain), float alpha)
{
    SP_AT(work); SP_AT(g_gain);
    float16 sum = 0.0f, lost = 0.0f;
    for (int slot = 0; slot < SLOTS; slot++) {
        ADD_TO(float16, sum, lost, vload16(2 * slot, work))
        lost += vload16(2 * slot + 1, work);
    }
    float lane[16], rest[16], all = 0.0f, behind = 0.0f;
    vstore16(sum, 0, lane);
    vstore16(lost, 0, rest);
    for (int i = 0; i < 16; i++) {
        ADD_TO(float, all, behind, lane[i])
        behind += rest[i];
    }
    g_gain[0] += alpha * (all - behind);
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void optimizer_adamw__strips(SP_IO(float, w), SP_IN(float, g), SP_IO(float, m), SP_IO(float, v), int M,
                             float lr, float beta1, float beta2, float eps, float weight_decay, float bias1,
                             float bias2)
{
    SP_AT(w); SP_AT(g); SP_AT(m); SP_AT(v);
#define ELEMENTS(i, lanes) {                                                                                 \
        const float16 old = sp_load_lanes(w + (i), lanes);                                                   \
        const float16 e = sp_load_lanes(g + (i), lanes) + (L2 ? weight_decay * old : 0.0f);                  \
        const float16 m_new = beta1 * sp_load_lanes(m + (i), lanes) + (1.0f - beta1) * e;                    \
        const float16 v_new = beta2 * sp_load_lanes(v + (i), lanes) + (1.0f - beta2) * e * e;                \
        sp_store_lanes(m_new, m + (i), lanes);                                                               \
        sp_store_lanes(v_new, v + (i), lanes);                                                               \
        sp_store_lanes(old * (L2 ? 1.0f : 1.0f - lr * weight_decay) -                                        \
                        lr * (m_new / bias1) / (sqrt(v_new / bias2) + eps), w + (i), lanes); }
    STRIPS((long)M)
}
#endif
