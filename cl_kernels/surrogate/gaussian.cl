//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate gaussian
//@ param:    width = 0.5
//@ about:    normal density of d, standard deviation a, d = u - v_th, a = width
//
// Also: Sinabs Gaussian(sigma = a).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    real z = d * SP_REAL(1.0f / width);
    return exp(SP_REAL(-0.5f) * z * z) * SP_REAL(0.39894228f / width); // 1 / sqrt(2 pi)
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return SP_REAL(0.5f) + SP_REAL(0.5f) * erf(d / SP_REAL(M_SQRT2_F * width));
}
