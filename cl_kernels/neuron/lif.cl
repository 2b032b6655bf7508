//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron lif
//@ include:  neuron_reset.clh neuron_lif.clh
//@ about:    leaky integrate and fire: u = decay v + x_gain x + (1 - decay) v_reset
