"""Spiking networks in float64: forward, loss and gradients of one mini-batch, in plain Python.

Written from the equations of docs/NUMERICS.md for tests/golden/make_cases.py, apart from the C and OpenCL code in every
choice that could hide a common mistake: N,C,H,W instead of channels-last, a tape of small operations instead of fused
backward passes, exact sums. Does not look at files, and is not meant to be fast.

The same bits on every machine: sums by math.fsum, exponentials and logarithms by decimal (both correctly rounded).
"""
import math
import struct
from decimal import Context, Decimal
from operator import mul

WIDTHS = {"triangle": 1.0, "rectangle": 1.0, "sigmoid": 4.0, "atan": 2.0, "fast_sigmoid": 25.0, "piecewise_exp": 1.0,
          "gaussian": 0.5, "erf": 2.0, "dspike": 3.0}
DIGITS = Context(prec=30)


def exp(x):
    return float(Decimal(x).exp(DIGITS))


def log(x):
    return float(Decimal(x).ln(DIGITS))


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def philox(key, counter):
    """Four words of Philox4x32-10 (Salmon et al. 2011)."""
    c, k, word = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & word, (a >> 32) ^ c[3] ^ k[1], a & word]
        k = [(k[0] + 0x9E3779B9) & word, (k[1] + 0xBB67AE85) & word]
    return c


def keep_mask(shape, layer, seed, node, step):
    """1 where an element of N,C,H,W is kept: node is the layer's place in the graph, step counts from 1."""
    n, c, area = shape[0], shape[1], math.prod(shape[2:])
    stream, limit = node ^ (step << 20 if layer.get("mask") == "step" else 0), int(f32(layer["p"]) * 2.0 ** 32)
    out = []
    for i in range(n):
        for ch in range(c):
            for place in range(area):
                row = i if layer.get("unit") == "channel" else i * area + place
                e = row * c + ch
                out.append(float(philox((seed, 0), (e // 4, 0, stream, 0))[e % 4] >= limit))
    return out


def graph_places(layers, prefix="", at=0, out=None):
    """{name: place} of the layers in the order of the graph's nodes, in which flatten has none; also how many there are."""
    out = {} if out is None else out
    for i, layer in enumerate(layers):
        name = f"{prefix}{i}"
        for part in ("pre", "branch", "shortcut"):
            at = graph_places(layer.get(part) or [], f"{name}.{part}.", at, out)[1]
        at += 1 if layer.get("recurrent") else 0
        out[name] = at
        at += 0 if layer["type"] == "flatten" else len(layer["from"]) - 1 if "from" in layer else 1
    return out, at


def surrogate(name, a, d):
    """h(d), which stands for ds/du in the backward pass."""
    z = abs(d)
    if name == "triangle":
        return max(0.0, a - z) / (a * a)
    if name == "rectangle":
        return 1 / a if z < a / 2 else 0.0
    if name == "sigmoid":
        q = 1 / (1 + exp(-a * d))
        return a * q * (1 - q)
    if name == "atan":
        q = math.pi * a * d / 2
        return a / 2 / (1 + q * q)
    if name == "fast_sigmoid":
        return 1 / ((1 + a * z) * (1 + a * z))
    if name == "piecewise_exp":
        return a / 2 * exp(-a * z)
    if name == "gaussian":
        return exp(-d * d / (2 * a * a)) / (a * math.sqrt(2 * math.pi))
    if name == "erf":
        return a / math.sqrt(math.pi) * exp(-a * a * d * d)
    if name == "dspike":
        up, down = exp(a * d), exp(-a * d)
        steep = (exp(a / 2) - exp(-a / 2)) / (exp(a / 2) + exp(-a / 2))
        return a / (2 * steep) * 4 / ((up + down) * (up + down)) if z <= 0.5 else 0.0
    raise ValueError(name)


def smooth(name, a, d):
    """An antiderivative of h: takes the place of the spike where derivatives are checked by differences."""
    if name == "triangle":
        z = max(-1.0, min(1.0, d / a))
        return 0.5 + z - 0.5 * z * abs(z)
    if name == "rectangle":
        return max(0.0, min(1.0, d / a + 0.5))
    if name == "sigmoid":
        return 1 / (1 + math.exp(-a * d))
    if name == "atan":
        return math.atan(math.pi * a * d / 2) / math.pi + 0.5
    if name == "fast_sigmoid":
        return d / (1 + a * abs(d))
    if name == "piecewise_exp":
        return 0.5 * math.exp(a * d) if d < 0 else 1 - 0.5 * math.exp(-a * d)
    if name == "gaussian":
        return 0.5 + 0.5 * math.erf(d / (a * math.sqrt(2)))
    if name == "erf":
        return 0.5 + 0.5 * math.erf(a * d)
    if name == "dspike":
        return 0.5 + math.tanh(a * max(-0.5, min(0.5, d))) / (2 * math.tanh(a / 2))
    raise ValueError(name)


def kinks(name, a):
    """|d| at which the spike or the surrogate changes abruptly."""
    return {"triangle": (0.0, a), "rectangle": (0.0, a / 2), "dspike": (0.0, 0.5)}.get(name, (0.0,))


class Value:
    """A row-major array. leak: of the neuron whose spikes it came from (the trace of OTTT follows it)."""
    __slots__ = ("data", "shape", "needs", "pull", "grad", "leak", "binary", "dots")

    def __init__(self, data, shape, needs=False):
        self.data, self.shape, self.needs = data, tuple(shape), needs
        self.pull = self.grad = self.leak = self.dots = None
        self.binary = False

    def add_grad(self, g):
        if self.needs:
            self.grad = list(g) if self.grad is None else [a + b for a, b in zip(self.grad, g)]

    def cut(self):
        """The same numbers as a constant: no gradient flows through."""
        out = Value(self.data, self.shape)
        out.leak, out.binary, out.dots = self.leak, self.binary, self.dots
        return out


def channels_of(x, s):
    """For each element of x the place in s of its number: that of its channel, or the only one."""
    area = math.prod(x.shape[2:])
    return [i // area % x.shape[1] for i in range(len(x.data))] if s.shape else [0] * len(x.data)


def sums_at(values, at, s):
    parts = [[] for _ in s.data]
    for a, c in zip(values, at):
        parts[c].append(a)
    return [math.fsum(part) for part in parts]


def dotted(out, function, *parents):
    """NDOT: what a linear layer makes of the traces of its inputs, where all of them have traces."""
    if all(p.dots is not None for p in parents):
        out.dots = function(*[p.dots for p in parents])
    return out


class Tape:
    """Operations in the order they ran; each knows how to hand its gradient to its parents."""

    def __init__(self):
        self.nodes, self.recording = [], True

    def make(self, data, shape, parents, pull):
        out = Value(data, shape, self.recording and any(p.needs for p in parents))
        out.leak = next((p.leak for p in parents if p.leak is not None), None)
        if out.needs:
            out.pull = pull
            self.nodes.append(out)
        return out

    def backward(self):
        for node in reversed(self.nodes):
            if node.grad is not None:
                node.pull(node.grad)
                node.grad = None
        self.nodes.clear()

    # ---- elementwise ----

    def scale(self, x, factor):
        out = self.make([factor * a for a in x.data], x.shape, [x], lambda g: x.add_grad([factor * a for a in g]))
        return dotted(out, lambda t: [factor * a for a in t], x)

    def add(self, x, y):
        def pull(g):
            x.add_grad(g)
            y.add_grad(g)
        out = self.make([a + b for a, b in zip(x.data, y.data)], x.shape, [x, y], pull)
        return dotted(out, lambda t, r: [a + b for a, b in zip(t, r)], x, y)

    def times_scalar(self, x, s):
        at = channels_of(x, s)

        def pull(g):
            x.add_grad([s.data[c] * a for a, c in zip(g, at)])
            s.add_grad(sums_at(map(mul, g, x.data), at, s))
        times = lambda t: [s.data[c] * a for a, c in zip(t, at)]
        return dotted(self.make(times(x.data), x.shape, [x, s], pull), times, x)

    def reshape(self, x, shape):
        out = self.make(x.data, shape, [x], x.add_grad)
        out.binary = x.binary
        return dotted(out, list, x)

    # ---- windows ----

    def gather(self, x, index, shape):
        """out[i] = x[index[i]]; index -1 is a zero."""
        padded = x.data + [0.0]

        def pull(g):
            total = [0.0] * len(padded)
            for i, a in zip(index, g):
                total[i] += a
            x.add_grad(total[:-1])
        return self.make([padded[i] for i in index], shape, [x], pull)

    def mean_windows(self, x, windows, divisors, shape):
        def pull(g):
            total = [0.0] * len(x.data)
            for window, divisor, a in zip(windows, divisors, g):
                for i in window:
                    total[i] += a / divisor
            x.add_grad(total)
        means = lambda t: [math.fsum(t[i] for i in w) / d for w, d in zip(windows, divisors)]
        return dotted(self.make(means(x.data), shape, [x], pull), means, x)

    def max_windows(self, x, windows, shape):
        """The first largest of a window takes the gradient. Also returns the least lead of a winner."""
        best = [max(w, key=lambda i: (x.data[i], -i)) for w in windows]

        def pull(g):
            total = [0.0] * len(x.data)
            for i, a in zip(best, g):
                total[i] += a
            x.add_grad(total)
        lead = min((x.data[b] - x.data[i] for w, b in zip(windows, best) for i in w if i != b), default=math.inf)
        out = self.make([x.data[i] for i in best], shape, [x], pull)
        out.binary = x.binary
        return out, lead

    # ---- weights ----

    def product(self, x, w, bias, x_for_weight):
        """[R][K] times the transpose of [O][K]; the weight gradient takes x_for_weight in place of x."""
        k, o = x.shape[1], w.shape[0]
        assert len(w.data) == k * o, f"a weight of {w.shape} on rows of {k}"
        rows = [x.data[i:i + k] for i in range(0, len(x.data), k)]
        traced = [x_for_weight.data[i:i + k] for i in range(0, len(x.data), k)]
        cols = [w.data[i:i + k] for i in range(0, len(w.data), k)]
        b = bias.data if bias else [0.0] * o
        data = [math.fsum([*map(mul, row, col), c]) for row in rows for col, c in zip(cols, b)]

        def pull(g):
            g_rows = [g[i:i + o] for i in range(0, len(g), o)]
            g_cols = list(zip(*g_rows))
            if x.needs:
                by_input = list(zip(*cols))
                x.add_grad([math.fsum(map(mul, gr, c)) for gr in g_rows for c in by_input])
            by_weight = list(zip(*traced))
            w.add_grad([math.fsum(map(mul, gc, t)) for gc in g_cols for t in by_weight])
            if bias:
                bias.add_grad([math.fsum(gc) for gc in g_cols])
        return self.make(data, (len(rows), o), [x, w] + ([bias] if bias else []), pull)

    def standardise(self, w, gain, eps):
        """W = gain (W - mean) / sqrt(var fan_in + eps), unbiased variance, per output channel."""
        o, k = w.shape[0], len(w.data) // w.shape[0]
        rest, root = [], []
        for i in range(o):
            row = w.data[i * k:(i + 1) * k]
            mean = math.fsum(row) / k
            rest.append([a - mean for a in row])
            root.append(math.sqrt(math.fsum(map(mul, rest[i], rest[i])) / (k - 1) * k + eps))

        def pull(g):
            g_w, g_gain = [], []
            for i, (d, r) in enumerate(zip(rest, root)):
                row = g[i * k:(i + 1) * k]
                along = math.fsum(map(mul, row, d))
                g_gain.append(along / r)
                g_root = -gain.data[i] * along / (r * r)
                g_var = g_root * k / (2 * r)
                g_rest = [gain.data[i] * a / r + g_var * 2 * b / (k - 1) for a, b in zip(row, d)]
                mean = math.fsum(g_rest) / k
                g_w += [a - mean for a in g_rest]
            w.add_grad(g_w)
            gain.add_grad(g_gain)
        data = [gain.data[i] * a / root[i] for i in range(o) for a in rest[i]]
        return self.make(data, w.shape, [w, gain], pull)

    def batch_norm(self, x, gamma, beta, eps):
        """Statistics of this time step. Also returns the mean and the biased variance of each channel."""
        n, c = x.shape[:2]
        area = math.prod(x.shape[2:])
        places = [[(i * c + ch) * area + p for i in range(n) for p in range(area)] for ch in range(c)]
        m, data, means, variances, rests = n * area, [0.0] * len(x.data), [], [], []
        for ch, where in enumerate(places):
            values = [x.data[i] for i in where]
            means.append(math.fsum(values) / m)
            rests.append([a - means[ch] for a in values])
            variances.append(math.fsum(map(mul, rests[ch], rests[ch])) / m)
            for i, d in zip(where, rests[ch]):
                data[i] = gamma.data[ch] * d / math.sqrt(variances[ch] + eps) + beta.data[ch]

        def pull(g):
            g_x, g_gamma, g_beta = [0.0] * len(g), [], []
            for ch, where in enumerate(places):
                out, d, std = [g[i] for i in where], rests[ch], math.sqrt(variances[ch] + eps)
                along = math.fsum(map(mul, out, d))
                g_gamma.append(along / std)
                g_beta.append(math.fsum(out))
                g_var = -gamma.data[ch] * along / (std * std) / (2 * std)
                g_rest = [gamma.data[ch] * a / std + g_var * 2 * b / m for a, b in zip(out, d)]
                mean = math.fsum(g_rest) / m
                for i, a in zip(where, g_rest):
                    g_x[i] = a - mean
            x.add_grad(g_x)
            gamma.add_grad(g_gamma)
            beta.add_grad(g_beta)
        return self.make(data, x.shape, [x, gamma, beta], pull), means, variances

    def layer_norm(self, x, gamma, beta, eps, groups):
        """Moments over each of so many equal parts of places, a part having all channels; beta None: of squares alone."""
        n, c = x.shape[:2]
        area = math.prod(x.shape[2:])
        per = area // groups
        parts = [[(i * c + ch) * area + p for ch in range(c) for p in range(q * per, (q + 1) * per)]
                 for i in range(n) for q in range(groups)]
        channel = [i // area % c for i in range(len(x.data))]
        hat, root, m = [0.0] * len(x.data), [], c * per
        for where in parts:
            mean = math.fsum(x.data[i] for i in where) / m if beta else 0.0
            root.append(math.sqrt(math.fsum((x.data[i] - mean) ** 2 for i in where) / m + eps))
            for i in where:
                hat[i] = (x.data[i] - mean) / root[-1]

        def pull(g):
            g_x, by_channel = [0.0] * len(g), [[] for _ in range(c)]
            for where, r in zip(parts, root):
                d = {i: g[i] * gamma.data[channel[i]] for i in where}
                sum_d, along = math.fsum(d.values()) if beta else 0.0, math.fsum(d[i] * hat[i] for i in where)
                for i in where:
                    g_x[i] = (d[i] - sum_d / m - hat[i] * along / m) / r
            for i, ch in enumerate(channel):
                by_channel[ch].append(i)
            x.add_grad(g_x)
            gamma.add_grad([math.fsum(g[i] * hat[i] for i in where) for where in by_channel])
            if beta:
                beta.add_grad([math.fsum(g[i] for i in where) for where in by_channel])
        data = [gamma.data[ch] * a + (beta.data[ch] if beta else 0.0) for a, ch in zip(hat, channel)]
        return self.make(data, x.shape, [x, gamma] + ([beta] if beta else []), pull)

    def norm_given(self, x, gamma, beta, means, roots):
        """Batch norm with statistics that were taken elsewhere, and are those of x; roots: 1/std."""
        n, c = x.shape[:2]
        area = math.prod(x.shape[2:])
        channel = [i // area % c for i in range(len(x.data))]
        hat = [(a - means[ch]) * roots[ch] for a, ch in zip(x.data, channel)]

        def pull(g):
            sums, along, m = [[] for _ in means], [[] for _ in means], n * area
            for a, b, ch in zip(g, hat, channel):
                sums[ch].append(a)
                along[ch].append(a * b)
            sums, along = [math.fsum(s) for s in sums], [math.fsum(s) for s in along]
            x.add_grad([gamma.data[ch] * roots[ch] * (a - sums[ch] / m - b * along[ch] / m)
                        for a, b, ch in zip(g, hat, channel)])
            gamma.add_grad(along)
            beta.add_grad(sums)
        return self.make([gamma.data[ch] * a + beta.data[ch] for a, ch in zip(hat, channel)], x.shape, [x, gamma, beta], pull)

    def follow(self, x, values, slopes):
        """These values, which change with x by the slopes."""
        return self.make(values, x.shape, [x], lambda g: x.add_grad([a * b for a, b in zip(g, slopes)]))

    def join(self, xs):
        """Several arrays of one shape, one after the other along the first axis."""
        size = len(xs[0].data)

        def pull(g):
            for i, x in enumerate(xs):
                x.add_grad(g[i * size:(i + 1) * size])
        return self.make([a for x in xs for a in x.data], (len(xs) * xs[0].shape[0],) + xs[0].shape[1:], xs, pull)

    def concat(self, xs):
        """Behind each other along the second axis."""
        n, sizes = xs[0].shape[0], [len(x.data) // x.shape[0] for x in xs]
        starts, row = [sum(sizes[:i]) for i in range(len(xs))], sum(sizes)

        def pull(g):
            for x, size, start in zip(xs, sizes, starts):
                x.add_grad([a for i in range(n) for a in g[i * row + start:i * row + start + size]])
        rows = lambda *ts: [a for i in range(n) for t, size in zip(ts, sizes) for a in t[i * size:(i + 1) * size]]
        out = self.make(rows(*[x.data for x in xs]), (n, sum(x.shape[1] for x in xs)) + tuple(xs[0].shape[2:]), xs, pull)
        out.binary = all(x.binary for x in xs)
        return dotted(out, rows, *xs)

    def part(self, x, i, n):
        """The i-th of n equal parts along the first axis."""
        size = len(x.data) // n

        def pull(g):
            x.add_grad([0.0] * (i * size) + list(g) + [0.0] * ((n - 1 - i) * size))
        return self.make(x.data[i * size:(i + 1) * size], (x.shape[0] // n,) + x.shape[1:], [x], pull)

    # ---- neuron and loss ----

    def charge(self, v, x, decay, gain, rest):
        def pull(g):
            v.add_grad([decay * a for a in g])
            x.add_grad([gain * a for a in g])
        data = [decay * a + gain * b + (1 - decay) * rest for a, b in zip(v.data, x.data)]
        return self.make(data, x.shape, [v, x], pull)

    def decay_of(self, w):
        """1 - sigmoid(w)"""
        rates = [1 / (1 + exp(-a)) for a in w.data]
        return self.make([1 - r for r in rates], w.shape, [w], lambda g: w.add_grad([-r * (1 - r) * a for r, a in zip(rates, g)]))

    def charge_learnt(self, v, x, w, scaled, rest):
        """1/tau = sigmoid(w): u = v + (x - (v - rest)) / tau, or u = v - (v - rest) / tau + x."""
        rates, at = [1 / (1 + exp(-a)) for a in w.data], channels_of(x, w)
        off = [(b if scaled else 0.0) - (a - rest) for a, b in zip(v.data, x.data)]

        def pull(g):
            v.add_grad([(1 - rates[c]) * a for a, c in zip(g, at)])
            x.add_grad([rates[c] * a for a, c in zip(g, at)] if scaled else g)
            w.add_grad([rate * (1 - rate) * a for rate, a in zip(rates, sums_at(map(mul, g, off), at, w))])
        data = [a + rates[c] * d + (0.0 if scaled else b) for a, b, c, d in zip(v.data, x.data, at, off)]
        return self.make(data, x.shape, [v, x, w], pull)

    def fire(self, u, v_th, name, width, is_smooth):
        spike = (lambda d: smooth(name, width, d)) if is_smooth else (lambda d: 1.0 if d >= 0 else 0.0)
        pull = lambda g: u.add_grad([a * surrogate(name, width, b - v_th) for a, b in zip(g, u.data)])
        out = self.make([spike(a - v_th) for a in u.data], u.shape, [u], pull)
        out.binary = not is_smooth
        return out

    def relu(self, x):
        return self.make([max(a, 0.0) for a in x.data], x.shape, [x], lambda g: x.add_grad([a * (b > 0) for a, b in zip(g, x.data)]))

    def qcfs(self, x, threshold, levels, is_smooth):
        """threshold clip(floor(x levels / threshold + 1/2) / levels, 0, 1); the floor has the gradient of the identity."""
        c = threshold.data[0]
        share = [a / c if is_smooth else math.floor(a * levels / c + 0.5) / levels for a in x.data]
        inside = [0.0 <= a <= 1.0 for a in share]
        cut = [min(max(a, 0.0), 1.0) for a in share]

        def pull(g):
            x.add_grad([a * b for a, b in zip(g, inside)])
            threshold.add_grad([math.fsum(a * (k - b * v / c) for a, k, b, v in zip(g, cut, inside, x.data))])
        return self.make([c * a for a in cut], x.shape, [x, threshold], pull)

    def minus_scalar(self, x, s):
        at = channels_of(x, s)

        def pull(g):
            x.add_grad(g)
            s.add_grad([-a for a in sums_at(g, at, s)])
        return self.make([a - s.data[c] for a, c in zip(x.data, at)], x.shape, [x, s], pull)

    def reset(self, u, s, hard, v_th, v_reset):
        def pull(g):
            u.add_grad([a * (1 - b) for a, b in zip(g, s.data)] if hard else g)
            s.add_grad([a * (v_reset - b) for a, b in zip(g, u.data)] if hard else [-v_th * a for a in g])
        if hard:
            data = [a * (1 - b) + v_reset * b for a, b in zip(u.data, s.data)]
        else:
            data = [a - v_th * b for a, b in zip(u.data, s.data)]
        return self.make(data, u.shape, [u, s], pull)

    def loss(self, logits, labels, weights, steps):
        """(w_ce CE + w_mse MSE) / steps, the mean over the batch; CE with smoothed labels and weights of the classes."""
        n, k = logits.shape
        if "name" in weights:
            return self.loss_of_targets(logits, labels, weights, steps)
        target, grad, losses = weights["mse_target"], [], []
        smooth_by, by_class = weights.get("label_smoothing", 0.0), weights.get("class_weights") or [1.0] * k
        for i, y in enumerate(labels):
            o = logits.data[i * k:(i + 1) * k]
            top = max(o)
            e = [exp(a - top) for a in o]
            total = math.fsum(e)
            off = [a - (float(j == y) if target == "one_hot" else target) for j, a in enumerate(o)]
            mse = math.fsum(map(mul, off, off)) / k
            aim = [c * ((1 - smooth_by) * (j == y) + smooth_by / k) for j, c in enumerate(by_class)]
            ce = math.fsum(a * (log(total) + top - b) for a, b in zip(aim, o))
            losses.append(weights["cross_entropy"] * ce + weights["mse"] * mse)
            grad += [(weights["cross_entropy"] * (math.fsum(aim) * e[j] / total - aim[j]) + weights["mse"] * 2 * off[j] / k)
                     / (steps * n) for j in range(k)]
        pull = lambda g: logits.add_grad([g[0] * a for a in grad])
        return self.make([math.fsum(losses) / (steps * n)], (), [logits], pull)


    def loss_of_targets(self, logits, targets, weights, steps):
        """mse or bce of rows of numbers, the mean over outputs and batch, with factors of the outputs."""
        n, k = logits.shape
        factors, grad, losses = weights.get("class_weights") or [1.0] * k, [], []
        for i, (z, t) in enumerate(zip(logits.data, targets)):
            c, p = factors[i % k] / (k * steps * n), 1 / (1 + exp(-z))
            bce = weights["name"] == "bce"
            losses.append(c * (-t * log(p) - (1 - t) * log(1 - p) if bce else (z - t) * (z - t)))
            grad.append(c * (p - t if bce else 2 * (z - t)))
        pull = lambda g: logits.add_grad([g[0] * a for a in grad])
        return self.make([math.fsum(losses)], (), [logits], pull)


def pair(layer, key, default):
    v = layer.get(key, default)
    return list(v) if isinstance(v, (list, tuple)) else [v, v]


def window_pixels(h, w, layer, kernel):
    """Output size, and per output pixel the list of input pixels (None: padding), in row order."""
    stride, pad, dil = pair(layer, "stride", kernel), pair(layer, "padding", 0), pair(layer, "dilation", 1)
    ho, wo = [(size + 2 * p - d * (k - 1) - 1) // s + 1
              for size, p, d, k, s in zip((h, w), pad, dil, kernel, stride)]
    out = []
    for y in range(ho):
        for x in range(wo):
            spots = [(y * stride[0] - pad[0] + i * dil[0], x * stride[1] - pad[1] + j * dil[1])
                     for i in range(kernel[0]) for j in range(kernel[1])]
            out.append([r * w + c if 0 <= r < h and 0 <= c < w else None for r, c in spots])
    return ho, wo, out


def adaptive_pixels(h, w, size):
    """Output i covers floor(i H / HO) .. ceil((i + 1) H / HO) - 1."""
    def spans(n, m):
        return [range(i * n // m, -((i + 1) * n // -m)) for i in range(m)]
    return [[r * w + c for r in rows for c in cols] for rows in spans(h, size[0]) for cols in spans(w, size[1])]


class Network:
    """One mini-batch of a case. params: name -> Value; smooth: spikes are differentiable (for derivative checks)."""

    def __init__(self, case, params, statistics, is_smooth=False):
        self.case, self.params, self.statistics, self.smooth = case, params, statistics, is_smooth
        self.tape, self.kept, self.traces = Tape(), {}, {}
        self.margin, self.lead, self.rates, self.plans = math.inf, math.inf, {}, {}
        self.first, self.on_rates, self.sums, self.step = True, False, {}, 1
        self.places = graph_places(case["layers"])[0]
        self.online, self.online_after = {}, {}
        self.penalties, self.penalty = [], 0.0
        self.teacher, self.counts = {}, {}  # ltl: by layer

    def param(self, name, what):
        return self.params.get(f"{name}.{what}")

    # OTTT: the trace of a layer's input, NDOT: that of the neurons before it; raw input keeps its place.
    def for_weight(self, name, x):
        if self.case["method"] == "ndot" and x.needs:
            return Value(x.dots, x.shape)
        if self.case["method"] != "ottt" or not x.needs:
            return x
        old = self.traces.get(name)
        decay = x.leak if x.leak is not None else 0.0
        self.traces[name] = x.cut() if old is None else Value([decay * a + b for a, b in zip(old.data, x.data)], x.shape)
        return self.traces[name]

    def linear(self, name, layer, x):
        x_w = self.for_weight(name, x)
        if len(x.shape) > 2:  # one pixel
            x, x_w = self.tape.reshape(x, (x.shape[0], x.shape[1])), x_w
        return self.tape.product(x, self.param(name, "weight"), self.param(name, "bias"), x_w)

    def conv(self, name, layer, x):
        n, c, h, w = x.shape
        kernel = pair(layer, "kernel", 1)
        if name not in self.plans:
            ho, wo, pixels = window_pixels(h, w, {"stride": 1, **layer}, kernel)
            groups, area = layer.get("groups", 1), ho * wo
            per, o = c // groups, layer["out"] // groups
            rows = [[-1 if p is None else (i * c + ch) * h * w + p for i in range(n) for window in pixels
                     for ch in range(g * per, (g + 1) * per) for p in window] for g in range(groups)]
            turn = [((ch // o * n + i) * area + p) * o + ch % o for i in range(n) for ch in range(o * groups) for p in range(area)]
            self.plans[name] = ho, wo, rows, turn, per * kernel[0] * kernel[1]
        ho, wo, rows, turn, taps = self.plans[name]
        weight, bias, groups = self.param(name, "weight"), self.param(name, "bias"), len(rows)
        if layer["type"] == "ws_conv":
            weight = self.tape.standardise(weight, self.param(name, "gain"), layer.get("eps", 1e-4))
        shape = (n * ho * wo, taps)
        x_w = self.for_weight(name, x)
        ys = []
        for g, index in enumerate(rows):
            patches = self.tape.gather(x, index, shape)
            traced = patches if x_w is x else Tape().gather(x_w, index, shape)
            w, b = [p if groups == 1 or p is None else self.tape.part(p, g, groups) for p in (weight, bias)]
            ys.append(self.tape.product(patches, w, b, traced))
        y = ys[0] if groups == 1 else self.tape.join(ys)
        return self.tape.gather(y, turn, (n, layer["out"], ho, wo))

    ws_conv = conv

    def conv1d(self, name, layer, x):
        """Of pictures of height 1."""
        windows = {"stride": 1, "padding": 0, "dilation": 1}
        pairs = {k: [0 if k == "padding" else 1, layer.get(k, v)] for k, v in windows.items()}
        return self.conv(name, {**layer, **pairs, "kernel": [1, layer["kernel"]]}, x)

    # rate: sums over the time steps of a block, which the pass on rates reads.
    def note(self, name, **values):
        sums = self.sums.setdefault(name, {})
        for key, data in values.items():
            sums[key] = [a + b for a, b in zip(sums[key], data)] if key in sums else list(data)

    def mean_of(self, name, key):
        return [a / self.block for a in self.sums[name][key]]

    def batch_norm(self, name, layer, x):
        settings = self.case["batch_norm"]
        if settings["statistics"] == "running":
            return self.online_norm(name, x)
        if self.on_rates:
            roots = [math.sqrt(a) for a in self.mean_of(name, "inverse")]
            return self.tape.norm_given(x, self.param(name, "weight"), self.param(name, "bias"), self.mean_of(name, "mean"), roots)
        y, means, variances = self.tape.batch_norm(x, self.param(name, "weight"), self.param(name, "bias"), settings["eps"])
        if self.case["method"] == "rate":
            self.note(name, mean=means, inverse=[1 / (v + settings["eps"]) for v in variances])
        m, keep = len(x.data) // x.shape[1], 1 - settings["momentum"]
        old = self.statistics[name]
        unbiased = [v * m / (m - 1) for v in variances]
        self.statistics[name] = ([keep * a + settings["momentum"] * b for a, b in zip(old[0], means)],
                                 [keep * a + settings["momentum"] * b for a, b in zip(old[1], unbiased)])
        return y

    def online_norm(self, name, x):
        """By the running statistics of before the mini-batch; backward as a batch norm of x by itself (on rates: by the
        means of the block's steps), whose result is mapped linearly to that. Behind the last step they follow all steps."""
        settings, (mean, var) = self.case["batch_norm"], self.statistics[name]
        gamma, beta = self.param(name, "weight"), self.param(name, "bias")
        n, c = x.shape[:2]
        area = math.prod(x.shape[2:])
        channel = [i // area % c for i in range(len(x.data))]
        places = [[x.data[i] for i in range(len(x.data)) if channel[i] == ch] for ch in range(c)]
        means = [math.fsum(p) / len(p) for p in places]
        variances = [math.fsum((a - m) ** 2 for a in p) / len(p) for p, m in zip(places, means)]
        roots = [1 / math.sqrt(v + settings["eps"]) for v in variances]
        if self.on_rates:
            means, roots = self.mean_of(name, "mean"), [math.sqrt(a) for a in self.mean_of(name, "inverse")]
        else:
            sums = self.online.setdefault(name, [])
            sums.append((means, variances))
            if self.case["method"] == "rate":
                self.note(name, mean=means, inverse=[a * a for a in roots])
            if len(sums) == self.case["time_steps"]:
                self.online_after[name] = self.followed(sums, mean, var, settings["momentum"])
        steady = [1 / math.sqrt(v + settings["eps"]) for v in var]
        hat = [(a - means[ch]) * roots[ch] for a, ch in zip(x.data, channel)]
        out = [gamma.data[ch] * (a - mean[ch]) * steady[ch] + beta.data[ch] for a, ch in zip(x.data, channel)]

        def pull(g):
            m = n * area
            sum_g = [math.fsum(a for a, k in zip(g, channel) if k == ch) for ch in range(c)]
            along = [math.fsum(a * b for a, b, k in zip(g, hat, channel) if k == ch) for ch in range(c)]
            x.add_grad([gamma.data[ch] * steady[ch] * (a - sum_g[ch] / m - b * along[ch] / m)
                        for a, b, ch in zip(g, hat, channel)])
            gamma.add_grad([along[ch] * steady[ch] / roots[ch] + (means[ch] - mean[ch]) * steady[ch] * sum_g[ch]
                            for ch in range(c)])
            beta.add_grad(sum_g)
        return self.tape.make(out, x.shape, [x, gamma, beta], pull)

    @staticmethod
    def followed(steps, mean, var, momentum):
        total = len(steps)
        means = [math.fsum(a) / total for a in zip(*(m for m, _ in steps))]
        squares = [math.fsum(v[ch] + m[ch] ** 2 for m, v in steps) / total - means[ch] ** 2 for ch in range(len(means))]
        return ([(1 - momentum) * a + momentum * b for a, b in zip(mean, means)],
                [(1 - momentum) * a + momentum * b for a, b in zip(var, squares)])

    def penalise(self, s, u, rest, layers):
        """Mean distance of u from the nearer of rest and threshold, over samples, neurons, layers and time steps."""
        weight = self.case["loss"]["membrane"] / (self.case["time_steps"] * layers * len(u.data))
        near = [min((abs(a - s["v_th"]), a - s["v_th"]), (abs(a - rest), a - rest))[1] for a in u.data]
        middle = (rest + s["v_th"]) / 2
        self.margin = min([self.margin] + [min(abs(d), abs(a - middle)) for a, d in zip(u.data, near)])
        pull = lambda g: u.add_grad([g[0] * weight * math.copysign(1, d) for d in near])
        self.penalties.append(self.tape.make([weight * math.fsum(map(abs, near))], (), [u], pull))

    def learn_locally(self, name, spikes):
        """ltl: what leaves a layer of neurons is a constant; the layer learns from the distance of its rate so far from the target."""
        before = self.counts.get(name) or [0.0] * len(spikes.data)
        count = self.counts[name] = [a + b for a, b in zip(before, spikes.data)]
        if self.tape.recording and spikes.needs:
            n, steps, target = len(count), self.case["time_steps"], self.teacher[name]
            quantile = sorted(target)[(990 * (n - 1) + 500) // 1000]
            aims = [0.0 if a <= 0 else 1.0 if a >= quantile else a / quantile for a in target]
            off = [c / self.step - a for c, a in zip(count, aims)]
            pull = lambda g: spikes.add_grad([g[0] * 2 * d / (n * steps) for d in off])
            value = math.fsum(map(mul, off, off)) / n if self.step == steps else 0.0
            self.penalties.append(self.tape.make([value], (), [spikes], pull))
        return spikes.cut()

    def take_penalties(self):
        """What they add to the loss, with their gradients on their way."""
        total = [p.data[0] for p in self.penalties]
        for p in self.penalties:
            p.add_grad([1.0])
        self.penalties = []
        return math.fsum(total)

    def carried(self, kept, value):
        """What a step leaves to the next one: with a gradient in bptt only."""
        self.kept[kept] = value if self.case["method"] == "bptt" else value.cut()

    def before(self, kept, start, like):
        return Value([start] * len(like.data), like.shape) if self.first else self.kept[kept]

    def recur(self, name, x, leak):
        """x plus a dense matrix times the spikes of the step before; OTTT has a trace of those."""
        s = self.before((name, "s"), 0.0, x)
        s_w = s
        if self.case["method"] == "ottt":
            old = self.before((name, "trace"), 0.0, x)
            s_w = Value([leak * a + b for a, b in zip(old.data, s.data)], x.shape)
            self.kept[name, "trace"] = s_w
        return self.tape.add(x, self.tape.product(s, self.param(name, "recurrent.weight"), None, s_w))

    def neuron(self, name, layer, x):
        s = {"model": "lif", "v_reset": 0.0, "decay_input": False, **self.case["neuron"], **layer}
        model = s["model"] if layer["type"] == "lif" else layer["type"]
        hard, detach = s["reset"] == "hard", s["detach_reset"] and not self.smooth
        width = WIDTHS[s["surrogate"]] if s["width"] is None else s["width"]
        decay = 1.0 if model == "if" else 1 - 1 / s["tau"]
        rest = s["v_reset"] if hard else 0.0
        if self.on_rates:
            return self.tape.follow(x, self.mean_of(name, "r"), self.mean_of(name, "e"))
        v, over = self.before((name, "v"), s.get("v_init", 0.0) or rest, x), None
        if s.get("recurrent"):
            x = self.recur(name, x, decay)
        if model == "cuba_lif":  # the synaptic current, of this step already
            x = self.tape.add(self.tape.scale(self.before((name, "i"), 0.0, x), 1 - 1 / s["tau_syn"]), x)
            self.carried((name, "i"), x)
        if model == "plif":
            u = self.tape.charge_learnt(v, x, self.param(name, "w"), s["decay_input"], rest)
        else:
            u = self.tape.charge(v, x, decay, 1 / s["tau"] if s["decay_input"] else 1.0, rest if model != "if" else 0.0)
        if s.get("stabilise") and s.get("output") != "membrane" and not self.smooth:
            s = {**s, "v_th": self.stable_threshold(name, s["v_th"], u.data)}
        if self.case["method"] == "rate":
            self.note_rate(name, s, u, decay, width)
        firing = [i for i, l in enumerate(self.case["layers"]) if l["type"] == "lif" and i and l.get("output") != "membrane"]
        if self.case["loss"].get("membrane") and int(name) in firing and self.tape.recording:
            self.penalise(s, u, rest, len(firing))
        if s.get("output") == "membrane":  # never fires
            self.carried((name, "v"), u)
            return u
        if model == "alif":  # the threshold is v_th + beta a; a has grown by the spike of the step before
            a = self.tape.add(self.tape.scale(self.before((name, "a"), 0.0, x), 1 - 1 / s["tau_a"]),
                              self.before((name, "s"), 0.0, x))
            self.carried((name, "a"), a)
            over = self.tape.add(u, self.tape.scale(a, -s["beta"]))
        over, threshold, v_th = over or u, self.param(name, "threshold"), s["v_th"]
        if threshold:
            over, v_th = self.tape.minus_scalar(over, threshold), 0.0
        spikes = self.tape.fire(over, v_th, s["surrogate"], width, self.smooth)
        spikes.leak = decay
        taken = spikes.cut() if detach else spikes
        if threshold and not hard:
            self.carried((name, "v"), self.tape.add(u, self.tape.scale(self.tape.times_scalar(taken, threshold), -1.0)))
        else:
            self.carried((name, "v"), self.tape.reset(u, taken, hard, s.get("v_sub", s["v_th"]), rest))
        self.carried((name, "s"), spikes)
        if self.case["method"] == "ndot":
            self.note_dots(name, spikes, decay)
        for a in over.data:
            for k in kinks(s["surrogate"], width):
                self.margin = min(self.margin, abs(abs(a - v_th) - k))
        self.rates.setdefault(name, []).append(math.fsum(spikes.data) / len(spikes.data))
        is_last = name == str(len(self.case["layers"]) - 1)
        return self.learn_locally(name, spikes) if self.case["method"] == "ltl" and not is_last else spikes

    lif = plif = cuba_lif = alif = neuron

    def stable_threshold(self, name, v_th, u):
        """OTS: as many deviations above the mean of all potentials as v_th was at the first step; a constant for gradients."""
        mean = math.fsum(u) / len(u)
        deviation = math.sqrt(math.fsum((a - mean) ** 2 for a in u) / (len(u) - 1))
        assert deviation > 1e-5 * abs(mean)
        if self.first:
            self.kept[name, "ratio"] = Value([(v_th - mean) / deviation], ())
            return v_th
        return mean + deviation * self.kept[name, "ratio"].data[0]

    def note_dots(self, name, spikes, decay):
        """NDOT's trace of a layer of neurons: it decays as v did, which is what the reset left."""
        v = self.kept[name, "v"].data
        if self.first:
            spikes.dots = list(spikes.data)
        else:
            before, dots = self.kept[name, "dots"]
            ratio = lambda a, b: a / b if b else math.copysign(1, a) if a else 0.0
            spikes.dots = [max(-decay, min(decay, ratio(a, b))) * d + s for a, b, d, s in zip(v, before, dots, spikes.data)]
        self.kept[name, "dots"] = v, spikes.dots

    def relu(self, name, layer, x):
        self.margin = min([self.margin] + [abs(a) for a in x.data])
        return self.tape.relu(x)

    def qcfs(self, name, layer, x):
        threshold, levels = self.param(name, "threshold"), layer["levels"]
        places = [a * levels / threshold.data[0] + 0.5 for a in x.data]
        self.margin = min([self.margin] + [abs(a - round(a)) * threshold.data[0] / levels for a in places])
        return self.tape.qcfs(x, threshold, levels, self.smooth)

    def note_rate(self, name, s, u, decay, width):
        """Rates and their slopes by a change of the input that is the same at every step of the block."""
        gain, firing = 1 / s["tau"] if s["decay_input"] else 1.0, s.get("output") != "membrane"
        before, after, slopes = self.sums.get(name, {}).get("f", [0.0] * len(u.data)), [], []
        spikes = [float(a >= s["v_th"]) for a in u.data]
        for a, b, f in zip(u.data, spikes, before):
            now = gain + decay * f
            h = surrogate(s["surrogate"], width, a - s["v_th"])
            slopes.append(now * h if firing else now)
            if not firing:
                after.append(now)
                continue
            by_u, by_s = (1 - b, s["v_reset"] - a) if s["reset"] == "hard" else (1.0, -s.get("v_sub", s["v_th"]))
            after.append(now * (by_u + (0.0 if s["detach_reset"] else by_s * h)))
        self.note(name, e=slopes, r=spikes if firing else u.data)
        self.sums[name]["f"] = after

    def window_lists(self, name, layer, x):
        n, c, h, w = x.shape
        if name not in self.plans:
            if layer["type"] == "adaptive_avg_pool":
                ho, wo = pair(layer, "output", 1)
                pixels = adaptive_pixels(h, w, (ho, wo))
            else:
                ho, wo, pixels = window_pixels(h, w, layer, pair(layer, "kernel", 1))
            lists = [[(i * c + ch) * h * w + p for p in window if p is not None]
                     for i in range(n) for ch in range(c) for window in pixels]
            self.plans[name] = lists, (n, c, ho, wo)
        return self.plans[name]

    def avg_pool(self, name, layer, x):
        lists, shape = self.window_lists(name, layer, x)
        return self.tape.mean_windows(x, lists, [math.prod(pair(layer, "kernel", 1))] * len(lists), shape)

    def adaptive_avg_pool(self, name, layer, x):
        lists, shape = self.window_lists(name, layer, x)
        return self.tape.mean_windows(x, lists, [len(w) for w in lists], shape)

    def max_pool(self, name, layer, x):
        lists, shape = self.window_lists(name, layer, x)
        y, lead = self.tape.max_windows(x, lists, shape)
        if self.on_rates:  # the gradient goes where the mean is largest, the value is the mean of the maxima
            y.data = self.mean_of(name, "max")
            return y  # rates of blocks of 2, 4, 8 steps are equal exactly, where they are: the first one wins
        if self.case["method"] == "rate":
            self.note(name, max=y.data)
        if not x.binary:  # spikes are equal exactly, where they are: the first one wins
            self.lead = min(self.lead, lead)
        return y

    def flatten(self, name, layer, x):
        return self.tape.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def scale(self, name, layer, x):
        return self.tape.scale(x, layer["factor"])

    def dropout(self, name, layer, x):
        if (name, self.step) not in self.plans:
            self.plans[name, self.step] = keep_mask(x.shape, layer, self.case["seed"], self.places[name], self.step)
        kept, keep = self.plans[name, self.step], 1 - f32(layer["p"])
        factors = [a / keep for a in kept]
        out = self.tape.follow(x, list(map(mul, x.data, factors)), factors)
        return dotted(out, lambda t: list(map(mul, t, factors)), x)

    def residual(self, name, layer, x):
        p = self.layers(layer.get("pre") or [], f"{name}.pre.", x)
        y = self.layers(layer["branch"], f"{name}.branch.", p)
        identity = x if layer.get("identity_from") == "input" else p
        if layer.get("shortcut"):
            identity = self.layers(layer["shortcut"], f"{name}.shortcut.", p)
        if layer.get("skip_gain"):
            y = self.tape.times_scalar(y, self.param(name, "skip_gain"))
        return self.tape.add(self.tape.scale(y, layer.get("alpha", 1.0)), identity)

    def layer_norm(self, name, layer, x):
        groups = math.prod(x.shape[2:]) if layer.get("over") == "channels" else 1
        return self.tape.layer_norm(x, self.param(name, "weight"), self.param(name, "bias"), layer.get("eps", 1e-5), groups)

    rms_norm = layer_norm

    def synapse(self, name, layer, x):
        before, w = self.before((name, "y"), 0.0, x), self.param(name, "w")
        rest = self.tape.times_scalar(before, self.tape.decay_of(w)) if w else self.tape.scale(before, 1 - 1 / layer["tau"])
        y = self.tape.add(x, rest)
        self.carried((name, "y"), y)
        return y

    def delay(self, name, layer, x):
        """The Value of some time steps before, which keeps its gradient."""
        place = name, "x", self.step % layer["steps"]
        y = Value([0.0] * len(x.data), x.shape) if self.step <= layer["steps"] else self.kept[place]
        self.carried(place, x)
        return y

    def add(self, name, layer, x):
        xs = [self.outputs[str(n)] for n in layer["from"]]
        y = xs[0]
        for x in xs[1:]:
            y = self.tape.add(y, x)
        return y

    def concat(self, name, layer, x):
        return self.tape.concat([self.outputs[str(n)] for n in layer["from"]])

    def layers(self, layers, prefix, x):
        if not prefix:
            self.outputs = {"input": x}
        for i, layer in enumerate(layers):
            x = getattr(self, layer["type"])(f"{prefix}{i}", layer, x)
            self.outputs[f"{prefix}{i}"] = self.outputs[layer.get("label")] = x
        return x

    def td_batch_norm(self, name, layer, xs):
        """Statistics over samples, places and time steps; xs: one Value for every time step."""
        factor = layer.get("alpha", 1.0) * layer.get("v_th", self.case["neuron"]["v_th"])
        gamma = self.tape.scale(self.param(name, "weight"), factor)
        joined = self.tape.join(xs)
        y, means, variances = self.tape.batch_norm(joined, gamma, self.param(name, "bias"), self.case["batch_norm"]["eps"])
        m, keep = len(joined.data) // joined.shape[1], self.case["batch_norm"]["momentum"]
        old = self.statistics[name]
        self.statistics[name] = ([(1 - keep) * a + keep * b for a, b in zip(old[0], means)],
                                 [(1 - keep) * a + keep * b * m / (m - 1) for a, b in zip(old[1], variances)])
        return [self.tape.part(y, t, len(xs)) for t in range(len(xs))]

    def all_steps(self, layers, prefix, xs):
        """The same as `layers` at every time step, but layer by layer: each takes all time steps before the next."""
        for i, layer in enumerate(layers):
            name = f"{prefix}{i}"
            if layer["type"] == "td_batch_norm":
                xs = self.td_batch_norm(name, layer, xs)
            elif layer["type"] == "residual":
                xs = self.residual_all_steps(name, layer, xs)
            else:
                ys = []
                for t, x in enumerate(xs):
                    self.first, self.step = t == 0, t + 1
                    ys.append(getattr(self, layer["type"])(name, layer, x))
                xs = ys
        return xs

    def residual_all_steps(self, name, layer, xs):
        ps = self.all_steps(layer.get("pre") or [], f"{name}.pre.", xs)
        ys = self.all_steps(layer["branch"], f"{name}.branch.", ps)
        identity = xs if layer.get("identity_from") == "input" else ps
        if layer.get("shortcut"):
            identity = self.all_steps(layer["shortcut"], f"{name}.shortcut.", ps)
        if layer.get("skip_gain"):
            ys = [self.tape.times_scalar(y, self.param(name, "skip_gain")) for y in ys]
        return [self.tape.add(self.tape.scale(y, layer.get("alpha", 1.0)), i) for y, i in zip(ys, identity)]

    def run_all_steps(self, inputs, labels):
        """As run, for networks whose layers need all time steps at once; bptt only."""
        case = self.case
        assert case["method"] == "bptt"
        outputs = self.all_steps(case["layers"], "", inputs)
        losses = [self.tape.loss(o, labels, case["loss"], case["time_steps"]) for o in outputs]
        for loss in losses:
            loss.add_grad([1.0])
        self.tape.backward()
        return math.fsum(l.data[0] for l in losses), [math.fsum(a) for a in zip(*(o.data for o in outputs))]

    def run(self, inputs, labels):
        """inputs: one Value for every time step. Gradients are left in params; returns loss and summed logits."""
        case, total, losses = self.case, None, []
        if "td_batch_norm" in str(case["layers"]):
            return self.run_all_steps(inputs, labels)
        if case["method"] == "rate":
            return self.run_rates(inputs, labels)
        if case["loss"].get("of", "step") != "step":
            return self.run_total(inputs, labels)
        steps, block = case["time_steps"], case.get("truncate") or case["time_steps"]
        for t in range(steps):
            self.tape.recording = case["method"] not in ("sltt-k", "ltl") or t in case["backprop_steps"]
            self.first, self.step = t == 0, t + 1
            if t % block == 0 and t > 0:  # truncated: what lies before is a constant
                self.tape.backward()
                self.kept = {k: v.cut() for k, v in self.kept.items()}
            logits = self.layers(case["layers"], "", inputs[t])
            total = logits.data if total is None else [a + b for a, b in zip(total, logits.data)]
            if not self.tape.recording:
                continue
            loss = self.tape.loss(logits, labels, case["loss"], steps)
            losses += [loss.data[0], self.take_penalties()]
            loss.add_grad([1.0])
            if case["method"] != "bptt":
                self.tape.backward()
        self.tape.backward()
        return math.fsum(losses), total

    def run_rates(self, inputs, labels):
        """Blocks of forward steps without a gradient, each with one backward pass on the means of all activations."""
        case, steps, of = self.case, self.case["time_steps"], self.case["loss"].get("of", "step")
        total, losses, self.block = None, [], self.case["block"]
        for t in range(steps):
            self.tape.recording, self.first, self.step = False, t == 0, t + 1
            if t % self.block == 0:
                self.sums = {}
            logits = self.layers(case["layers"], "", inputs[t])
            self.note("", x=inputs[t].data)
            total = logits.data if total is None else [a + b for a, b in zip(total, logits.data)]
            if (t + 1) % self.block:
                continue
            self.tape.recording = self.on_rates = True
            z, share = self.layers(case["layers"], "", Value(self.mean_of("", "x"), inputs[t].shape)), self.block / steps
            if of != "step":
                share = (t + 1) / steps
                factor = (1 if of == "count" else 1 / steps) / share
                z = self.tape.follow(z, [factor * a for a in total], [factor * self.block] * len(total))
            value = self.tape.loss(z, labels, case["loss"], 1)
            losses = losses + [share * value.data[0]] if of == "step" else [value.data[0]]
            value.add_grad([share])
            self.tape.backward()
            self.on_rates = False
        return math.fsum(losses), total

    def run_total(self, inputs, labels):
        """As run, where the loss is of the mean or the sum of all outputs. Online methods see the outputs so far: they
        stand for all of them, and the gradient by those of this step is that of bptt if they do so exactly."""
        case, steps, total = self.case, self.case["time_steps"], None
        online, count = case["method"] != "bptt", case["loss"]["of"] == "count"
        for t in range(steps):
            self.tape.recording = case["method"] not in ("sltt-k", "ltl") or t in case["backprop_steps"]
            self.first, self.step = t == 0, t + 1
            logits = self.layers(case["layers"], "", inputs[t])
            total = logits if total is None else self.tape.add(total.cut() if online else total, logits)
            if not online and t + 1 < steps:
                continue
            share = (t + 1) / steps
            z = self.tape.scale(total, (1 if count else 1 / steps) / share)
            value = self.tape.loss(z, labels, case["loss"], 1)
            if self.tape.recording:
                value.add_grad([share])
                self.penalty += self.take_penalties()
                self.tape.backward()
        return value.data[0] + self.penalty, total.data


setattr(Network, "if", Network.neuron)  # a word of Python
