//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     logits.accumulate/1
//@ kernel: logits_accumulate__naive
//@ global: K, N
//@ score:  0
//@ about:  sum of the outputs over the time steps
__kernel void logits_accumulate__naive(SP_IN(float, logits), SP_IO(float, sum), int K, int first)
{
    SP_AT(logits);
    SP_AT(sum);
    const ulong i = get_global_id(1) * (ulong)K + get_global_id(0);
    sum[i] = first ? logits[i] : sum[i] + logits[i];
}

//@ op:     metrics.correct/1
//@ kernel: metrics_correct__naive
//@ global: N
//@ score:  0
//@ about:  one work-item one sample: the first largest output against the label; NaN never wins
__kernel void metrics_correct__naive(SP_IN(float, sum), SP_IN(int, labels), SP_OUT(uint, correct), int K)
{
    SP_AT(sum);
    SP_AT(labels);
    SP_AT(correct);
    const ulong n = get_global_id(0), row = n * (ulong)K;
    int best = -1;
    float top = 0.0f;

    for (int k = 0; k < K; k++) {
        const float o = sum[row + k];
        if (!isnan(o) && (best < 0 || o > top)) {
            best = k;
            top = o;
        }
    }
    correct[n] = best >= 0 && best == labels[n] ? 1u : 0u;
}

//@ op:     metrics.match/1
//@ kernel: metrics_match__naive
//@ global: N
//@ score:  0
//@ about:  one work-item one sample: every output against its target
__kernel void metrics_match__naive(SP_IN(float, sum), SP_IN(float, targets), SP_OUT(uint, correct), int K)
{
    SP_AT(sum);
    SP_AT(targets);
    SP_AT(correct);
    const ulong n = get_global_id(0), row = n * (ulong)K;
    uint all = 1u;

    for (int k = 0; k < K; k++) {
        const float o = sum[row + k];
        if (isnan(o) || (o > 0.0f) != (targets[row + k] >= 0.5f))
            all = 0u;
    }
    correct[n] = all;
}
