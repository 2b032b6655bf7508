//@ plugin:  reference 1.0.0
//@ abi:     1
//@ include: activation.clh compensated.clh
//@ op:      activation.forward/1
//@ kernel:  activation_forward__naive
//@ global:  M*C
//@ score:   0
//@ about:   one work-item per element
// y = max(x, 0), or with QUANTISED y = threshold clamp(k, 0, levels) / levels, k of activation.clh; [M][C], threshold one
// number. y may be the memory of x. Backward: g_x = g where x > 0, or where 0 <= k <= levels (the floor has the gradient 1);
// g_threshold += sum of g clamp(k) / levels, less g x / threshold where 0 <= k <= levels. g_x may be the memory of g.

__kernel void activation_forward__naive(SP_REF(float, x),
#if QUANTISED
                                        SP_IN(float, threshold),
#endif
                                        SP_IO(float, y)
#if QUANTISED
                                            , const float levels
#endif
)
{
    SP_AT(x);
    SP_AT(y);
    const size_t i = get_global_id(0);
    const float v = x[i];
#if QUANTISED
    SP_AT(threshold);
    y[i] = threshold[0] * (clamped(levels_reached(v, threshold[0], levels), levels) / levels);
#else
    y[i] = v < 0.0f ? 0.0f : v;
#endif
}

//@ op:     activation.backward/1
//@ kernel: activation_backward__plain
//@ global: M*C
//@ when:   !QUANTISED
//@ score:  0
//@ about:  one work-item per element; nothing to learn, no sum

__kernel void activation_backward__plain(SP_REF(float, g), SP_IN(float, x), SP_IO(float, g_x))
{
    SP_AT(g);
    SP_AT(x);
    SP_AT(g_x);
    const size_t i = get_global_id(0);
    const float v = g[i];
    g_x[i] = x[i] > 0.0f ? v : 0.0f;
}

//@ op:        activation.backward/1
//@ define:    GROUPS = 1024
//@ workspace: GROUPS
//@ kernel:    activation_backward__threshold
//@ global:    GROUPS
//@ kernel:    activation_backward__finish
//@ global:    1
//@ when:      QUANTISED
//@ score:     0
//@ about:     GROUPS work-items stride over the elements and keep a sum; one adds the sums in order
// Compensated (Kahan) sums: what rounding to levels leaves nearly cancels over a layer.
#ifndef GROUPS
#define GROUPS 1024 // the other ops of this file are built without it
#endif

__kernel void activation_backward__threshold(SP_REF(float, g), SP_IN(float, x), SP_IN(float, threshold),
                                             SP_IO(float, g_x), SP_OUT(float, work), const int M, const int C,
                                             const float levels)
{
    SP_AT(g);
    SP_AT(x);
    SP_AT(threshold);
    SP_AT(g_x);
    SP_AT(work);
    const ulong n = (ulong)M * (ulong)C;
    const float theta = threshold[0];

    float sum = 0.0f, lost = 0.0f;
    for (ulong i = get_global_id(0); i < n; i += GROUPS) {
        const float v = g[i], in = x[i], k = levels_reached(in, theta, levels);
        const bool inside = k >= 0.0f && k <= levels;
        const float share = clamped(k, levels) / levels;
        add_to(&sum, &lost, v * (inside ? share - in / theta : share));
        g_x[i] = inside ? v : 0.0f;
    }
    work[get_global_id(0)] = sum;
}

__kernel void activation_backward__finish(SP_IN(float, work), SP_IO(float, g_threshold))
{
    SP_AT(work);
    SP_AT(g_threshold);
    g_threshold[0] += sum_in_order(work, GROUPS);
}
