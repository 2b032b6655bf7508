//@ plugin: fpga_norm 1.0.0
//@ abi:    1
//@ op:     batch_norm.fold/1
//@ kernel: batch_norm_fold__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: a channel an iteration
__kernel SP_TASK void batch_norm_fold__task(SP_IN(float, gamma), SP_IN(float, beta),
                                            SP_IN(float, running_mean), SP_IN(float, running_var),
                                            SP_OUT(float, scale), SP_OUT(float, shift), float eps)
{
    SP_AT(gamma); SP_AT(beta); SP_AT(running_mean); SP_AT(running_var); SP_AT(scale); SP_AT(shift);
    SP_PIPELINE
    for (int c = 0; c < C; c++) {
        const float a = gamma[c] / sqrt(running_var[c] + eps);
        scale[c] = a;
        shift[c] = beta[c] - running_mean[c] * a;
    }
}
