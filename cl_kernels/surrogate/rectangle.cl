//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate rectangle
//@ param:    width = 1.0
//@ about:    1/a where |d| < a/2, d = u - v_th, a = width
//
// Also: SLTT paper Eq. (5), SpikingJelly Rect(alpha = 1/a).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    return select(SP_REAL(0.0f), SP_REAL(1.0f / width), fabs(d) < SP_REAL(0.5f * width));
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return fmax(SP_REAL(0.0f), fmin(SP_REAL(1.0f), d / SP_REAL(width) + SP_REAL(0.5f)));
}
