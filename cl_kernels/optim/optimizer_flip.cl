//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   compensated.clh
//@ op:        optimizer.flip/2
//@ kernel:    optimizer_flip__fixed
//@ global:    O, ceildiv(C, 32), M
//@ when:      !ADAPT
//@ score:     0
//@ about:     one work-item one word of weights
//
//@ op:        optimizer.flip/2
//@ define:    GROUPS = 1024
//@ workspace: GROUPS
//@ kernel:    optimizer_flip__squares
//@ global:    GROUPS
//@ kernel:    optimizer_flip__follow
//@ global:    1
//@ kernel:    optimizer_flip__turn
//@ global:    O, ceildiv(C, 32), M
//@ when:      ADAPT
//@ score:     0
//@ about:     GROUPS work-items stride over the gradients and keep a sum of squares; one adds the sums in order; then as without ADAPT
//
// m = beta1 m + (1 - beta1) g; a weight, 1 where its bit is set and else -1, turns where it times m is above the bar: flip, or
// with ADAPT flip sqrt(v + eps), v = beta2 v + (1 - beta2) mean g^2 of this time step. w [M][words of C][O], g and m
// [M][C][O], v [P]. Neighbouring work-items are neighbouring outputs, whose gradients lie side by side.
#ifndef GROUPS
#define GROUPS 1024 // the other ops of this file are built without it
#endif

inline void turn(__global uint *w, __global const float *g, __global float *m, int C, int O, float beta1, float bar)
{
    const ulong o = get_global_id(0), word = get_global_id(1), tap = get_global_id(2);
    const int n = min(32, C - 32 * (int)word);
    const ulong first = (tap * C + 32 * word) * O + o;
    uint bits = w[(tap * SP_WORDS(C) + word) * O + o];
    for (int c = 0; c < n; c++) {
        const ulong i = first + (ulong)c * O;
        const float now = fma(beta1, m[i], (1.0f - beta1) * g[i]);
        m[i] = now;
        if ((bits >> c & 1u ? now : -now) > bar)
            bits ^= 1u << c;
    }
    w[(tap * SP_WORDS(C) + word) * O + o] = bits;
}

#if !ADAPT
__kernel void optimizer_flip__fixed(SP_IO(uint, w), SP_IN(float, g), SP_IO(float, m), const int C, const int O,
                                    const float beta1, const float flip)
{
    SP_AT(w);
    SP_AT(g);
    SP_AT(m);
    turn(w, g, m, C, O, beta1, flip);
}
#else
inline int step_of(int time_step, int P)
{
    return (time_step > 0 ? time_step - 1 : 0) % P;
}

__kernel void optimizer_flip__squares(SP_IN(float, g), SP_OUT(float, work), const int M, const int C, const int O)
{
    SP_AT(g);
    SP_AT(work);
    const ulong n = (ulong)M * C * O;
    float sum = 0.0f, lost = 0.0f;
    for (ulong i = get_global_id(0); i < n; i += GROUPS)
        add_to(&sum, &lost, g[i] * g[i]);
    work[get_global_id(0)] = sum;
}

__kernel void optimizer_flip__follow(SP_IN(float, work), SP_IO(float, v), const int M, const int C, const int O,
                                     const int P, const int time_step, const float beta2)
{
    SP_AT(work);
    SP_AT(v);
    v += step_of(time_step, P);
    v[0] = fma(beta2, v[0], (1.0f - beta2) * (sum_in_order(work, GROUPS) / ((float)M * (float)C * (float)O)));
}

__kernel void optimizer_flip__turn(SP_IO(uint, w), SP_IN(float, g), SP_IO(float, m), SP_IN(float, v), const int C,
                                   const int O, const int P, const int time_step, const float beta1, const float flip,
                                   const float eps)
{
    SP_AT(w);
    SP_AT(g);
    SP_AT(m);
    SP_AT(v);
    turn(w, g, m, C, O, beta1, flip * sqrt(v[step_of(time_step, P)] + eps));
}
#endif
