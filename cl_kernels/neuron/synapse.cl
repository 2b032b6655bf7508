//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     synapse.decay/1
//@ kernel: synapse_decay__naive
//@ global: C
//@ score:  0
//@ about:  decay = 1 - sigmoid(w), one work-item for each number
//
//@ op:     synapse.forward/1
//@ kernel: synapse_forward__naive
//@ global: C, M
//@ score:  0
//@ about:  y = x + decay y_prev, y = x at first; one work-item for each element
//
//@ op:     synapse.backward/1
//@ kernel: synapse_backward__naive
//@ global: C, M
//@ score:  0
//@ about:  g_x = g + decay carry; carry = g_x; g_hat = -g_x y_prev decay (1 - decay); one work-item for each element
//
// x, y, g, carry, ...: [M][C], decays: one, or [C]. y may be y_prev, and g_x may be g: elements are read before they are written. The
// derivative of decay by w is -sigmoid(w) (1 - sigmoid(w)).

__kernel void synapse_decay__naive(SP_IN(float, w), SP_OUT(float, decays))
{
    SP_AT(w);
    SP_AT(decays);
    const size_t c = get_global_id(0);
    decays[c] = 1.0f - 1.0f / (1.0f + exp(-w[c]));
}

#if defined(LEARNT) // synapse.decay is built without it
#if LEARNT
#define DECAY_ARG SP_IN(float, decays),
#define DECAY_AT  SP_AT(decays);
#define DECAY(c)  decays[EACH ? (c) : 0]
#else
#define DECAY_ARG
#define DECAY_AT
#define DECAY(c) decay
#endif

#if defined(X_BITS) // of the forward pass
__kernel void synapse_forward__naive(SP_IN(sp_x, x), SP_REF(float, y_prev), DECAY_ARG SP_IO(float, y), int C, int first,
                                     float decay)
{
    SP_AT(x);
    SP_AT(y_prev);
    DECAY_AT
    SP_AT(y);
    const int c = (int)get_global_id(0);
    const ulong m = get_global_id(1), i = m * (ulong)C + (ulong)c;
    const float in = SP_X(x, m, c, C);
    y[i] = first ? in : fma(DECAY(c), y_prev[i], in);
}
#else
__kernel void synapse_backward__naive(SP_REF(float, g),
#if LEARNT
                                      SP_IN(float, y_prev), DECAY_ARG SP_OUT(float, g_hat),
#endif
#if TEMPORAL
                                      SP_IO(float, carry),
#endif
                                      SP_IO(float, g_x), int C, int first, int last, float decay)
{
    SP_AT(g);
    DECAY_AT
    SP_AT(g_x);
    const size_t c = get_global_id(0);
    const ulong i = get_global_id(1) * (ulong)C + c;
    float all = g[i];
#if TEMPORAL
    SP_AT(carry);
    if (!last)
        all = fma(DECAY(c), carry[i], all);
    carry[i] = all;
#endif
#if LEARNT
    SP_AT(y_prev);
    SP_AT(g_hat);
    const float decay_c = DECAY(c);
    g_hat[i] = first ? 0.0f : -all * y_prev[i] * decay_c * (1.0f - decay_c);
#endif
    g_x[i] = all;
}
#endif
#endif
