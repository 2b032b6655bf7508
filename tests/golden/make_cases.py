#!/usr/bin/env python3
"""Makes the reference cases of this folder, and checks the implementation that makes them. See README.md.

  make_cases.py                      write every case beside this file
  make_cases.py --check FOLDER...    recompute other people's cases and compare (1e-9 of the largest element)
  make_cases.py --derivatives        gradients against differences, with differentiable spikes
"""
import copy
import json
import math
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
from cases import CASES  # noqa: E402
from reference_net import Network, Value, f32  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MIN_MARGIN, MIN_LEAD, TRIES = 1e-4, 1e-4, 200
FORMATS = {"F32": "f", "F64": "d", "I64": "q"}


# ---- files ----

def read_tensors(path):
    with open(path, "rb") as f:
        blob = f.read()
    start = 8 + struct.unpack("<Q", blob[:8])[0]
    tensors = {}
    for name, t in json.loads(blob[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = t["data_offsets"]
        code = FORMATS[t["dtype"]]
        count = (end - begin) // struct.calcsize("<" + code)
        tensors[name] = list(struct.unpack(f"<{count}{code}", blob[start + begin:start + end])), t["shape"]
    return tensors


def write_tensors(path, tensors):
    """tensors: list of (name, dtype, shape, values)."""
    header, body = {}, b""
    for name, dtype, shape, values in tensors:
        raw = struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


# ---- parameters ----

def parameters(layers, prefix=""):
    """(name, shape, fan-in) of every trainable parameter, in the order of the files."""
    width = None
    for i, layer in enumerate(layers):
        name, kind = f"{prefix}{i}", layer["type"]
        width = layer.get("out", width)
        each = (width,) if layer.get("per_channel") else ()
        if layer.get("recurrent"):
            yield f"{name}.recurrent.weight", (width, width), width
        if kind == "plif" or (kind == "synapse" and layer.get("learn")):
            yield f"{name}.w", each, 1
        if layer.get("learn_v_th") or kind == "qcfs":
            yield f"{name}.threshold", each, 1
        if kind == "residual":
            if layer.get("skip_gain"):
                yield f"{name}.skip_gain", (), 1
            for part in ("pre", "branch", "shortcut"):
                yield from parameters(layer.get(part) or [], f"{name}.{part}.")
        elif kind.endswith("_norm"):
            yield f"{name}.weight", (layer["channels"],), 1
            if kind != "rms_norm":
                yield f"{name}.bias", (layer["channels"],), 1
        elif kind in ("linear", "conv", "ws_conv", "conv1d"):
            k = layer.get("kernel", 1)
            taps = [] if kind == "linear" else [k] if kind == "conv1d" else list(k) if isinstance(k, list) else [k, k]
            inputs = layer["in"] // layer.get("groups", 1)
            yield f"{name}.weight", (layer["out"], inputs, *taps), inputs * math.prod(taps)
            if layer.get("bias", True):
                yield f"{name}.bias", (layer["out"],), 1
            if kind == "ws_conv":
                yield f"{name}.gain", (layer["out"], 1, 1, 1), 1


def norms(layers, prefix="", kinds=("batch_norm", "td_batch_norm")):
    for i, layer in enumerate(layers):
        if layer["type"] in kinds:
            yield f"{prefix}{i}", layer["channels"]
        for part in ("pre", "branch", "shortcut"):
            yield from norms(layer.get(part) or [], f"{prefix}{i}.{part}.", kinds)


def draw(case, seed, low, high, gain):
    """Everything random: float32 values from random.random(), the same for every Python 3."""
    r = random.Random(seed)
    uniform = lambda n, a, b: [f32(a + (b - a) * r.random()) for _ in range(n)]
    tensors = {"input": (uniform(math.prod(case["input_shape"]), low, high), case["input_shape"])}
    samples = case["input_shape"][1 if case["input_is_sequence"] else 0]
    rows = case["loss"].get("name")
    if rows == "mse":
        tensors["target"] = uniform(samples * case["classes"], -1.0, 2.0), [samples, case["classes"]]
    elif rows:
        tensors["target"] = [float(r.random() < 0.4) for _ in range(samples * case["classes"])], [samples, case["classes"]]
    else:
        tensors["target"] = [int(r.random() * case["classes"]) for _ in range(samples)], [samples]
    normed = {n for n, _ in norms(case["layers"], kinds=("batch_norm", "td_batch_norm", "layer_norm", "rms_norm"))}
    for name, shape, fan_in in parameters(case["layers"]):
        n, what = math.prod(shape), name.rsplit(".", 1)[1]
        if name.rsplit(".", 1)[0] in normed:
            values = uniform(n, 0.8, 1.6) if what == "weight" else uniform(n, 0.0, 0.7)
        elif what == "weight":
            bound = gain * math.sqrt(3 / fan_in)
            values = uniform(n, -bound, bound)
        elif what == "w":
            values = uniform(n, -1.0, 1.0)
        else:
            values = uniform(n, 0.7, 1.3) if what in ("gain", "skip_gain", "threshold") else uniform(n, -0.2, 0.4)
        tensors["param." + name] = values, shape
    for name, channels in norms(case["layers"]):
        tensors[f"param.{name}.running_mean"] = uniform(channels, -0.5, 0.5), (channels,)
        tensors[f"param.{name}.running_var"] = uniform(channels, 0.5, 1.5), (channels,)
    for name, shape in case.get("teacher", {}).items():  # as relu gives
        tensors[f"teacher.{name}"] = [max(a, 0.0) for a in uniform(math.prod(shape), -1.0, 2.0)], shape
    return tensors


# ---- running ----

def evaluate(case, tensors, is_smooth=False):
    """The network after its mini-batch, the loss and {name: (values, shape)} of everything expected."""
    params = {n: Value(list(tensors["param." + n][0]), s, needs=True) for n, s, _ in parameters(case["layers"])}
    statistics = {}
    for name, c in norms(case["layers"]):
        given = [tensors.get(f"param.{name}.running_{what}") for what in ("mean", "var")]
        statistics[name] = [list(g[0]) if g else [start] * c for g, start in zip(given, (0.0, 1.0))]
    data, shape = tensors["input"]
    if case["input_is_sequence"]:
        size = math.prod(shape[1:])
        inputs = [Value(data[t * size:(t + 1) * size], shape[1:]) for t in range(case["time_steps"])]
    else:
        inputs = [Value(data, shape)] * case["time_steps"]
    net = Network(case, params, statistics, is_smooth)
    net.teacher = {n[8:]: v for n, (v, _) in tensors.items() if n.startswith("teacher.")}
    loss, logits = net.run(inputs, tensors["target"][0])
    net.statistics.update(net.online_after)
    expected = {f"grad.{n}": (p.grad or [0.0] * len(p.data), p.shape) for n, p in params.items()}
    expected["logits_sum"] = logits, (inputs[0].shape[0], case["classes"])
    for name, (mean, var) in net.statistics.items():
        expected[f"after.{name}.running_mean"] = mean, (len(mean),)
        expected[f"after.{name}.running_var"] = var, (len(var),)
    return net, loss, expected


def firing(net):
    """Each layer's firing rate over the batch and the steps."""
    return [math.fsum(r) / len(r) for r in net.rates.values()]


def unfit(net, expected):
    """Why a draw makes no good case, or None."""
    if net.margin < MIN_MARGIN:
        return f"a membrane comes as near as {net.margin:.1e}"
    if net.lead < MIN_LEAD:
        return f"a maximum leads by {net.lead:.1e} only"
    if any(not 0.04 <= rate <= 0.9 for rate in firing(net)):
        return f"firing rates {[round(r, 2) for r in firing(net)]}"
    largest = max(abs(a) for n, (g, _) in expected.items() if n.startswith("grad") for a in g)
    for name, (values, _) in expected.items():
        if name.startswith("grad") and 1e-12 < max(map(abs, values)) / largest < 2e-3:
            return f"{name} is next to nothing: what float32 leaves of it is rounding"
    return None


def make(spec):
    spec = copy.deepcopy(spec)
    low, high = spec.pop("range", (-1.0, 2.0))
    gain, first, case = spec.pop("gain", 1.0), spec.pop("seed"), spec
    for seed in range(first, first + TRIES):
        tensors = draw(case, seed, low, high, gain)
        case["seed"] = seed
        net, loss, expected = evaluate(case, tensors)
        why = unfit(net, expected)
        if not why:
            break
    else:
        sys.exit(f"{case['name']}: none of the {TRIES} seeds from {first} will do; the last one: {why}")
    case.update(loss_value=loss, min_threshold_margin=net.margin,
                mean_firing_rate=math.fsum(firing(net)) / max(1, len(net.rates)))
    order = ("name seed layers input_shape input_is_sequence time_steps method backprop_steps truncate block neuron loss classes loss_value "
             "batch_norm min_threshold_margin mean_firing_rate").split()
    stem = os.path.join(HERE, case["name"])
    with open(stem + ".json", "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps({k: case[k] for k in order if k in case}, indent=1) + "\n")
    write_tensors(stem + ".safetensors",
                  [(n, "I64" if n == "target" and "name" not in case["loss"] else "F32", s, v) for n, (v, s) in tensors.items()] +
                  [(n, "F64", s, v) for n, (v, s) in expected.items()])
    size = os.path.getsize(stem + ".safetensors") + os.path.getsize(stem + ".json")
    print(f"{case['name']:28} seed {seed:3}  {size / 1000:5.1f} kB  margin {net.margin:.1e}  rates "
          f"{' '.join(f'{r:.2f}' for r in firing(net))}")
    return size


# ---- checks ----

def difference(got, want, scale):
    return max((abs(a - b) for a, b in zip(got, want)), default=0.0) / scale


def check(folder):
    """Other people's cases. A gradient that is all rounding is measured by the case's largest."""
    bad = 0
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".json")):
        with open(os.path.join(folder, file), encoding="utf-8") as f:
            case = json.load(f)
        if "training" in case:  # of make_training.py
            continue
        tensors = read_tensors(os.path.join(folder, file[:-5] + ".safetensors"))
        net, loss, ours = evaluate(case, tensors)
        theirs = {n: v for n, (v, _) in tensors.items() if n.split(".")[0] in ("grad", "after", "logits_sum")}
        largest = max(abs(a) for n, v in theirs.items() if n.startswith("grad.") for a in v)
        worst, where = abs(loss - case["loss_value"]) / abs(case["loss_value"]), "loss_value"
        for name, want in theirs.items():
            top = max(map(abs, want))
            scale = largest if name.startswith("grad.") and top < 1e-12 * largest else top
            worst, where = max((worst, where), (difference(ours[name][0], want, scale), name))
        margin = abs(net.margin - case["min_threshold_margin"])
        missing = set(ours) - set(theirs)
        ok = worst <= 1e-9 and margin <= 1e-9 and not missing
        bad += not ok
        print(f"{case['name']:28} {'pass' if ok else 'FAIL'}  worst {worst:.1e} ({where})  margin off by {margin:.1e}"
              + (f"  not in the file: {sorted(missing)}" if missing else ""))
    return bad


def derivatives():
    """Backpropagation through time of every case, its spikes replaced by an antiderivative of the surrogate, against
    central differences of the loss at a few places of every parameter."""
    bad = 0
    for spec in CASES:
        case = copy.deepcopy(spec) | {"method": "bptt", "backprop_steps": None, "truncate": None}
        case["batch_norm"]["statistics"] = "per time step"  # online, the gradient is not that of the values
        tensors = draw(case, spec["seed"], *spec.get("range", (-1.0, 2.0)), spec.get("gain", 1.0))
        _, _, expected = evaluate(case, tensors, True)
        largest = max(abs(a) for n, (g, _) in expected.items() if n.startswith("grad") for a in g)
        worst, where, r, h = 0.0, "", random.Random(1), 1e-6
        for name, _, _ in parameters(case["layers"]):
            values = tensors["param." + name][0]
            for i in {int(r.random() * len(values)) for _ in range(3)}:
                loss, old = [], values[i]
                for d in (h, -h):
                    values[i] = old + d
                    loss.append(evaluate(case, tensors, True)[1])
                values[i] = old
                error = abs((loss[0] - loss[1]) / (2 * h) - expected["grad." + name][0][i]) / largest
                worst, where = max((worst, where), (error, f"{name}[{i}]"))
        ok = worst < 1e-6
        bad += not ok
        print(f"{case['name']:28} {'pass' if ok else 'FAIL'}  worst {worst:.1e} of the largest gradient ({where})")
    return bad


def main():
    if sys.argv[1:2] == ["--check"] and len(sys.argv) > 2:
        return sum(check(folder) for folder in sys.argv[2:]) > 0
    if sys.argv[1:] == ["--derivatives"]:
        return derivatives() > 0
    if sys.argv[1:]:
        print(__doc__)
        return 2
    print(f"{sum(make(spec) for spec in CASES) / 1000:.1f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
