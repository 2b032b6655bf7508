//@ plugin:   reference 1.0.0
//@ abi:      1
//@ fragment: neuron lif_late_reset
//@ include:  neuron_late.clh neuron_reset.clh neuron_lif.clh
//@ about:    LIF whose soft reset takes v_th behind the leak: u = decay u[t-1] - v_th s[t-1] + x_gain x (snnTorch Leaky)
