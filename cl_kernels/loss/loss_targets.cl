//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     loss.targets/1
//@ kernel: loss_targets__naive
//@ global: N
//@ score:  0
//@ about:  one work-item one sample
//
// z = gain logits; with TOTAL, where logits is their sum so far, z = gain logits / time_step.
// loss += w_t mean_k l(z_k), with TOTAL at time step `steps` only; g_logits = w_g / N class_weights_k / K dl/dz.
// l = class_weights_k (z - target)^2, or with BCE class_weights_k (max(z, 0) - z target + log(1 + exp(-|z|))).
// A negative label marks padding: no loss, no gradient; N still counts it.
__kernel void loss_targets__naive(SP_IN(float, logits), SP_IN(int, labels),
#if WEIGHTED
                                  SP_IN(float, class_weights),
#endif
                                  SP_IN(float, targets), SP_OUT(float, g_logits), SP_IO(float, loss), int N, int K,
#if TOTAL
                                  int time_step, float steps,
#endif
                                  float w_t, float w_g, float gain)
{
    SP_AT(logits);
    SP_AT(labels);
    SP_AT(targets);
    SP_AT(g_logits);
    SP_AT(loss);
    const ulong n = get_global_id(0), row = n * (ulong)K;
    const bool padding = labels[n] < 0 || labels[n] >= K;
    float all = 0.0f;
#if TOTAL
    gain /= (float)time_step;
    w_t = (float)time_step >= steps ? w_t : 0.0f;
#endif
#if WEIGHTED
    SP_AT(class_weights);
#define SHARE(k) (class_weights[k] / (float)K)
#else
#define SHARE(k) (1.0f / (float)K)
#endif
    for (int k = 0; k < K; k++) {
        const float z = gain * logits[row + k], t = targets[row + k];
#if BCE
        const float l = fmax(z, 0.0f) - z * t + log1p(exp(-fabs(z)));
        const float g = 1.0f / (1.0f + exp(-z)) - t;
#else
        const float l = (z - t) * (z - t), g = 2.0f * (z - t);
#endif
        all += SHARE(k) * l;
        g_logits[row + k] = padding ? 0.0f : w_g / (float)N * SHARE(k) * g;
    }
    if (!padding)
        loss[n] += w_t * all;
}
