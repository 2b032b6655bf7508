//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron cuba_lif
//@ uses:     aux
//@ about:    current-based LIF: i = aux_decay i + x; u = decay v + x_gain i + (1 - decay) v_reset (snnTorch Synaptic)
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
    return fma(SP_REAL(q.decay), a, x);
}

inline real neuron_current(real x, real a, neuron_args p, aux_args q)
{
    return a;
}

inline real neuron_d_aux_d_a(neuron_args p, aux_args q)
{
    return SP_REAL(q.decay);
}

inline real neuron_d_aux_d_x(neuron_args p, aux_args q)
{
    return SP_REAL(1.0f);
}

inline real neuron_d_aux_d_s(neuron_args p, aux_args q)
{
    return SP_REAL(0.0f);
}

inline real neuron_d_current_d_x(neuron_args p, aux_args q)
{
    return SP_REAL(0.0f);
}

inline real neuron_d_current_d_a(neuron_args p, aux_args q)
{
    return SP_REAL(1.0f);
}
