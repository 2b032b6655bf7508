//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     loss/1
//@ kernel: loss__naive
//@ global: N
//@ score:  0
//@ about:  one work-item one sample
//
// z = gain logits; with TOTAL, where logits is their sum so far, z = gain logits / time_step.
// loss += w_t (w_ce sum_k t_k (lse(z) - z_k) + w_mse mean_k (z_k - target)^2), with TOTAL at time step `steps` only.
// g_logits = w_g / N (w_ce (sum(t) softmax(z) - t) + w_mse 2 (z - target) / K)
// t_k = class_weights_k ((1 - smoothing) onehot_k + smoothing / K).
// A label outside 0..K-1 marks padding: no loss, no gradient; N still counts it.
__kernel void loss__naive(SP_IN(float, logits), SP_IN(int, labels),
#if WEIGHTED
                          SP_IN(float, class_weights),
#endif
                          SP_OUT(float, g_logits), SP_IO(float, loss), int N, int K,
#if TOTAL
                          int time_step, float steps,
#endif
                          float w_t, float w_g, float gain, float w_ce, float smoothing, float w_mse,
                          float mse_target)
{
    SP_AT(logits);
    SP_AT(labels);
    SP_AT(g_logits);
    SP_AT(loss);
    const ulong n = get_global_id(0), row = n * (ulong)K;
    const int label = labels[n];
    const bool padding = label < 0 || label >= K;
#if TOTAL
    gain /= (float)time_step;
    w_t = (float)time_step >= steps ? w_t : 0.0f;
#endif
#if WEIGHTED
    SP_AT(class_weights);
#define WEIGHT(k) class_weights[k]
#else
#define WEIGHT(k) 1.0f
#endif
#define TARGET(k) (WEIGHT(k) * ((k == label ? 1.0f - smoothing : 0.0f) + smoothing / (float)K))
    float top = gain * logits[row], sum = 0.0f, ce = 0.0f, mse = 0.0f, all = 0.0f;

    for (int k = 1; k < K; k++)
        top = fmax(top, gain * logits[row + k]);
    for (int k = 0; k < K; k++) {
        sum += exp(gain * logits[row + k] - top);
        all += TARGET(k);
    }
    for (int k = 0; k < K; k++) {
        const float z = gain * logits[row + k], target = TARGET(k);
        const float d = z - (ONE_HOT ? (k == label ? 1.0f : 0.0f) : mse_target);
        const float g = w_ce * (all * (exp(z - top) / sum) - target) + w_mse * 2.0f * d / (float)K;
        if (target != 0.0f)
            ce += target * (log(sum) - (z - top));
        mse += w_mse * d * d; // weighted here: outputs whose square overflows must not spoil a loss without MSE
        g_logits[row + k] = padding ? 0.0f : w_g / (float)N * g;
    }
    if (!padding)
        loss[n] += w_t * (w_ce * ce + mse / (float)K);
}
