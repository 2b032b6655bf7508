"""The cases of this folder: networks and settings only. README.md says what each one is for.

seed: the first one tried; the next ones follow until every membrane keeps away from thresholds and kinks.
range: of the input values. gain: standard deviation of a weight times the root of its fan-in.
"""


def layer(type, **keys):
    return {"type": type, **keys}


def conv(i, o, kernel, **keys):
    return layer("conv", **{"in": i, "out": o, "kernel": kernel, **keys})


def ws_conv(i, o, kernel, **keys):
    return layer("ws_conv", **{"in": i, "out": o, "kernel": kernel, **keys})


def linear(i, o, **keys):
    return layer("linear", **{"in": i, "out": o, **keys})


def norm(channels):
    return layer("batch_norm", channels=channels)


def conv1d(i, o, kernel, **keys):
    return layer("conv1d", **{"in": i, "out": o, "kernel": kernel, **keys})


def layer_norm(channels, **keys):
    return layer("layer_norm", channels=channels, **keys)


def rms_norm(channels, **keys):
    return layer("rms_norm", channels=channels, **keys)


def delay(steps, **keys):
    return layer("delay", steps=steps, **keys)


def synapse(tau, **keys):
    return layer("synapse", tau=tau, **keys)


def td_norm(channels, **keys):
    return layer("td_batch_norm", channels=channels, **keys)


def dropout(p, **keys):
    return layer("dropout", p=p, **keys)


def residual(pre, branch, shortcut=None, **keys):
    return layer("residual", pre=pre, branch=branch, shortcut=shortcut, **keys)


def join(type, *names, **keys):
    return layer(type, **{"from": list(names), **keys})


FLATTEN = layer("flatten")


def lif(**keys):
    return layer("lif", **keys)


def plif(**keys):
    return layer("plif", **keys)


def cuba(tau_syn, **keys):
    return layer("cuba_lif", tau_syn=tau_syn, **keys)


def alif(tau_a, beta, **keys):
    return layer("alif", tau_a=tau_a, beta=beta, **keys)


def relu():
    return layer("relu")


def qcfs(**keys):
    return layer("qcfs", **keys)


def membrane(type="lif", **keys):
    return layer(type, output="membrane", **keys)


def neuron(**keys):
    return {"v_th": 1.0, "reset": "soft", "detach_reset": False, "tau": 1.5, "surrogate": "triangle", "width": 1.0, **keys}


def case(name, seed, layers, shape, steps, method, classes, sequence=True, backprop=None, neuron=neuron(), mse=0.0,
         target="one_hot", eps=1e-5, momentum=0.1, loss={}, statistics="per time step", **draw):
    return {"name": name, "seed": seed, "layers": layers, "input_shape": ([steps] if sequence else []) + shape,
            "input_is_sequence": sequence, "time_steps": steps, "method": method, "backprop_steps": backprop,
            "neuron": neuron, "loss": {"cross_entropy": 1.0 - mse, "mse": mse, "mse_target": target, **loss}, "classes": classes,
            "batch_norm": {"eps": eps, "momentum": momentum, "statistics": statistics}, **draw}


CASES = [
    case("alif_bptt", 1, [
        conv(2, 6, 3), norm(6), alif(4.0, 0.4), FLATTEN, linear(54, 16), alif(8.0, 0.25, v_th=0.8, detach_reset=True),
        linear(16, 13), alif(3.0, 0.5, reset="hard", v_reset=-0.2, decay_input=True), linear(13, 4)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=2.0, neuron=neuron(tau=2.0, surrogate="sigmoid", width=3.0)),
    case("alif_sltt", 1, [
        linear(12, 17), alif(5.0, 0.3), linear(17, 14), norm(14), alif(2.0, 0.6, reset="hard", v_reset=-0.1), linear(14, 4)],
        [4, 12], 5, "sltt", 4, gain=1.8, mse=0.3, neuron=neuron(tau=1.5)),
    case("cuba_lif_bptt", 1, [
        conv(2, 5, 3), norm(5), cuba(2.0), FLATTEN, linear(45, 15), cuba(3.0, decay_input=True, reset="hard", v_reset=-0.2),
        linear(15, 14), cuba(1.25, tau=3.0, detach_reset=True), linear(14, 4)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=1.6, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("cuba_lif_sltt", 1, [
        linear(12, 17), cuba(2.0), linear(17, 14), cuba(1.5, decay_input=True, tau=2.5), linear(14, 4)],
        [4, 12], 5, "sltt", 4, gain=1.6, neuron=neuron(tau=1.5)),
    case("mixed_models_truncated_bptt", 1, [
        linear(12, 16), plif(recurrent=True), linear(16, 15), alif(4.0, 0.3, recurrent=True), linear(15, 14), cuba(2.0),
        linear(14, 4)],
        [4, 12], 5, "bptt", 4, gain=1.4, truncate=2, neuron=neuron(tau=2.0, surrogate="sigmoid", width=3.0)),
    case("plif_bptt", 1, [
        conv(2, 5, 3), norm(5), plif(), FLATTEN, linear(45, 16), plif(decay_input=True, reset="hard", v_reset=-0.2),
        linear(16, 14), plif(decay_input=True, detach_reset=True), linear(14, 13), plif(reset="hard", v_reset=-0.3), linear(13, 4)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=2.2, neuron=neuron(tau=2.0, surrogate="sigmoid", width=3.0)),
    case("plif_sltt", 1, [
        plif(), linear(12, 17), plif(decay_input=True), linear(17, 14), norm(14), plif(reset="hard", v_reset=-0.3), linear(14, 4)],
        [4, 12], 5, "sltt", 4, gain=2.2, mse=0.3, neuron=neuron(tau=1.5)),
    case("plif_sltt_k2", 1, [
        linear(12, 17), plif(), linear(17, 14), alif(3.0, 0.4), linear(14, 13), lif(recurrent=True), linear(13, 4)],
        [4, 12], 5, "sltt-k", 4, backprop=[1, 4], gain=1.6, neuron=neuron(tau=2.0)),
    case("recurrent_bptt", 1, [
        linear(12, 16), lif(recurrent=True), linear(16, 15), norm(15), cuba(2.0, recurrent=True, reset="hard"), linear(15, 4)],
        [4, 12], 6, "bptt", 4, gain=1.4, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("recurrent_ottt", 1, [
        linear(12, 16), lif(recurrent=True), linear(16, 15), lif(recurrent=True, tau=3.0), linear(15, 4)],
        [4, 12], 5, "ottt", 4, gain=1.4, neuron=neuron(tau=2.0, detach_reset=True)),
    case("recurrent_sltt", 1, [
        linear(12, 16), lif(recurrent=True), linear(16, 15, bias=False), alif(4.0, 0.3, recurrent=True), linear(15, 4)],
        [4, 12], 5, "sltt", 4, sequence=False, gain=1.6, mse=0.2, neuron=neuron(tau=1.5)),
    case("adaptive_pool_bptt", 1, [
        conv(2, 4, 3, stride=2, padding=1), lif(),
        layer("adaptive_avg_pool", output=[7, 3]),
        conv(4, 5, 3, stride=2, padding=1), norm(5), lif(),
        layer("avg_pool", kernel=[3, 2], stride=[2, 1], padding=1),
        layer("adaptive_avg_pool", output=[3, 4]), FLATTEN, linear(60, 4)],
        [2, 2, 8, 8], 3, "bptt", 4, gain=1.3),
    case("bn_settings_sltt_k2", 1, [
        norm(3), conv(3, 5, 3), norm(5), layer("avg_pool", kernel=3, stride=1, padding=1), lif(),
        conv(5, 6, 3, stride=2), norm(6), layer("scale", factor=0.75), lif(), FLATTEN, linear(24, 4)],
        [3, 3, 7, 7], 5, "sltt-k", 4, sequence=False, backprop=[1, 3], mse=0.3, target=0.5, eps=1e-3, momentum=0.3,
        neuron=neuron(tau=1.25, v_th=0.7)),
    case("conv_geometry_bptt", 1, [
        conv(2, 5, [3, 2], stride=[2, 1], padding=[1, 2], dilation=[1, 3], bias=False), lif(),
        conv(5, 6, [1, 3], stride=[1, 2], padding=[0, 1]), lif(),
        conv(6, 4, [2, 2], dilation=2, padding=[1, 0], stride=1, bias=False), lif(), FLATTEN, linear(48, 3, bias=False)],
        [2, 2, 7, 8], 3, "bptt", 3, gain=1.5, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("group_conv_bptt", 1, [
        conv(4, 6, 3, groups=2), norm(6), lif(), conv(6, 12, 3, padding=1, groups=6), lif(),
        ws_conv(12, 8, [3, 2], stride=[2, 1], groups=4), lif(), FLATTEN, linear(24, 4)],
        [2, 4, 6, 6], 3, "bptt", 4, gain=1.5, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("group_conv_ottt", 1, [
        conv(3, 6, 3, groups=3), lif(), conv(6, 6, 3, padding=1, groups=6), lif(),
        conv(6, 8, 2, stride=2, dilation=[1, 2], groups=2), lif(), FLATTEN, linear(16, 4)],
        [3, 3, 6, 6], 4, "ottt", 4, gain=1.5, neuron=neuron(tau=2.0, detach_reset=True)),
    case("group_conv_sltt", 1, [
        conv(4, 8, 3, groups=4), lif(), conv(8, 8, 3, padding=2, dilation=2, groups=8), norm(8), lif(), FLATTEN,
        linear(128, 4)],
        [2, 4, 6, 6], 4, "sltt", 4, sequence=False, gain=1.5, mse=0.3),
    case("relu_ann", 1, [
        conv(2, 5, 3), norm(5), relu(), layer("avg_pool", kernel=2), FLATTEN, linear(45, 14), relu(), linear(14, 4)],
        [5, 2, 8, 8], 1, "sltt", 4, sequence=False, gain=1.5),
    case("qcfs_ann", 1, [
        conv(2, 5, 3), norm(5), qcfs(levels=4, threshold=1.5), layer("avg_pool", kernel=2), FLATTEN, linear(45, 14),
        qcfs(levels=8, threshold=2.0), linear(14, 4)],
        [5, 2, 8, 8], 1, "sltt", 4, sequence=False, gain=1.5),
    case("qcfs_and_spikes_bptt", 1, [
        qcfs(levels=3, threshold=1.0), linear(12, 17), qcfs(levels=4, threshold=0.8), linear(17, 15), lif(), linear(15, 13), relu(),
        linear(13, 4)],
        [4, 12], 4, "bptt", 4, gain=1.5, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("if_start_sltt", 1, [
        linear(12, 17), layer("if", v_init=0.5), linear(17, 15), norm(15), layer("if", v_th=0.7, v_init=-0.25), linear(15, 4)],
        [4, 12], 4, "sltt", 4, sequence=False, gain=1.4),
    case("if_start_bptt", 1, [
        linear(12, 17), layer("if", v_init=0.5), linear(17, 15), norm(15), layer("if", v_th=0.7, v_init=-0.25), linear(15, 4)],
        [4, 12], 4, "bptt", 4, gain=1.2, neuron=neuron(surrogate="sigmoid", width=3.0)),
    case("layer_norm_bptt", 1, [
        layer_norm(2), conv(2, 5, 3), layer_norm(5), lif(), conv(5, 6, 3), layer_norm(6, over="channels", eps=1e-3), lif(),
        FLATTEN, linear(24, 15), rms_norm(15), lif(), linear(15, 4)],
        [2, 2, 6, 6], 4, "bptt", 4, gain=1.5, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("layer_norm_ottt", 1, [
        linear(12, 17), layer_norm(17), lif(), linear(17, 15), rms_norm(15, eps=1e-3), lif(), linear(15, 4)],
        [4, 12], 4, "ottt", 4, gain=1.5, neuron=neuron(tau=2.0, detach_reset=True)),
    case("layer_norm_sltt", 1, [
        conv(2, 5, 3), rms_norm(5), lif(), conv(5, 6, 3), rms_norm(6, over="channels"), lif(), FLATTEN, linear(24, 15),
        layer_norm(15), lif(), linear(15, 4)],
        [2, 2, 6, 6], 4, "sltt", 4, sequence=False, gain=1.5, mse=0.3),
    case("delay_bptt", 1, [
        conv(2, 5, 3), norm(5), lif(), delay(2), conv(5, 6, 3, bias=False), delay(1), lif(), FLATTEN,
        linear(24, 15), lif(label="b"), delay(3, label="c"), join("concat", "b", "c"), linear(30, 4)],
        [2, 2, 6, 6], 6, "bptt", 4, gain=2.2, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("delay_truncated_bptt", 1, [
        delay(1), linear(12, 17), lif(recurrent=True), delay(2), linear(17, 33), lif(), linear(33, 4)],
        [4, 12], 6, "bptt", 4, gain=1.8, mse=0.3, truncate=3, neuron=neuron(tau=2.0)),
    case("synapse_bptt", 1, [
        conv(2, 5, 3), synapse(2.0, learn=True, per_channel=True), norm(5), lif(), synapse(1.5), conv(5, 6, 3), lif(), FLATTEN,
        synapse(3.0), linear(24, 15), synapse(2.0, learn=True), lif(recurrent=True), linear(15, 4)],
        [2, 2, 6, 6], 5, "bptt", 4, gain=1.2, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("synapse_truncated_bptt", 1, [
        linear(12, 17), synapse(2.0, learn=True), lif(), linear(17, 33), synapse(1.5, learn=True, per_channel=True), lif(), linear(33, 4)],
        [4, 12], 5, "bptt", 4, gain=1.5, mse=0.3, truncate=2, neuron=neuron(tau=2.0)),
    case("synapse_sltt", 1, [
        synapse(2.0, learn=True), conv(2, 5, 3), norm(5), lif(), synapse(1.5, learn=True, per_channel=True), FLATTEN, linear(80, 33),
        synapse(2.5), lif(), linear(33, 4)],
        [2, 2, 6, 6], 4, "sltt", 4, gain=1.0, mse=0.3, neuron=neuron(tau=2.0)),
    case("conv1d_bptt", 1, [
        conv1d(2, 5, 4, stride=2, padding=1), norm(5), lif(), conv1d(5, 6, 3, dilation=2), lif(), layer("avg_pool", kernel=[1, 2]),
        FLATTEN, linear(12, 4)],
        [3, 2, 1, 18], 4, "bptt", 4, gain=1.5, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("conv1d_ottt", 1, [
        conv1d(3, 6, 3, groups=3), lif(), conv1d(6, 6, 5, padding=2, groups=6), lif(), FLATTEN, linear(48, 4)],
        [3, 3, 1, 10], 4, "ottt", 4, gain=1.5, neuron=neuron(tau=2.0, detach_reset=True)),
    case("conv1d_sltt", 1, [
        conv1d(2, 6, 3), lif(), conv1d(6, 8, 2, stride=2, groups=2), norm(8), lif(), FLATTEN, linear(32, 4)],
        [3, 2, 1, 10], 4, "sltt", 4, sequence=False, gain=1.5, mse=0.3),
    case("dspike_bptt", 1, [
        conv(2, 5, 3), norm(5), lif(width=None), FLATTEN, linear(45, 16), lif(width=1.5, v_th=0.5), linear(16, 14), lif(width=5.0),
        linear(14, 4)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=1.5, neuron=neuron(tau=2.0, v_th=0.5, surrogate="dspike")),
    case("inflor_sltt", 1, [
        conv(2, 5, 3), norm(5), lif(), conv(5, 6, 3), lif(), FLATTEN, linear(6, 4)],
        [3, 2, 5, 5], 4, "sltt", 4, gain=1.5, neuron=neuron(model="if", v_th=0.5, v_sub=1.0, surrogate="dspike", width=3.0)),
    case("subtracted_bptt", 1, [
        linear(12, 17), lif(), linear(17, 15), norm(15), lif(model="if", detach_reset=True), linear(15, 14), plif(v_sub=0.4),
        linear(14, 13), cuba(2.0, decay_input=True), linear(13, 14), alif(4.0, 0.3), linear(14, 13), lif(recurrent=True), linear(13, 4)],
        [4, 12], 5, "bptt", 4, gain=1.8, neuron=neuron(tau=2.0, v_sub=1.3, surrogate="sigmoid", width=3.0)),
    case("subtracted_ottt", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(v_sub=1.4), linear(15, 4)],
        [4, 12], 5, "ottt", 4, gain=1.8, neuron=neuron(tau=2.0, v_sub=0.6, detach_reset=True)),
    case("subtracted_rate_block2", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(v_sub=1.2), linear(15, 4)],
        [4, 12], 4, "rate", 4, gain=1.8, block=2, neuron=neuron(tau=2.0, v_sub=0.6)),
    case("ndot", 1, [
        linear(12, 17), lif(), linear(17, 15), norm(15), lif(tau=3.0, v_th=0.8), linear(15, 14), lif(model="if", v_init=0.3), linear(14, 4)],
        [4, 12], 5, "ndot", 4, gain=1.8, mse=0.2, neuron=neuron(tau=2.0, detach_reset=True)),
    case("ndot_layers", 1, [
        conv(2, 5, 3, padding=1), norm(5), lif(label="a"), layer("scale", factor=1.7), layer("avg_pool", kernel=2),
        ws_conv(5, 6, 3, padding=1), lif(label="b"), conv(6, 6, 1), lif(v_sub=1.4, label="c"), join("add", "b", "c"),
        conv(6, 7, 1), lif(tau=3.0, label="d"), join("concat", "d", "b"), layer("dropout", p=0.25), FLATTEN, linear(52, 4)],
        [3, 2, 4, 4], 4, "ndot", 4, gain=1.8, neuron=neuron(tau=2.0, detach_reset=True)),
    case("online_norm_sltt", 1, [
        norm(2), conv(2, 5, 3), norm(5), lif(), conv(5, 6, 3), norm(6), layer("scale", factor=0.7), lif(), FLATTEN, linear(6, 4), norm(4)],
        [3, 2, 5, 5], 4, "sltt", 4, gain=1.8, mse=0.2, momentum=0.3, statistics="running"),
    case("online_norm_sltt_k2", 1, [
        conv(2, 6, 3, padding=1), norm(6), lif(label="a"), conv(6, 6, 3, padding=1), layer("batch_norm", channels=6, label="b"),
        join("add", "a", "b"), lif(), FLATTEN, linear(96, 4)],
        [2, 2, 4, 4], 4, "sltt-k", 4, sequence=False, backprop=[1, 3], gain=1.8, eps=1e-3, statistics="running"),
    case("online_norm_ottt", 1, [
        linear(12, 17), norm(17), lif(), linear(17, 15), norm(15), lif(), linear(15, 4)],
        [4, 12], 5, "ottt", 4, gain=1.8, neuron=neuron(tau=2.0, detach_reset=True), statistics="running"),
    case("online_norm_rate_block2", 1, [
        conv(2, 5, 3), norm(5), lif(), conv(5, 6, 3), norm(6), lif(), FLATTEN, linear(6, 4)],
        [3, 2, 5, 5], 4, "rate", 4, gain=1.8, block=2, statistics="running"),
    case("penalty_bptt", 1, [
        conv(2, 5, 3), norm(5), lif(), conv(5, 6, 3), lif(model="if", reset="hard", v_reset=-0.2, v_th=0.8), FLATTEN, linear(6, 14),
        lif(v_sub=1.3), linear(14, 4)],
        [3, 2, 5, 5], 4, "bptt", 4, gain=1.8, neuron=neuron(tau=2.0), loss={"membrane": 0.4}),
    case("penalty_sltt", 1, [
        lif(), linear(12, 17), norm(17), lif(), linear(17, 15), lif(decay_input=True, v_th=0.5), linear(15, 4), membrane()],
        [4, 12], 5, "sltt", 4, gain=1.8, mse=0.3, loss={"membrane": 0.7}),
    case("penalty_mean_sltt_k2", 1, [
        linear(12, 17), lif(), linear(17, 15), norm(15), lif(v_sub=0.7), linear(15, 4)],
        [4, 12], 5, "sltt-k", 4, backprop=[1, 4], gain=1.8, loss={"of": "mean", "membrane": 0.5}, statistics="running"),
    case("penalty_ottt", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(model="if", v_init=0.3), linear(15, 3)],
        [4, 12], 5, "ottt", 3, gain=1.8, neuron=neuron(tau=2.0, detach_reset=True), loss={"name": "mse", "membrane": 0.5}),
    case("learnt_threshold_bptt", 1, [
        conv(2, 5, 3), norm(5), lif(learn_v_th=True), FLATTEN, linear(45, 16), plif(learn_v_th=True, decay_input=True),
        linear(16, 14), alif(4.0, 0.3, learn_v_th=True, detach_reset=True), linear(14, 13),
        lif(learn_v_th=True, reset="hard", v_reset=-0.2), linear(13, 4)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=2.0, neuron=neuron(tau=2.0, surrogate="sigmoid", width=3.0)),
    case("learnt_threshold_ottt", 1, [
        linear(12, 17), lif(learn_v_th=True), linear(17, 15), lif(learn_v_th=True, v_th=0.8), linear(15, 4)],
        [4, 12], 5, "ottt", 4, gain=1.8, neuron=neuron(tau=2.0, detach_reset=True)),
    case("learnt_threshold_sltt", 1, [
        lif(learn_v_th=True), linear(12, 17), lif(learn_v_th=True, recurrent=True), linear(17, 14), cuba(2.0, learn_v_th=True),
        linear(14, 4)],
        [4, 12], 5, "sltt", 4, gain=1.8, mse=0.3),
    case("stable_threshold_sltt", 1, [
        conv(2, 5, 3), norm(5), lif(), conv(5, 6, 3), norm(6), lif(reset="hard", v_reset=-0.2), FLATTEN, linear(6, 15), lif(v_th=0.8),
        linear(15, 4)],
        [3, 2, 5, 5], 5, "sltt", 4, gain=1.8, mse=0.2, neuron=neuron(tau=2.0, stabilise=True), statistics="running"),
    case("stable_threshold_sltt_k2", 1, [
        linear(12, 17), cuba(2.0), linear(17, 15), lif(recurrent=True), linear(15, 4), membrane()],
        [4, 12], 5, "sltt-k", 4, sequence=False, backprop=[1, 3], gain=1.8, neuron=neuron(tau=2.0, stabilise=True)),
    case("stable_threshold_ottt", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(model="if", v_init=0.3), linear(15, 14), lif(stabilise=False), linear(14, 4)],
        [4, 12], 5, "ottt", 4, gain=1.8, neuron=neuron(tau=2.0, detach_reset=True, stabilise=True)),
    case("stable_threshold_bptt", 1, [
        conv(2, 5, 3), norm(5), lif(), FLATTEN, linear(45, 15), lif(detach_reset=True), linear(15, 4)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=1.5, truncate=3, neuron=neuron(tau=2.0, surrogate="sigmoid", width=3.0, stabilise=True)),
    case("stable_threshold_rate_block2", 1, [
        conv(2, 5, 3), norm(5), lif(), FLATTEN, linear(45, 15), lif(reset="hard", v_reset=-0.2), linear(15, 14), lif(detach_reset=True),
        linear(14, 13), lif(model="if", stabilise=False), linear(13, 4)],
        [3, 2, 5, 5], 4, "rate", 4, gain=1.8, block=2, neuron=neuron(tau=2.0, stabilise=True)),
    case("joins_bptt", 1, [
        conv(2, 5, 3, padding=1, label="stem"), norm(5), lif(label="a"), conv(5, 6, 3, padding=1), lif(label="b"),
        join("concat", "a", "b", "stem"), conv(16, 5, 1), join("add", "stem", 6, "a"), norm(5), lif(label="c"),
        join("concat", "a", "c"), layer("avg_pool", kernel=2), FLATTEN, linear(40, 4)],
        [2, 2, 4, 4], 4, "bptt", 4, gain=1.5, neuron=neuron(tau=2.0, surrogate="atan", width=2.0)),
    case("joins_ottt", 1, [
        linear(12, 33, label="wide"), lif(label="a"), linear(33, 15), lif(label="b"), join("concat", "a", "b", label="ab"),
        linear(48, 14), lif(label="c"), join("concat", "ab", "input"), linear(60, 14), join("add", 8, "c"), linear(14, 4)],
        [4, 12], 4, "ottt", 4, gain=1.5, neuron=neuron(tau=2.0, detach_reset=True)),
    case("joins_sltt", 1, [
        conv(2, 6, 3, label="x"), norm(6), lif(label="a"), join("concat", "x"), layer("scale", factor=0.7), lif(label="b"),
        join("concat", "a", "b"), norm(12), lif(), conv(12, 6, 3, padding=1), join("add", 9, "a", "b"), norm(6), lif(),
        FLATTEN, linear(54, 4)],
        [2, 2, 5, 5], 4, "sltt", 4, sequence=False, gain=1.5, mse=0.3),
    case("decay_input_hard_reset_bptt", 1, [
        linear(15, 18), lif(), linear(18, 17), lif(), linear(17, 5)],
        [4, 15], 6, "bptt", 5, gain=4.0, mse=0.4,
        neuron=neuron(tau=2.5, decay_input=True, reset="hard", v_reset=-0.3, surrogate="sigmoid", width=3.0)),
    case("first_layers_ottt", 1, [
        layer("scale", factor=1.5), lif(), linear(12, 14), lif(), linear(14, 13), norm(13), lif(), linear(13, 4)],
        [5, 12], 4, "ottt", 4, gain=1.6, mse=0.2, neuron=neuron(tau=2.0, surrogate="sigmoid", width=4.0, detach_reset=True)),
    case("if_detach_hard_reset_bptt", 1, [
        conv(2, 4, 3, padding=1), lif(), layer("scale", factor=2.5), conv(4, 4, 3), lif(), FLATTEN, linear(36, 4)],
        [2, 2, 5, 5], 4, "bptt", 4, sequence=False, gain=0.7,
        neuron=neuron(model="if", reset="hard", v_reset=0.25, detach_reset=True, surrogate="piecewise_exp", width=1.5)),
    case("if_ottt", 1, [
        linear(14, 16), lif(), linear(16, 15), lif(), linear(15, 4)],
        [5, 14], 5, "ottt", 4, gain=1.0, neuron=neuron(model="if", surrogate="erf", width=1.5, detach_reset=True)),
    case("max_pool_sltt", 1, [
        conv(2, 4, 3, padding=1), layer("max_pool", kernel=2), lif(),
        conv(4, 6, 3, padding=1, bias=False), norm(6), lif(),
        layer("max_pool", kernel=3, stride=2, padding=1), FLATTEN, linear(24, 4)],
        [2, 2, 8, 8], 3, "sltt", 4, gain=1.2, neuron=neuron(surrogate="triangle", width=0.8)),
    case("max_pool_bptt", 1, [
        conv(3, 5, 3), layer("max_pool", kernel=[3, 2], stride=[1, 2], padding=[1, 0]), lif(),
        conv(5, 34, 1), lif(), layer("max_pool", kernel=2, stride=1), FLATTEN, linear(136, 3)],
        [1, 3, 5, 8], 3, "bptt", 3, gain=1.6, neuron=neuron(surrogate="rectangle", width=0.6)),
    case("pool_scale_ottt", 1, [
        ws_conv(2, 6, 3, padding=1), lif(), layer("scale", factor=2.74), layer("avg_pool", kernel=2),
        residual([], [ws_conv(6, 6, 3, padding=1), lif(), layer("max_pool", kernel=2), ws_conv(6, 8, 1)],
                 [layer("avg_pool", kernel=2), ws_conv(6, 8, 1, eps=1e-2)], alpha=0.6, skip_gain=True),
        lif(), layer("adaptive_avg_pool", output=1), linear(8, 4)],
        [3, 2, 8, 8], 4, "ottt", 4, mse=0.3, target=0.25, neuron=neuron(tau=2.0, detach_reset=True)),
    case("residual_nested_bptt", 1, [
        conv(2, 4, 3, padding=1),
        residual([norm(4), lif()],
                 [conv(4, 4, 3, padding=1),
                  residual([norm(4)], [lif(), conv(4, 4, 1), norm(4)], alpha=0.5, skip_gain=True)], alpha=0.7),
        residual([layer("scale", factor=0.8), lif()],
                 [conv(4, 4, 3, padding=1, bias=False), lif(), layer("scale", factor=1.5), ws_conv(4, 4, 1, bias=False)],
                 identity_from="input", alpha=-0.4),
        norm(4), lif(), layer("avg_pool", kernel=2), FLATTEN, linear(16, 4)],
        [3, 2, 4, 4], 3, "bptt", 4, sequence=False, neuron=neuron(tau=1.25)),
    case("residual_sltt", 1, [
        ws_conv(2, 6, 3, padding=1), lif(), layer("avg_pool", kernel=2), dropout(0.2, unit="channel"),
        residual([norm(6), lif()], [conv(6, 8, 3, padding=1), norm(8), lif(), ws_conv(8, 8, 1)], [ws_conv(6, 8, 1, eps=1e-2)],
                 alpha=0.7, skip_gain=True),
        residual([], [conv(8, 8, 1), lif(tau=2.0, v_th=0.6)], None),
        lif(), layer("adaptive_avg_pool", output=[1, 2]), FLATTEN, linear(16, 4)],
        [3, 2, 6, 6], 4, "sltt", 4, gain=1.5, mse=0.3),
    case("single_sample_step_bptt", 1, [
        linear(33, 40), lif(), residual([], [linear(40, 40, bias=False)], alpha=0.9), lif(tau=3.0, v_th=0.6), linear(40, 3)],
        [1, 33], 1, "bptt", 3, gain=1.5, mse=1.0),
    case("surrogates_bptt", 1, [
        linear(10, 33), lif(surrogate="fast_sigmoid", width=None), linear(33, 12), lif(surrogate="piecewise_exp", width=None),
        linear(12, 11), lif(surrogate="gaussian", width=None), linear(11, 12), lif(surrogate="erf", width=None),
        linear(12, 4)],
        [4, 10], 5, "bptt", 4, gain=1.8, neuron=neuron(tau=2.0)),
    case("surrogates_hard_reset_bptt", 1, [
        linear(10, 14), lif(surrogate="sigmoid", width=2.5), linear(14, 12), lif(surrogate="atan", tau=4.0),
        linear(12, 11), lif(surrogate="gaussian", width=0.7, model="if", v_th=2.0), linear(11, 12),
        lif(surrogate="fast_sigmoid", width=5.0, reset="soft", v_reset=0.0), linear(12, 4)],
        [4, 10], 5, "bptt", 4, gain=1.8,
        neuron=neuron(tau=2.0, reset="hard", v_reset=-0.2, width=None, surrogate="triangle")),
    case("td_norm_bptt", 1, [
        td_norm(2, alpha=0.9), conv(2, 5, 3), td_norm(5, alpha=1.2), lif(),
        residual([conv(5, 6, 3, padding=1), td_norm(6, v_th=0.8), layer("scale", factor=1.1)],
                 [lif(), conv(6, 6, 3, padding=1), norm(6), lif(), conv(6, 6, 1), td_norm(6)], None),
        lif(), layer("avg_pool", kernel=2), FLATTEN, linear(24, 4)],
        [2, 2, 6, 6], 3, "bptt", 4, eps=1e-3, momentum=0.3, gain=1.4, neuron=neuron(tau=1.6, v_th=0.6)),
    case("td_norm_recurrent_bptt", 1, [
        linear(9, 11), td_norm(11, alpha=1.3), lif(recurrent=True), linear(11, 10), td_norm(10), plif(recurrent=True),
        linear(10, 4)],
        [4, 9], 4, "bptt", 4, neuron=neuron(tau=1.8)),
    case("td_norm_still_image_bptt", 1, [
        conv(2, 5, 3), td_norm(5, alpha=1.1), lif(), conv(5, 6, 3), td_norm(6), lif(), FLATTEN, linear(24, 4)],
        [3, 2, 6, 6], 3, "bptt", 4, sequence=False, gain=1.3, mse=0.3, neuron=neuron(tau=2.0)),
    case("wide_channels_bptt", 1, [
        conv(2, 33, 3, padding=1), norm(33), lif(),
        conv(33, 40, [1, 2], stride=2), lif(), layer("avg_pool", kernel=3), FLATTEN, linear(40, 5)],
        [2, 2, 6, 6], 3, "bptt", 5, gain=1.4, neuron=neuron(surrogate="gaussian", width=0.5)),
    case("spikes_mean_bptt", 1, [
        conv(2, 6, 3), norm(6), lif(), FLATTEN, linear(54, 17), lif(tau=2.0), linear(17, 5), lif(v_th=0.6)],
        [3, 2, 5, 5], 4, "bptt", 5, gain=1.8, mse=0.4, loss={"of": "mean", "label_smoothing": 0.1}),
    case("spikes_count_sltt", 1, [
        linear(12, 17), lif(), linear(17, 14), norm(14), lif(reset="hard", v_reset=-0.1), linear(14, 4), lif(v_th=0.7)],
        [4, 12], 5, "sltt", 4, gain=1.8, neuron=neuron(surrogate="sigmoid", width=3.0),
        loss={"of": "count", "class_weights": [0.5, 2.0, 1.0, 1.25]}),
    case("spikes_rate_ottt", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(), linear(15, 4), lif(v_th=0.8)],
        [4, 12], 5, "ottt", 4, gain=1.8, mse=0.5, neuron=neuron(detach_reset=True)),
    case("spikes_mean_sltt_k2", 1, [
        linear(12, 17), lif(), linear(17, 4), norm(4), lif(v_th=0.7)],
        [4, 12], 5, "sltt-k", 4, backprop=[1, 3], gain=1.8, loss={"of": "mean"}),
    case("spikes_count_ottt", 1, [
        linear(12, 17), lif(), linear(17, 14), lif(), linear(14, 4), lif(v_th=0.8)],
        [4, 12], 4, "ottt", 4, gain=1.8, mse=1.0, target=2.0, neuron=neuron(detach_reset=True), loss={"of": "count"}),
    case("membrane_bptt", 1, [
        conv(2, 5, 3), lif(), FLATTEN, linear(45, 15), lif(detach_reset=True), linear(15, 4), membrane(tau=3.0)],
        [3, 2, 5, 5], 5, "bptt", 4, gain=1.6, loss={"label_smoothing": 0.2, "class_weights": [1.0, 0.5, 2.0, 1.5]}),
    case("membrane_mean_bptt", 1, [
        linear(12, 17), lif(), linear(17, 4), norm(4), membrane("plif", decay_input=True)],
        [4, 12], 5, "bptt", 4, gain=1.8, loss={"of": "mean"}),
    case("membrane_sltt", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(), linear(15, 4), norm(4), membrane("cuba_lif", tau_syn=2.0)],
        [4, 12], 5, "sltt", 4, gain=1.8, mse=0.3),
    case("membrane_mean_ottt", 1, [
        linear(12, 17), lif(), linear(17, 4), membrane(tau=2.5)],
        [4, 12], 5, "ottt", 4, gain=1.8, loss={"of": "mean", "label_smoothing": 0.1}),
    case("membrane_count_sltt_k2", 1, [
        linear(12, 17), lif(), linear(17, 4), membrane(tau=1.5, decay_input=True)],
        [4, 12], 5, "sltt-k", 4, backprop=[0, 4], gain=1.8, mse=1.0, target=0.5, loss={"of": "count"}),
    case("mse_sltt", 1, [
        linear(12, 17), lif(), linear(17, 3)],
        [4, 12], 5, "sltt", 3, gain=1.8, loss={"name": "mse"}),
    case("mse_mean_bptt", 1, [
        linear(12, 17), lif(), linear(17, 3), lif(v_th=0.7)],
        [4, 12], 5, "bptt", 3, gain=1.8, loss={"name": "mse", "of": "mean", "class_weights": [1.0, 0.25, 2.0]}),
    case("mse_membrane_ottt", 1, [
        linear(12, 17), lif(), linear(17, 3), membrane(tau=2.5)],
        [4, 12], 5, "ottt", 3, gain=1.8, loss={"name": "mse"}),
    case("mse_count_sltt_k2", 1, [
        linear(12, 17), lif(), linear(17, 3), lif(v_th=0.7)],
        [4, 12], 5, "sltt-k", 3, backprop=[1, 4], gain=1.8, loss={"name": "mse", "of": "count"}),
    case("mse_rate_block2", 1, [
        linear(12, 17), lif(), linear(17, 3)],
        [4, 12], 4, "rate", 3, gain=1.8, block=2, loss={"name": "mse"}),
    case("bce_membrane_mean_sltt", 1, [
        linear(12, 17), lif(), linear(17, 3), membrane(tau=2.5)],
        [4, 12], 5, "sltt", 3, gain=1.8, loss={"name": "bce", "of": "mean"}),
    case("bce_bptt", 1, [
        linear(12, 17), lif(), linear(17, 3)],
        [4, 12], 5, "bptt", 3, gain=1.8, loss={"name": "bce", "class_weights": [1.0, 0.25, 2.0]}),
    case("bce_ottt", 1, [
        linear(12, 17), lif(), linear(17, 15), lif(), linear(15, 3)],
        [4, 12], 5, "ottt", 3, gain=1.8, loss={"name": "bce"}),
    case("per_channel_bptt", 1, [
        conv(2, 5, 3), norm(5), plif(per_channel=True), FLATTEN, linear(45, 35),
        plif(per_channel=True, learn_v_th=True, decay_input=True, reset="hard", v_reset=-0.2), linear(35, 14),
        cuba(2.0, learn_v_th=True, per_channel=True, detach_reset=True), linear(14, 13),
        alif(4.0, 0.3, learn_v_th=True, per_channel=True), linear(13, 4), membrane("plif", per_channel=True)],
        [3, 2, 5, 5], 4, "bptt", 4, gain=1.8, neuron=neuron(tau=2.0, surrogate="sigmoid", width=3.0)),
    case("per_channel_sltt", 1, [
        conv(2, 5, 3), plif(per_channel=True, learn_v_th=True), FLATTEN, linear(45, 33), norm(33),
        lif(learn_v_th=True, per_channel=True), linear(33, 14), plif(per_channel=True, decay_input=True), linear(14, 4)],
        [4, 2, 5, 5], 4, "sltt", 4, sequence=False, gain=2.2, neuron=neuron(tau=1.5)),
    case("per_channel_ottt", 1, [
        conv(2, 6, 3), lif(learn_v_th=True, per_channel=True), FLATTEN, linear(54, 15),
        lif(learn_v_th=True, per_channel=True, v_th=0.8), linear(15, 4)],
        [3, 2, 5, 5], 4, "ottt", 4, gain=1.6, neuron=neuron(detach_reset=True)),
    case("dropout_bptt", 1, [
        conv(2, 6, 3), lif(), dropout(0.3, unit="channel"), conv(6, 8, 3, padding=1), norm(8), lif(tau=2.0),
        dropout(0.4, mask="step"), layer("avg_pool", kernel=2), FLATTEN, linear(32, 35), lif(),
        dropout(0.25, unit="channel", mask="step"), linear(35, 15), dropout(0.2), lif(), linear(15, 4)],
        [3, 2, 6, 6], 4, "bptt", 4, gain=1.8, neuron=neuron(width=0.8)),  # 1: a kink where all inputs are dropped
    case("dropout_sltt", 1, [
        conv(2, 5, 3), dropout(0.2, unit="channel", mask="step"), lif(), dropout(0.3, mask="step"), FLATTEN, linear(45, 33),
        norm(33), lif(), dropout(0.5), linear(33, 4)],
        [4, 2, 5, 5], 4, "sltt", 4, sequence=False, gain=1.8, neuron=neuron(width=0.8)),
    case("dropout_ottt", 1, [
        conv(2, 6, 3), lif(), dropout(0.3, unit="channel"), layer("avg_pool", kernel=3), FLATTEN, linear(6, 34), lif(),
        dropout(0.4, mask="step"), linear(34, 15), lif(), dropout(0.25), linear(15, 4)],
        [3, 2, 5, 5], 4, "ottt", 4, gain=1.8, neuron=neuron(detach_reset=True)),
    case("dropout_truncated_bptt", 1, [
        residual([conv(2, 5, 3), lif()], [dropout(0.3, unit="channel", mask="step"), conv(5, 5, 3, padding=1),
                                         dropout(0.2)], None), lif(v_th=0.9), FLATTEN,
        linear(45, 14), lif(recurrent=True), dropout(0.4, mask="step"), linear(14, 4)],
        [2, 2, 5, 5], 5, "bptt", 4, gain=1.6, truncate=2, neuron=neuron(surrogate="sigmoid", width=3.0)),
    case("dropout_rate_block2", 1, [
        conv(2, 5, 3), norm(5), lif(), dropout(0.3, unit="channel"), FLATTEN, linear(45, 15), lif(), dropout(0.4), linear(15, 4)],
        [3, 2, 5, 5], 4, "rate", 4, gain=1.8, block=2),
    case("ltl", 1, [
        conv(2, 6, 3), norm(6), lif(), conv(6, 7, 3, padding=1), norm(7), lif(tau=2.0, reset="hard"), layer("avg_pool", kernel=3),
        FLATTEN, linear(7, 33, bias=False), lif(surrogate="rectangle", width=0.8), linear(33, 4)],
        [3, 2, 5, 5], 5, "ltl", 4, sequence=False, backprop=[2, 3, 4], gain=1.8, loss={"of": "mean"},
        teacher={"2": [3, 6, 3, 3], "5": [3, 7, 3, 3], "9": [3, 33]}),
    case("ltl_layers", 1, [
        layer("scale", factor=1.5), lif(label="a"), linear(12, 17), plif(label="b"), join("concat", "a", "b"), linear(29, 14),
        norm(14), cuba(2.0, detach_reset=True), linear(14, 13), lif(learn_v_th=True, decay_input=True, v_th=0.5), linear(13, 4),
        lif(v_th=0.7)],
        [4, 12], 4, "ltl", 4, sequence=False, backprop=[1, 2, 3], gain=1.8, mse=0.3, loss={"label_smoothing": 0.1},
        teacher={"1": [4, 12], "3": [4, 17], "7": [4, 14], "9": [4, 13]}),
    case("rate_block4", 1, [
        conv(2, 6, 3), norm(6), lif(), conv(6, 7, 3, padding=1), norm(7), lif(tau=2.0, reset="hard", v_reset=-0.1),
        layer("avg_pool", kernel=2), FLATTEN, linear(7, 4)],
        [3, 2, 5, 5], 4, "rate", 4, gain=1.8, mse=0.3, block=4),
    case("rate_block2", 1, [
        linear(12, 17), lif(decay_input=True, v_th=0.5), linear(17, 15), norm(15), lif(detach_reset=True), linear(15, 4)],
        [4, 12], 6, "rate", 4, gain=1.8, block=2, loss={"label_smoothing": 0.1}),
    case("rate_block1_is_sltt", 1, [
        conv(2, 5, 3), norm(5), lif(), conv(5, 6, 3), lif(model="if"), FLATTEN, linear(6, 4)],
        [3, 2, 5, 5], 3, "rate", 4, gain=1.8, block=1),
    case("rate_residual", 1, [
        conv(2, 6, 3, padding=1), norm(6), lif(), residual([], [conv(6, 6, 3, padding=1), norm(6), lif(), conv(6, 6, 3, padding=1),
                                                              norm(6)], skip_gain=True, alpha=0.5),
        lif(), layer("max_pool", kernel=2), FLATTEN, linear(24, 4)],
        [2, 2, 4, 4], 4, "rate", 4, sequence=False, gain=1.8, block=4),
    case("rate_spikes_count", 1, [
        linear(12, 17), lif(), linear(17, 4), lif(v_th=0.7)],
        [4, 12], 6, "rate", 4, gain=1.8, mse=1.0, target=2.0, block=3, loss={"of": "count"}),
    case("rate_membrane_mean", 1, [
        linear(12, 17), lif(), linear(17, 4), norm(4), membrane(tau=2.5)],
        [4, 12], 6, "rate", 4, gain=1.8, block=3, loss={"of": "mean"}),
    case("rate_weight_std", 1, [
        ws_conv(2, 5, 3), lif(), layer("scale", factor=2.0), ws_conv(5, 6, 3), lif(), FLATTEN, linear(6, 4)],
        [3, 2, 5, 5], 4, "rate", 4, gain=1.8, block=4),
]
