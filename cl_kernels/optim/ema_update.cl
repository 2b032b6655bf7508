//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     ema.update/1
//@ kernel: ema_update__naive
//@ global: M
//@ score:  0
//@ about:  ema = decay ema + (1 - decay) w; one work-item one parameter
__kernel void ema_update__naive(SP_IN(float, w), SP_IO(float, ema), float decay)
{
    SP_AT(w);
    SP_AT(ema);
    const size_t i = get_global_id(0);
    ema[i] = fma(decay, ema[i] - w[i], w[i]);
}
