#!/usr/bin/env python3
"""Makes the case of this folder: a trained network of relu, samples, and the spiking networks that `spikeport convert` should make
of it, by PyTorch in float64. Shares nothing with the C code. Needs PyTorch and NumPy; neither building nor testing needs this file.

A seed is used only if every potential keeps a distance of 5e-6 from its threshold, and every chosen threshold is better than all
others by a thousandth: float32 and histograms then choose alike.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from make_cases import write_tensors  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES, STEPS, EPS = 24, 8, 1e-5

RECIPE = """# Made by make_conversion.py.
data:
  name: arrays
  path: FOLDER
  arrays: {inputs: x, labels: y, test_inputs: x, test_labels: y, axes: NCHW}
network:
  - {type: conv, out: 3, kernel: 3, padding: 1, bias: false}
  - {type: batch_norm}
  - {type: relu}
  - {type: avg_pool, kernel: 2}
  - {type: conv, out: 4, kernel: 2}
  - {type: relu}
  - {type: dropout, p: 0.5}
  - {type: flatten}
  - {type: linear, out: 5}
  - {type: batch_norm}
  - {type: relu}
  - {type: linear, out: 3}
schedule: {time_steps: 1}
batch: 16
"""


def draw(seed):
    g = torch.Generator().manual_seed(seed)
    r = lambda *shape, low=-1.0, high=1.0: (torch.rand(*shape, generator=g) * (high - low) + low).float()
    return {
        "0.weight": r(3, 2, 3, 3), "1.weight": r(3, low=0.7, high=1.5), "1.bias": r(3, low=-0.2, high=0.5),
        "1.running_mean": r(3, low=-0.5, high=0.5), "1.running_var": r(3, low=0.5, high=3),
        "4.weight": r(4, 3, 2, 2), "4.bias": r(4, low=-0.1, high=0.4),
        "8.weight": r(5, 16), "8.bias": r(5), "9.weight": r(5, low=0.7, high=1.5), "9.bias": r(5, low=-0.2, high=0.5),
        "9.running_mean": r(5, low=-0.5, high=0.5), "9.running_var": r(5, low=0.5, high=3),
        "11.weight": r(3, 5), "11.bias": r(3),
    }, r(SAMPLES, 2, 6, 6, low=-1.0, high=2.0)


class Spiking:
    """The chain as three layers of neurons and outputs: weights with norms in them, thresholds, shifts."""

    def __init__(self, p):
        p = {k: v.double() for k, v in p.items()}

        def fold(w, b, n):
            gain = p[n + ".weight"] / torch.sqrt(p[n + ".running_var"] + EPS)
            return w * gain.view([-1] + [1] * (w.dim() - 1)), (b - p[n + ".running_mean"]) * gain + p[n + ".bias"]
        self.w = [fold(p["0.weight"], torch.zeros(3).double(), "1"), (p["4.weight"], p["4.bias"]),
                  fold(p["8.weight"], p["8.bias"], "9"), (p["11.weight"], p["11.bias"])]
        self.theta, self.shift, self.margin = [None] * 3, [torch.zeros(n).double() for n in (3, 4, 5, 3)], np.inf

    def current(self, i, x):
        w, b = self.w[i]
        b = b + self.shift[i]
        if i == 0:
            return F.conv2d(x, w, b, padding=1)
        if i == 1:
            return F.conv2d(F.avg_pool2d(x, 2), w, b)
        return F.linear(x.flatten(1), w, b)

    def activations(self, x):
        out = []
        for i in range(3):
            x = torch.relu(self.current(i, x))
            out.append(x)
        return out

    def shaped(self, i, v):
        return v.view([1, -1] + [1] * (2 if i < 2 else 0))

    def rates(self, x, layers, outputs=False):
        """Mean output of layer `layers` - 1 over the steps, or of the layer behind it, which has no neurons."""
        v, total = [self.shaped(i, t) / 2 for i, t in enumerate(self.theta)], 0
        for _ in range(STEPS):
            y = x
            for i in range(layers):
                theta = self.shaped(i, self.theta[i])
                u = v[i] + self.current(i, y)
                self.margin = min(self.margin, float(((u - theta) / theta).abs().min()))
                s = (u >= theta).double()
                v[i], y = u - s * theta, s * theta
            total = total + (self.current(layers, y) if outputs else y)
        return total / STEPS

    def choose(self, x, nearest):
        """True where the choice is clear."""
        clear = True
        for i, a in enumerate(self.activations(x)):
            a = a.transpose(0, 1).flatten(1)
            largest = a.max(1).values
            self.theta[i] = torch.where(largest > 0, largest, torch.ones_like(largest))
            for c in range(len(a) if nearest else 0):
                tried = [float(largest[c]) * (1 - 0.01 * k) for k in range(95)]
                errors = [float(((torch.clamp(torch.floor(a[c] * STEPS / t + 0.5), 0, STEPS) * t / STEPS - a[c]) ** 2).sum())
                          for t in tried]
                best = int(np.argmin(errors))
                self.theta[i][c] = tried[best]
                clear = clear and sorted(errors)[1] > 1.001 * errors[best]
        return clear

    def calibrate(self, x):
        last = self.current(3, self.activations(x)[2]).mean(0)
        means = [a.transpose(0, 1).flatten(1).mean(1) for a in self.activations(x)]
        for i in range(3):
            self.shift[i] = means[i] - self.rates(x, i + 1).transpose(0, 1).flatten(1).mean(1)
        self.shift[3] = last - self.rates(x, 3, True).mean(0)

    def tensors(self):
        """As they should be written, in the spiking network's numbers of layers; v_th is 1."""
        out, names = [], ("0", "3", "6", "8")
        for i, name in enumerate(names):
            w, b = self.w[i]
            b = b + self.shift[i]
            if i < 3:
                b = b / self.theta[i]
                w = w / self.theta[i].view([-1] + [1] * (w.dim() - 1))
            if i > 0:
                before = self.theta[i - 1]
                before = before.repeat_interleave(4) if i == 2 else before  # flattened from maps of 2 x 2
                w = w * before.view([1, -1] + [1] * (w.dim() - 2))
            out += [(name + ".weight", "F64", list(w.shape), w.flatten().tolist()), (name + ".bias", "F64", list(b.shape), b.tolist())]
        return out


def main():
    for seed in range(1, 2000):
        p, x = draw(seed)
        made, good = {}, True
        for how in ("nearest", "largest"):
            net = Spiking(p)
            good = net.choose(x.double(), how == "nearest") and good
            net.calibrate(x.double())
            good = good and net.margin > 5e-6
            made[how] = net.tensors()
        if good:
            break
    else:
        sys.exit("no seed will do")
    rows = [(k, "F32", list(v.shape), v.flatten().tolist()) for k, v in sorted(p.items())]
    write_tensors(os.path.join(HERE, "relu.safetensors"), rows)
    for how, tensors in made.items():
        write_tensors(os.path.join(HERE, f"{how}.safetensors"), tensors)
    labels = np.arange(SAMPLES) % 3
    np.save(os.path.join(HERE, "x.npy"), x.numpy())
    np.save(os.path.join(HERE, "y.npy"), labels.astype(np.int64))
    with open(os.path.join(HERE, "relu.yaml"), "w", encoding="utf-8", newline="\n") as f:
        f.write(RECIPE)
    print(f"seed {seed}")


if __name__ == "__main__":
    main()
