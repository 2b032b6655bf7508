//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: surrogate triangle
//@ param:    width = 1.0
//@ about:    max(0, a-|d|)/a^2, d = u - v_th, a = width
//
// Also: SLTT paper Eq. (6), SpikingJelly PiecewiseQuadratic(alpha = 1/a).
#pragma OPENCL FP_CONTRACT OFF

// The quotient is the same for all neurons of a kernel: a division of vectors takes as long as what is read for it.
inline real surrogate_grad(real d, float width)
{
    return fmax(SP_REAL(0.0f), SP_REAL(width) - fabs(d)) * SP_REAL(1.0f / (width * width));
}

// Antiderivative of surrogate_grad, for the derivative check.
inline real surrogate_smooth(real d, float width)
{
    real z = fmax(SP_REAL(-1.0f), fmin(SP_REAL(1.0f), d / SP_REAL(width)));
    return SP_REAL(0.5f) + z - SP_REAL(0.5f) * z * fabs(z);
}
