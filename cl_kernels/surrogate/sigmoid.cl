//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate sigmoid
//@ param:    width = 4.0
//@ about:    a sg(a d) (1 - sg(a d)), d = u - v_th, a = width
//
// Also: SpikingJelly Sigmoid(alpha = a).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    real e = exp(SP_REAL(-width) * fabs(d)); // symmetric, so that the far tail keeps its digits
    real q = SP_REAL(1.0f) + e;
    return SP_REAL(width) * e / (q * q);
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return SP_REAL(1.0f) / (SP_REAL(1.0f) + exp(SP_REAL(-width) * d));
}
