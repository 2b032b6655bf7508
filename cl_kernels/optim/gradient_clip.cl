//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     gradient.clip/1
//@ kernel: gradient_clip__naive
//@ global: M
//@ score:  0
//@ about:  by the norm of all, then by value; one work-item one gradient
__kernel void gradient_clip__naive(SP_IO(float, g),
#if NORM
                                   SP_IN(float, norm), const float max_norm,
#endif
                                   const float max_value)
{
    SP_AT(g);
    const size_t i = get_global_id(0);
    float x = g[i];
#if NORM
    SP_AT(norm);
    x *= fmin(1.0f, max_norm / (norm[0] + 1e-6f));
#endif
    g[i] = VALUE ? clamp(x, -max_value, max_value) : x;
}
