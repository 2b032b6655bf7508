//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron palif
//@ uses:     aux threshold learn
//@ include:  neuron_reset.clh neuron_lif.clh neuron_threshold.clh neuron_learn.clh
//@ about:    LIF with an adaptive threshold whose leak is learnt: alif and plif in one
