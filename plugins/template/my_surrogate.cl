//@ plugin:   my_surrogate 1.0.0
//@ abi:      1
//@ fragment: surrogate my_surrogate
//@ param:    width = 1.0
//@ about:    max(0, 1-|d|/a)/a, d = u - v_th, a = width
inline real surrogate_grad(real d, float width)
{
    return fmax(SP_REAL(0.0f), SP_REAL(1.0f) - fabs(d) / SP_REAL(width)) / SP_REAL(width);
}
// The antiderivative of surrogate_grad: the check differentiates it.
inline real surrogate_smooth(real d, float width)
{
    const real z = fmax(SP_REAL(-1.0f), fmin(SP_REAL(1.0f), d / SP_REAL(width)));
    return z - SP_REAL(0.5f) * z * fabs(z);
}
