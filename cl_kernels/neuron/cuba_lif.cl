//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron cuba_lif
//@ uses:     aux
//@ include:  neuron_reset.clh neuron_lif.clh neuron_current.clh
//@ about:    current-based LIF: i = aux_decay i + x; u = decay v + x_gain i + (1 - decay) v_reset (snnTorch Synaptic)
