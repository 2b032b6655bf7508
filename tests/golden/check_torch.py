#!/usr/bin/env python3
"""The same cases by PyTorch autograd: a second implementation that shares nothing with reference_net.py. Needs PyTorch 1.13 or
later; neither building nor testing needs this file.

  check_torch.py CASE.json...     compares loss, gradients, outputs and statistics to 1e-9 of the largest element

Dense and convolutional networks with every neuron model, recurrent layers and batch norm; bptt (truncated too), sltt, sltt-k, and
ottt where no layer is recurrent; ndot; ltl; rate, also with residuals, pools and weight standardisation. Other layers are skipped by name.
"""
import json
import math
import sys

sys.dont_write_bytecode = True
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from make_cases import read_tensors  # noqa: E402
from reference_net import WIDTHS, f32, graph_places, keep_mask  # noqa: E402

NEURONS = ("lif", "if", "plif", "cuba_lif", "alif")
LAYERS = NEURONS + ("linear", "conv", "ws_conv", "batch_norm", "flatten", "scale", "add", "concat", "avg_pool", "conv1d", "layer_norm", "rms_norm",
                    "dropout", "relu", "qcfs", "delay", "synapse")


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, d, name, a):
        ctx.save_for_backward(d)
        ctx.name, ctx.a = name, a
        return (d >= 0).to(d.dtype)

    @staticmethod
    def backward(ctx, g):
        (d,), a = ctx.saved_tensors, ctx.a
        h = {"triangle": lambda: torch.clamp(a - d.abs(), min=0) / a ** 2,
             "rectangle": lambda: (d.abs() < a / 2).to(d.dtype) / a,
             "sigmoid": lambda: a * torch.sigmoid(a * d) * torch.sigmoid(-a * d),
             "atan": lambda: a / 2 / (1 + (math.pi / 2 * a * d) ** 2),
             "gaussian": lambda: torch.exp(-d ** 2 / (2 * a ** 2)) / (a * math.sqrt(2 * math.pi)),
             "erf": lambda: a / math.sqrt(math.pi) * torch.exp(-(a * d) ** 2),
             "dspike": lambda: torch.where(d.abs() <= 0.5, a / (2 * math.tanh(a / 2)) / torch.cosh(a * d) ** 2, torch.zeros_like(d)),
             "piecewise_exp": lambda: a / 2 * torch.exp(-a * d.abs()),
             "fast_sigmoid": lambda: 1 / (1 + a * d.abs()) ** 2}[ctx.name]()
        return g * h, None, None


class Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.floor(x)

    @staticmethod
    def backward(ctx, g):
        return g


class Clip(torch.autograd.Function):
    """Between 0 and 1, both included. What torch.clamp makes of the bounds themselves depends on PyTorch's version."""
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.clamp(x, 0, 1)

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * ((x >= 0) & (x <= 1))


class Net:
    def __init__(self, case, params):
        self.case, self.p, self.state, self.traces, self.step = case, params, {}, {}, 0
        self.places = graph_places(case["layers"])[0]
        self.on_rates, self.steps_seen, self.penalties, self.ratios = False, {}, [], {}
        self.teacher, self.counts, self.local_losses = {}, {}, []
        self.before = {n[:-13]: (p.clone(), params[n[:-13] + ".running_var"].clone()) for n, p in params.items()
                       if n.endswith(".running_mean")}

    def dropped(self, name, layer, x):
        mask = keep_mask(x.shape, layer, self.case["seed"], self.places[name], self.step)
        return x * torch.tensor(mask, dtype=x.dtype).reshape(x.shape) / (1 - f32(layer["p"]))

    def spread(self, name, x):
        """What is learnt: one number, or one for each channel."""
        p = self.p[name]
        return p.view([1, -1] + [1] * (x.dim() - 2)) if p.dim() else p

    def neuron(self, name, layer, x):
        s = {"model": "lif", "v_reset": 0.0, "decay_input": False, **self.case["neuron"], **layer}
        model = s["model"] if layer["type"] == "lif" else layer["type"]
        hard = s["reset"] == "hard"
        rest = s["v_reset"] if hard else 0.0
        zero = torch.zeros_like(x)
        old = self.state.get(name) or {"v": zero + (s.get("v_init") or rest), "s": zero, "i": zero, "a": zero}
        if s.get("recurrent"):
            x = x + F.linear(old["s"], self.p[name + ".recurrent.weight"])
        current = 0
        if model == "cuba_lif":
            x = current = old["i"] * (1 - 1 / s["tau_syn"]) + x
        rate = torch.sigmoid(self.spread(name + ".w", x)) if model == "plif" else 1 / s["tau"]
        leak = 0 if model == "if" else rate * (old["v"] - rest)
        u = old["v"] - leak + (rate * x if s["decay_input"] else x)
        if s.get("output") == "membrane":
            self.state[name] = {"v": u, "s": zero, "i": current + zero, "a": zero}
            return u
        if self.case["loss"].get("membrane") and x.requires_grad:
            distance = torch.minimum((u - rest).abs(), (u - s["v_th"]).abs())
            self.penalties.append(self.case["loss"]["membrane"] * distance.mean() / self.case["time_steps"])
        self.leak = 1.0 if model == "if" else 1 - 1 / s["tau"]
        a = old["a"] * (1 - 1 / s["tau_a"]) + old["s"] if model == "alif" else zero
        v_th = self.spread(name + ".threshold", x) if name + ".threshold" in self.p else s["v_th"]
        if s.get("stabilise"):
            mean, deviation = u.detach().mean(), u.detach().std()
            ratio = self.ratios.setdefault(name, (v_th - mean) / deviation)
            v_th = mean + deviation * ratio
        threshold = v_th + (s["beta"] * a if model == "alif" else 0)
        spikes = Spike.apply(u - threshold, s["surrogate"], WIDTHS[s["surrogate"]] if s["width"] is None else s["width"])
        cut = spikes.detach() if s["detach_reset"] else spikes
        if self.case["method"] == "ndot":
            self.dots = self.dots_of(name, (u - s.get("v_sub", v_th) * spikes).detach(), spikes.detach())
        v = (1 - cut) * u + cut * rest if hard else u - s.get("v_sub", v_th) * cut
        self.state[name] = {"v": v, "s": spikes, "i": current + zero, "a": a}
        return self.tandem(name, spikes) if self.case["method"] == "ltl" else spikes

    def tandem(self, name, spikes):
        """Local tandem learning: a loss of the layer alone, which hands on its spikes as constants. The step's share of the mean
        rate is 1 / T, so its loss is weighted by t / T; reported is the last one, which is that of the mean rate."""
        if name == str(len(self.case["layers"]) - 1):
            return spikes
        count = self.counts[name] = self.counts.get(name, torch.zeros_like(spikes)).detach() + spikes
        if spikes.requires_grad:
            target = self.teacher[name]
            place = (990 * (target.numel() - 1) + 500) // 1000
            quantile = target.flatten().kthvalue(place + 1).values
            loss = self.step / self.case["time_steps"] * F.mse_loss(count / self.step, torch.clamp(target / quantile, 0, 1))
            self.local_losses.append(loss if self.step == self.case["time_steps"] else loss - loss.detach())
        return spikes.detach()

    def online_norm(self, name, x, w, b):
        """OSR: the values are those by running statistics, the gradient that of x by its own moments, mapped linearly."""
        eps, axes, shape = self.case["batch_norm"]["eps"], [i for i in range(x.dim()) if i != 1], [1, -1] + [1] * (x.dim() - 2)
        mean, var = x.mean(axes), x.var(axes, unbiased=False)
        if self.on_rates:
            mean = mean + (self.mean(name, "mean") - mean).detach()
            var = var + (1 / self.mean(name, "inverse") - eps - var).detach()
        else:
            self.steps_seen.setdefault(name, []).append(x.detach())
            if self.case["method"] == "rate":
                self.note(name, "mean", mean)
                self.note(name, "inverse", 1 / (var + eps))
        r, d = self.before[name]
        hat = (x - mean.view(shape)) / torch.sqrt(var + eps).view(shape)
        stretch = (torch.sqrt(var + eps) / torch.sqrt(d + eps)).detach().view(shape)
        offset = ((mean - r) / torch.sqrt(d + eps)).detach().view(shape)
        return w.view(shape) * (hat * stretch + offset) + b.view(shape)

    def follow(self):
        """Behind a mini-batch: the moments over samples, places and time steps."""
        for name, steps in self.steps_seen.items():
            x, momentum = torch.stack(steps).movedim(2, 0).flatten(1), self.case["batch_norm"]["momentum"]
            for kind, value in (("mean", x.mean(1)), ("var", x.var(1, unbiased=False))):
                self.p[f"{name}.running_{kind}"].mul_(1 - momentum).add_(momentum * value)

    def standardised(self, name, layer, w):
        rest, var = w - w.mean([1, 2, 3], keepdim=True), w.var([1, 2, 3], keepdim=True)
        return self.p[name + ".gain"] * rest / torch.sqrt(var * w[0].numel() + layer.get("eps", 1e-4))

    def dots_of(self, name, v, spikes):
        """NDOT's trace, whose decay is the ratio of the potentials behind the resets of two steps."""
        before, trace = self.traces.get(name, (None, None))
        if before is not None:
            decay = torch.where(before == 0, torch.sign(v), v / before)
            spikes = torch.clamp(decay, -self.leak, self.leak) * trace + spikes
        self.traces[name] = v, spikes
        return spikes

    def weighted(self, name, function, x, w, b):
        """A layer with weights. ottt: its weight has the gradient of the traced input, if that is not the raw one."""
        y = function(x, w, b)
        if self.case["method"] not in ("ottt", "ndot") or not x.requires_grad:
            return y
        if self.case["method"] == "ndot":
            trace = self.dots
        else:
            old = self.traces.get(name)
            trace = self.traces[name] = x.detach() if old is None else self.leak * old + x.detach()
        traced = function(trace, w, b)
        return function(x, w.detach(), None if b is None else b.detach()) + traced - traced.detach()

    def normed(self, layer, x, w, b):
        eps, each = layer.get("eps", 1e-5), layer.get("over") == "channels"
        if b is not None and not each:
            return F.group_norm(x, 1, w, b, eps)  # of vectors: F.layer_norm
        if b is not None:
            return F.layer_norm(x.movedim(1, -1), [x.shape[1]], w, b, eps).movedim(-1, 1)
        axes = [1] if each else list(range(1, x.dim()))
        return x / torch.sqrt((x * x).mean(axes, keepdim=True) + eps) * w.view([1, -1] + [1] * (x.dim() - 2))

    def forward(self, x):
        self.leak, self.dots = 0.0, None
        self.step += 1
        outputs, dots = {"input": x}, {}
        for i, layer in enumerate(self.case["layers"]):
            name, kind = str(i), layer["type"]
            w, b = self.p.get(f"{name}.weight"), self.p.get(f"{name}.bias")
            if kind in NEURONS:
                x = self.neuron(name, layer, x)
            elif kind == "linear":
                x = self.weighted(name, F.linear, x, w, b)
            elif kind in ("conv", "ws_conv"):
                where = layer.get("stride", 1), layer.get("padding", 0), layer.get("dilation", 1), layer.get("groups", 1)
                w = w if kind == "conv" else self.standardised(name, layer, w)
                x = self.weighted(name, lambda x, w, b: F.conv2d(x, w, b, *where), x, w, b)
            elif kind == "conv1d":
                where = layer.get("stride", 1), layer.get("padding", 0), layer.get("dilation", 1), layer.get("groups", 1)
                x = self.weighted(name, lambda x, w, b: F.conv1d(x.squeeze(2), w, b, *where).unsqueeze(2), x, w, b)
            elif kind == "batch_norm":
                settings = self.case["batch_norm"]
                x = self.online_norm(name, x, w, b) if settings["statistics"] == "running" else F.batch_norm(x, self.p[name + ".running_mean"], self.p[name + ".running_var"], w, b, True,
                                 settings["momentum"], settings["eps"])
            elif kind == "scale":
                x, self.dots = [None if a is None else a * layer["factor"] for a in (x, self.dots)]
            elif kind == "avg_pool":
                where = layer["kernel"], layer.get("stride"), layer.get("padding", 0)
                x, self.dots = [None if a is None else F.avg_pool2d(a, *where) for a in (x, self.dots)]
            elif kind == "relu":
                x = F.relu(x)
            elif kind == "qcfs":  # with the gradient of the identity through the floor
                c = self.p[name + ".threshold"]
                x = c * Clip.apply(Floor.apply(x * layer["levels"] / c + 0.5) / layer["levels"])
            elif kind == "synapse":
                rate = torch.sigmoid(self.spread(name + ".w", x)) if layer.get("learn") else 1 / layer["tau"]
                x = x + self.state.get(name, {}).get("y", torch.zeros_like(x)) * (1 - rate)
                self.state[name] = {"y": x}
            elif kind == "delay":
                past = self.state.get(name, {})
                self.state[name] = {**past, self.step: x}
                x = past.get(self.step - layer["steps"], torch.zeros_like(x))
            elif kind in ("layer_norm", "rms_norm"):
                x = self.normed(layer, x, w, b)
            elif kind == "dropout":
                x, self.dots = [None if a is None else self.dropped(name, layer, a) for a in (x, self.dots)]
            elif kind == "add":
                x = sum(outputs[str(n)] for n in layer["from"])
                self.dots = sum(dots[str(n)] for n in layer["from"]) if all(str(n) in dots for n in layer["from"]) else None
            elif kind == "concat":
                x = torch.cat([outputs[str(n)] for n in layer["from"]], 1)
                all_have = all(str(n) in dots for n in layer["from"])
                self.dots = torch.cat([dots[str(n)] for n in layer["from"]], 1) if all_have else None
            else:
                x, self.dots = [None if a is None else a.flatten(1) for a in (x, self.dots)]
            if self.dots is not None:
                dots[name] = dots[layer.get("label")] = self.dots
            outputs[name] = outputs[layer.get("label")] = x
        return x

    def cut(self):
        self.state = {n: {k: v.detach() for k, v in s.items()} for n, s in self.state.items()}


class Rates(Net):
    """Rate-based backpropagation. Slopes of rates come from autograd: by a change of the input that is the same at every step of a
    block. Batch norm on rates has the gradient of its own moments and the values of the steps' (rate_S of Yu et al. 2024)."""

    def start_block(self):
        self.cut()
        self.sums, self.steps, self.shift, self.on_rates = {}, 0, {}, False

    def note(self, name, key, value):
        kept = self.sums.setdefault(name, {})
        kept[key] = kept.get(key, 0) + value

    def mean(self, name, key):
        return self.sums[name][key].detach() / self.steps

    def neuron(self, name, layer, x):
        if self.on_rates:
            r = self.sums[name]["r"] / self.steps
            slope, = torch.autograd.grad(r.sum(), self.shift[name], retain_graph=True)
            return r.detach() + slope * (x - x.detach())
        if name not in self.shift:
            self.shift[name] = torch.zeros_like(x).requires_grad_()
        out = super().neuron(name, layer, x.detach() + self.shift[name])
        self.note(name, "r", out)
        return out.detach()

    def batch_norm(self, name, x, w, b):
        if self.case["batch_norm"]["statistics"] == "running":
            return self.online_norm(name, x, w, b)
        eps, momentum = self.case["batch_norm"]["eps"], self.case["batch_norm"]["momentum"]
        axes, shape = [i for i in range(x.dim()) if i != 1], [1, -1] + [1] * (x.dim() - 2)
        mean, var = x.mean(axes), x.var(axes, unbiased=False)
        if self.on_rates:
            mean = mean + (self.mean(name, "mean") - mean).detach()
            var = var + (1 / self.mean(name, "inverse") - eps - var).detach()
            return (x - mean.view(shape)) / torch.sqrt(var.view(shape) + eps) * w.view(shape) + b.view(shape)
        self.note(name, "mean", mean)
        self.note(name, "inverse", 1 / (var + eps))
        return F.batch_norm(x, self.p[name + ".running_mean"], self.p[name + ".running_var"], w, b, True, momentum, eps)

    def max_pool(self, name, layer, x):
        y = F.max_pool2d(x, layer["kernel"], layer.get("stride"), layer.get("padding", 0))
        if self.on_rates:
            return y + (self.mean(name, "max") - y).detach()
        self.note(name, "max", y)
        return y

    def layers(self, layers, prefix, x):
        for i, layer in enumerate(layers):
            name, kind = f"{prefix}{i}", layer["type"]
            w, b = self.p.get(f"{name}.weight"), self.p.get(f"{name}.bias")
            where = layer.get("stride", 1), layer.get("padding", 0), layer.get("dilation", 1), layer.get("groups", 1)
            if kind in NEURONS:
                x = self.neuron(name, layer, x)
            elif kind == "linear":
                x = F.linear(x, w, b)
            elif kind == "ws_conv":
                x = F.conv2d(x, self.standardised(name, layer, w), b, *where)
            elif kind == "conv":
                x = F.conv2d(x, w, b, *where)
            elif kind == "batch_norm":
                x = self.batch_norm(name, x, w, b)
            elif kind == "avg_pool":
                x = F.avg_pool2d(x, layer["kernel"], layer.get("stride"), layer.get("padding", 0))
            elif kind == "max_pool":
                x = self.max_pool(name, layer, x)
            elif kind == "scale":
                x = x * layer["factor"]
            elif kind == "dropout":
                x = self.dropped(name, layer, x)
            elif kind == "residual":
                p = self.layers(layer["pre"], f"{name}.pre.", x)
                branch = self.layers(layer["branch"], f"{name}.branch.", p)
                x = layer.get("alpha", 1.0) * self.p.get(f"{name}.skip_gain", 1.0) * branch + p
            else:
                x = x.flatten(1)
        return x

    def forward(self, x):
        self.steps += 1
        self.note("", "x", x)
        return self.layers(self.case["layers"], "", x)

    def on_block(self):
        self.on_rates = True
        return self.layers(self.case["layers"], "", self.mean("", "x"))


def run_rates(case, net, x, y):
    steps, block, of, total, losses = case["time_steps"], case["block"], case["loss"].get("of", "step"), 0, 0.0
    for t in range(steps):
        if t % block == 0:
            net.start_block()
        total = total + net.forward(x[t] if case["input_is_sequence"] else x).detach()
        if (t + 1) % block:
            continue
        z = net.on_block()
        if of == "step":
            loss = loss_of(case, z, y) * block / steps
            losses += float(loss.detach())
        else:
            final = 1 if of == "count" else 1 / steps
            all_steps = (final * steps / (t + 1) * total).requires_grad_()
            value = loss_of(case, all_steps, y)
            losses = float(value.detach())
            loss = (torch.autograd.grad(value, all_steps)[0] * final * block * z).sum()
        loss.backward()
    return losses, total


def loss_of(case, z, y):
    mix = case["loss"]
    if "name" in mix:
        weights = None if mix.get("class_weights") is None else torch.tensor(mix["class_weights"], dtype=z.dtype)
        if mix["name"] == "bce":
            return F.binary_cross_entropy_with_logits(z, y, weight=weights)
        return ((z - y) ** 2 * (1 if weights is None else weights)).mean()
    target = F.one_hot(y, case["classes"]).to(z) if mix["mse_target"] == "one_hot" else torch.full_like(z, mix["mse_target"])
    weights = None if mix.get("class_weights") is None else torch.tensor(mix["class_weights"], dtype=z.dtype)
    ce = F.cross_entropy(z, y, weight=weights, reduction="sum", label_smoothing=mix.get("label_smoothing", 0.0)) / len(y)
    return mix["cross_entropy"] * ce + mix["mse"] * F.mse_loss(z, target)


def run(case, tensors):
    params = {}
    for name, (values, shape) in tensors.items():
        if name.startswith("param."):
            t = torch.tensor(values, dtype=torch.float64).reshape(shape)
            params[name[6:]] = t if "running" in name else t.requires_grad_()
    rate, steps = case["method"] == "rate", case["time_steps"]
    net = (Rates if rate else Net)(case, params)
    net.teacher = {n[8:]: torch.tensor(v, dtype=torch.float64).reshape(s) for n, (v, s) in tensors.items() if n.startswith("teacher.")}
    values, shape = tensors["input"]
    x = torch.tensor(values, dtype=torch.float64).reshape(shape)
    y = torch.tensor(tensors["target"][0])
    if "name" in case["loss"]:
        y = y.to(torch.float64).reshape(tensors["target"][1])
    of, total, losses, pending = case["loss"].get("of", "step"), 0, 0.0, []
    block, penalised = case.get("truncate") or steps, 0.0
    if rate:
        losses, total = run_rates(case, net, x, y)
    for t in range(0 if rate else steps):
        if case["method"] != "bptt" or t % block == 0:
            if pending:
                sum(pending).backward()
                pending = []
            net.cut()
        net.penalties, net.local_losses = [], []
        logits = net.forward(x[t] if case["input_is_sequence"] else x)
        penalty = sum(net.penalties) / max(1, len(net.penalties)) + sum(net.local_losses)
        drawn = case["method"] not in ("sltt-k", "ltl") or t in case["backprop_steps"]
        if of == "step":
            total = total + logits.detach()
            loss = loss_of(case, logits, y) / steps + penalty
            losses += float(loss.detach()) if drawn else 0.0
        else:  # the loss of all outputs, or of as many times those so far; its gradient by those of this step
            total = total + logits if case["method"] == "bptt" else total + logits.detach()
            z = (1 if of == "count" else 1 / steps) * steps / (t + 1) * total.detach().requires_grad_()
            penalised = penalised + (float(torch.as_tensor(penalty).detach()) if drawn else 0.0)
            losses, share = float(loss_of(case, z, y).detach()) + penalised, 1 if of == "count" else 1 / steps
            if case["method"] == "bptt":
                loss = loss_of(case, total if of == "count" else total / steps, y) if t + 1 == steps else 0 * logits.sum()
            else:
                loss = (torch.autograd.grad(loss_of(case, z, y), z)[0] * share * logits).sum() + penalty
        if drawn:
            pending.append(loss)
    if pending:
        sum(pending).backward()
    total = total.detach()
    net.follow()
    ours = {"grad." + n: p.grad for n, p in params.items() if p.requires_grad}
    ours |= {"after." + n: p for n, p in params.items() if not p.requires_grad}
    return losses, ours | {"logits_sum": total}


def main():
    bad = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            case = json.load(f)
        unknown = [layer["type"] for layer in case["layers"] if layer["type"] not in LAYERS]
        recurrent = case["method"] == "ottt" and any(layer.get("recurrent") for layer in case["layers"])
        if case["method"] == "rate":
            unknown = []
        if unknown or recurrent or "training" in case:
            print(f"{case['name']:28} skipped: {', '.join(unknown) or ('recurrent ottt' if recurrent else 'made by PyTorch')}")
            continue
        tensors = read_tensors(path[:-5] + ".safetensors")
        loss, ours = run(case, tensors)
        largest = max(abs(a) for n, (v, _) in tensors.items() if n.startswith("grad.") for a in v)
        worst, where = abs(loss - case["loss_value"]) / abs(case["loss_value"]), "loss_value"
        for name, (want, _) in tensors.items():
            if name.split(".")[0] not in ("grad", "after", "logits_sum"):
                continue
            got = [0.0] * len(want) if ours[name] is None else ours[name].flatten().tolist()
            top = max(map(abs, want))
            scale = largest if name.startswith("grad.") and top < 1e-12 * largest else top
            worst, where = max((worst, where), (max(abs(a - b) for a, b in zip(got, want)) / scale, name))
        bad += worst > 1e-9
        print(f"{case['name']:28} {'pass' if worst <= 1e-9 else 'FAIL'}  worst {worst:.1e} ({where})")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
