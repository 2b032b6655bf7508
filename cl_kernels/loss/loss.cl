//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     loss/1
//@ kernel: loss__naive
//@ global: N
//@ score:  0
//@ about:  one work-item one sample
//
// loss += w_t (w_ce CE + w_mse mean_k (o - target)^2)
// g_logits = w_t / N (w_ce (softmax - onehot) + w_mse 2 (o - target) / K)
// A label outside 0..K-1 marks padding: no loss, no gradient; N still counts it.
__kernel void loss__naive(SP_IN(float, logits), SP_IN(int, labels), SP_OUT(float, g_logits),
                          SP_IO(float, loss), int N, int K, float w_t, float w_ce, float w_mse,
                          float mse_target)
{
    SP_AT(logits);
    SP_AT(labels);
    SP_AT(g_logits);
    SP_AT(loss);
    const ulong n = get_global_id(0), row = n * (ulong)K;
    const int label = labels[n];
    const bool padding = label < 0 || label >= K;
    float top = logits[row], sum = 0.0f, ce = 0.0f, mse = 0.0f;

    for (int k = 1; k < K; k++)
        top = fmax(top, logits[row + k]);
    for (int k = 0; k < K; k++)
        sum += exp(logits[row + k] - top);
    for (int k = 0; k < K; k++) {
        const float o = logits[row + k], hit = k == label ? 1.0f : 0.0f;
        const float d = o - (ONE_HOT ? hit : mse_target);
        const float g = w_ce * (exp(o - top) / sum - hit) + w_mse * 2.0f * d / (float)K;
        if (k == label)
            ce = log(sum) - (o - top);
        mse += w_mse * d * d; // weighted here: outputs whose square overflows must not spoil a loss without MSE
        g_logits[row + k] = padding ? 0.0f : w_t / (float)N * g;
    }
    if (!padding)
        loss[n] += w_t * (w_ce * ce + mse / (float)K);
}
