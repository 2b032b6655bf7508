//@ plugin: fpga_norm 1.0.0
//@ abi:    1
//@ op:     affine.forward/1
//@ kernel: affine_forward__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: y = scale x + shift, an element an iteration; y may be x
__kernel SP_TASK void affine_forward__task(SP_REF(float, x), SP_IN(float, scale), SP_IN(float, shift),
                                           SP_IO(float, y))
{
    SP_AT(x); SP_AT(scale); SP_AT(shift); SP_AT(y);
    for (int m = 0; m < M; m++) {
        SP_IVDEP
        SP_PIPELINE
        for (int c = 0; c < C; c++)
            y[(ulong)m * C + c] = fma(scale[c], x[(ulong)m * C + c], shift[c]);
    }
}
