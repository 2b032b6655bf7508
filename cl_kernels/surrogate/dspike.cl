//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate dspike
//@ param:    width = 3.0
//@ about:    b/(2 tanh(b/2) cosh(b d)^2) where |d| <= 1/2, d = u - v_th, b = width
//
// Also: Dspike (Li et al. 2021) with v_th = 1/2; with b = 3 the derivative of the rectifier of InfLoR-SNN (Guo et al. 2022).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    real z = cosh(SP_REAL(width) * fmin(fabs(d), SP_REAL(0.5f)));
    return select(SP_REAL(0.0f), SP_REAL(0.5f * width / tanh(0.5f * width)) / (z * z), fabs(d) <= SP_REAL(0.5f));
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    real inside = fmax(SP_REAL(-0.5f), fmin(SP_REAL(0.5f), d));
    return SP_REAL(0.5f) + SP_REAL(0.5f / tanh(0.5f * width)) * tanh(SP_REAL(width) * inside);
}
