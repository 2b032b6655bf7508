//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron alif
//@ uses:     aux threshold
//@ include:  neuron_reset.clh neuron_lif.clh neuron_threshold.clh
//@ about:    LIF with an adaptive threshold v_th + aux_gain a; a = aux_decay a + s[t-1] (Bellec et al. 2020)
