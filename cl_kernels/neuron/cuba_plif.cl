//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron cuba_plif
//@ uses:     aux learn
//@ include:  neuron_reset.clh neuron_lif.clh neuron_current.clh neuron_learn.clh
//@ about:    current-based LIF whose leak is learnt: cuba_lif and plif in one
