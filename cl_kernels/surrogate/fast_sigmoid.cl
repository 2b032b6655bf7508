//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate fast_sigmoid
//@ param:    width = 25.0
//@ about:    1 / (1 + a |d|)^2, d = u - v_th, a = width
//
// Also: snnTorch fast_sigmoid(slope = a), SuperSpike (Zenke, Ganguli 2018).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    real q = SP_REAL(1.0f) + SP_REAL(width) * fabs(d);
    return SP_REAL(1.0f) / (q * q);
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return d / (SP_REAL(1.0f) + SP_REAL(width) * fabs(d));
}
