//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate erf
//@ param:    width = 2.0
//@ about:    (a / sqrt(pi)) exp(-a^2 d^2), d = u - v_th, a = width
//
// Also: SpikingJelly Erf(alpha = a).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    real z = SP_REAL(width) * d;
    return SP_REAL(0.5f * M_2_SQRTPI_F * width) * exp(-z * z);
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return SP_REAL(0.5f) + SP_REAL(0.5f) * erf(SP_REAL(width) * d);
}
