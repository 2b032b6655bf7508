//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate atan
//@ param:    width = 2.0
//@ about:    (a/2) / (1 + (pi a d / 2)^2), d = u - v_th, a = width
//
// Also: SpikingJelly ATan(alpha = a), snnTorch atan(alpha = a).
#pragma OPENCL FP_CONTRACT OFF

inline real surrogate_grad(real d, float width)
{
    real z = SP_REAL(M_PI_2_F * width) * d;
    return SP_REAL(0.5f * width) / (SP_REAL(1.0f) + z * z);
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    return atan(SP_REAL(M_PI_2_F * width) * d) * SP_REAL(M_1_PI_F) + SP_REAL(0.5f);
}
