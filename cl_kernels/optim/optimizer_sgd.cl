//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     optimizer.sgd/1
//@ kernel: optimizer_sgd__naive
//@ global: M
//@ score:  0
//@ about:  m = momentum m + (g + weight_decay w); w -= lr m; one work-item one parameter
__kernel void optimizer_sgd__naive(SP_IO(float, w), SP_IN(float, g), SP_IO(float, m), float lr,
                                   float momentum, float weight_decay)
{
    SP_AT(w);
    SP_AT(g);
    SP_AT(m);
    const size_t i = get_global_id(0);
    const float update = fma(momentum, m[i], fma(weight_decay, w[i], g[i]));
    m[i] = update;
    w[i] = fma(-lr, update, w[i]);
}
