//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate straight_through
//@ param:    width = 1.0
//@ about:    1 everywhere; layers whose output is their membrane potential have it
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    return SP_REAL(1.0f);
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return d;
}
