//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate piecewise_exp
//@ param:    width = 1.0
//@ about:    (a/2) exp(-a |d|), d = u - v_th, a = width
//
// Also: SpikingJelly PiecewiseExp(alpha = a).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    return SP_REAL(0.5f * width) * exp(SP_REAL(-width) * fabs(d));
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    real e = SP_REAL(0.5f) * exp(SP_REAL(-width) * fabs(d));
    return select(SP_REAL(1.0f) - e, e, d < SP_REAL(0.0f));
}
