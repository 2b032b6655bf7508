//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron plif
//@ uses:     learn
//@ include:  neuron_reset.clh neuron_lif.clh neuron_learn.clh
//@ about:    LIF whose leak is learnt: 1/tau = sigmoid(w), one w a layer (SpikingJelly ParametricLIFNode)
