//@ plugin:    cpu_elementwise 1.0.0
//@ abi:       1
//@ include:   lanes.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ all:       when: O % 16 == 0
//@ op:        binary.unpack/1
//@ kernel:    binary_unpack__lanes
//@ global:    M, ceildiv(C, 32)
//@ local:     1, 1
//@ define:    UNPACK = 1
//@ about:     a work-item takes a row of words, 16 of them at a time
//@ op:        optimizer.flip/2
//@ define:    FLIP = 1
//@ kernel:    optimizer_flip__lanes
//@ global:    M, ceildiv(C, 32)
//@ local:     1, 1
//@ when:      O % 16 == 0 && !ADAPT
//@ about:     a work-item takes a row of words, 16 of them at a time
//@ op:        optimizer.flip/2
//@ define:    FLIP = 1
//@ define:    PARTS = 64
//@ workspace: PARTS + 1
//@ kernel:    optimizer_flip__part_squares
//@ global:    PARTS
//@ local:     1
//@ kernel:    optimizer_flip__bar
//@ global:    1
//@ kernel:    optimizer_flip__lanes
//@ global:    M, ceildiv(C, 32)
//@ local:     1, 1
//@ when:      O % 16 == 0 && ADAPT
//@ about:     sums of squares in PARTS strips, then a work-item takes a row of words, 16 of them at a time

/* Binary weights: words of 32 input channels, [M][words of C][O], and their gradients and momenta, [M][C][O]. The sign
 * of a float is its highest bit, so a weight makes a sign by a shift. */
#pragma OPENCL FP_CONTRACT OFF

/* The highest bit where bit c of the words is clear: a weight of -1. */
#define MINUS(words, c) (~(words) << (uint)(31 - (c)) & (uint16)(0x80000000u))

#if defined(UNPACK) && UNPACK
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void binary_unpack__lanes(SP_IN(uint, w), SP_OUT(float, y), const int C, const int O)
{
    SP_AT(w);
    SP_AT(y);
    const ulong tap = get_global_id(0), word = get_global_id(1);
    const int n = min(32, C - 32 * (int)word);
    __global const uint *from = w + (tap * SP_WORDS(C) + word) * O;
    __global float *to = y + (tap * C + 32 * word) * O;
    for (int o = 0; o < O; o += 16) {
        const uint16 words = vload16(0, from + o);
        for (int c = 0; c < n; c++)
            vstore16(as_float16(MINUS(words, c) | (uint16)(0x3f800000u)), 0, to + (ulong)c * O + o);
    }
}
#endif

#if defined(FLIP) && FLIP
#if ADAPT
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void optimizer_flip__part_squares(SP_IN(float, g), SP_OUT(float, work), const int M, const int C, const int O)
{
    SP_AT(g);
    SP_AT(work);
    const ulong vectors = (ulong)M * C * O / 16, part = get_global_id(0);
    float16 sum = (float16)(0.0f), lost = (float16)(0.0f);
    for (ulong i = part * vectors / PARTS; i < (part + 1) * vectors / PARTS; i++) {
        const float16 v = vload16(i, g);
        sp_add_lanes(&sum, &lost, v * v);
    }
    work[part] = sp_sum_lanes(sum);
}

__kernel void optimizer_flip__bar(SP_IO(float, work), SP_IO(float, v), const int M, const int C, const int O, const int P,
                                  const int time_step, const float beta2, const float flip, const float eps)
{
    SP_AT(work);
    SP_AT(v);
    float sum = 0.0f;
    for (int i = 0; i < PARTS; i++)
        sum += work[i];
    v += (time_step > 0 ? time_step - 1 : 0) % P;
    v[0] = fma(beta2, v[0], (1.0f - beta2) * (sum / ((float)M * (float)C * (float)O)));
    work[PARTS] = flip * sqrt(v[0] + eps);
}
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void optimizer_flip__lanes(SP_IO(uint, w), SP_IN(float, g), SP_IO(float, m),
#if ADAPT
                           SP_IN(float, work),
#endif
                           const int C, const int O, const float beta1, const float flip)
{
    SP_AT(w);
    SP_AT(g);
    SP_AT(m);
#if ADAPT
    SP_AT(work);
    const float bar = work[PARTS];
#else
    const float bar = flip;
#endif
    const ulong tap = get_global_id(0), word = get_global_id(1);
    const int n = min(32, C - 32 * (int)word);
    __global uint *words = w + (tap * SP_WORDS(C) + word) * O;
    const ulong first = (tap * C + 32 * word) * O;
    for (int o = 0; o < O; o += 16) {
        uint16 bits = vload16(0, words + o), turned = (uint16)(0u);
        for (int c = 0; c < n; c++) {
            const ulong i = first + (ulong)c * O + o;
            const float16 now = fma((float16)(beta1), vload16(0, m + i), (1.0f - beta1) * vload16(0, g + i));
            const float16 along = as_float16(as_uint16(now) ^ MINUS(bits, c));
            vstore16(now, 0, m + i);
            turned |= as_uint16(along > (float16)(bar)) & (uint16)(1u << c);
        }
        vstore16(bits ^ turned, 0, words + o);
    }
}
#endif
