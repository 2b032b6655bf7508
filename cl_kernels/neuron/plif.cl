//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron plif
//@ uses:     learn
//@ about:    LIF whose leak is learnt: 1/tau = sigmoid(w), one w a layer (SpikingJelly ParametricLIFNode)
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

inline float plif_rate(float w)
{
    return 1.0f / (1.0f + exp(-w));
}

inline neuron_args neuron_learn(neuron_args p, float w)
{
    neuron_args q = p;
    q.decay = 1.0f - plif_rate(w);
#if SCALED
    q.x_gain = plif_rate(w);
#endif
    return q;
}

// u = v + rate (x - v + v_reset) where the input is scaled; else u = v - rate (v - v_reset) + x
inline real neuron_d_charge_d_w(real v, real u, neuron_args p, float w)
{
    const float rate = plif_rate(w);
#if SCALED
    return SP_REAL(1.0f - rate) * (u - v);
#else
    return SP_REAL(rate * (1.0f - rate)) * (SP_REAL(p.v_reset) - v);
#endif
}
