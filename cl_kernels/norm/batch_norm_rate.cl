//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     batch_norm.rate/1
//@ kernel: batch_norm_rate__naive
//@ global: C
//@ score:  0
//@ about:  one work-item one channel

__kernel void batch_norm_rate__naive(SP_IN(float, step_mean), SP_IN(float, step_rstd), SP_IN(float, gamma),
                                     SP_IN(float, beta), SP_IO(float, mean), SP_IO(float, rstd),
                                     SP_OUT(float, scale), SP_OUT(float, shift), int block_start, float share)
{
    SP_AT(step_mean);
    SP_AT(step_rstd);
    SP_AT(gamma);
    SP_AT(beta);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(scale);
    SP_AT(shift);
    const size_t c = get_global_id(0);
    const float before = block_start ? 0.0f : rstd[c];
    const float mu = (block_start ? 0.0f : mean[c]) + share * step_mean[c];
    const float r = sqrt(before * before + share * step_rstd[c] * step_rstd[c]);
    mean[c] = mu;
    rstd[c] = r;
    scale[c] = gamma[c] * r;
    shift[c] = beta[c] - mu * (gamma[c] * r);
}
