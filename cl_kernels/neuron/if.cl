//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron if
//@ include:  neuron_reset.clh
//@ about:    integrate and fire, no leak: u = v + x_gain x; decay is not used
inline real neuron_charge(real v, real x, neuron_args p)
{
    return fma(SP_REAL(p.x_gain), x, v);
}

inline real neuron_d_charge_d_v(neuron_args p)
{
    return SP_REAL(1.0f);
}
