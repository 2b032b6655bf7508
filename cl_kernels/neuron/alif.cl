//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron alif
//@ uses:     aux threshold
//@ about:    LIF with an adaptive threshold v_th + aux_gain a; a = aux_decay a + s[t-1] (Bellec et al. 2020)
//
// fma in a stated order and no contraction: every variant, scalar or vector, gives the same bits on an IEEE
// device.
#pragma OPENCL FP_CONTRACT OFF

inline real neuron_charge(real v, real x, neuron_args p)
{
    float rest = (1.0f - p.decay) * p.v_reset;
    return fma(SP_REAL(p.decay), v, fma(SP_REAL(p.x_gain), x, SP_REAL(rest)));
}

inline real neuron_reset(real u, real s, neuron_args p)
{
#if HARD
    return select(u, SP_REAL(p.v_reset), s > SP_REAL(0.0f));
#else
    return fma(SP_REAL(-p.v_th), s, u);
#endif
}

inline real neuron_d_charge_d_v(neuron_args p)
{
    return SP_REAL(p.decay);
}

inline real neuron_d_charge_d_x(neuron_args p)
{
    return SP_REAL(p.x_gain);
}

inline real neuron_d_reset_d_u(real u, real s, neuron_args p)
{
#if HARD
    return SP_REAL(1.0f) - s;
#else
    return SP_REAL(1.0f);
#endif
}

inline real neuron_d_reset_d_s(real u, real s, neuron_args p)
{
#if HARD
    return SP_REAL(p.v_reset) - u;
#else
    return SP_REAL(-p.v_th);
#endif
}

inline real neuron_aux(real a, real x, real s, neuron_args p, aux_args q)
{
    return fma(SP_REAL(q.decay), a, s);
}

inline real neuron_current(real x, real a, neuron_args p, aux_args q)
{
    return x;
}

inline real neuron_d_aux_d_a(neuron_args p, aux_args q)
{
    return SP_REAL(q.decay);
}

inline real neuron_d_aux_d_x(neuron_args p, aux_args q)
{
    return SP_REAL(0.0f);
}

inline real neuron_d_aux_d_s(neuron_args p, aux_args q)
{
    return SP_REAL(1.0f);
}

inline real neuron_d_current_d_x(neuron_args p, aux_args q)
{
    return SP_REAL(1.0f);
}

inline real neuron_d_current_d_a(neuron_args p, aux_args q)
{
    return SP_REAL(0.0f);
}

inline real neuron_threshold(real a, neuron_args p, aux_args q)
{
    return fma(SP_REAL(q.gain), a, SP_REAL(p.v_th));
}

inline real neuron_d_threshold_d_a(neuron_args p, aux_args q)
{
    return SP_REAL(q.gain);
}
