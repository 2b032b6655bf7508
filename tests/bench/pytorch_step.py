"""One PyTorch process of compare_pytorch: builds the network of a case, warms up, times training steps, prints one line of JSON.

    pytorch_step.py CASE METHOD MODE --steps N --threads N --time-steps T [--folder FOLDER]

MODE is COMPUTE-PRECISION-LAYOUT: eager or compiled (torch.compile), f32 or bf16 (autocast), nchw or nhwc (torch.channels_last).
FOLDER has checkpoint.safetensors and input.safetensors: weights and a mini-batch that spikeport wrote.
"""
import argparse, contextlib, json, math, os, resource, statistics, struct, time

import torch
import torch.nn as nn
import torch.nn.functional as F

CASES = {"resnet18": dict(batch=32, T=6, shape=(3, 32, 32)), "vgg11": dict(batch=16, T=10, shape=(2, 48, 48)),
         "small": dict(batch=128, T=4, shape=(1, 28, 28))}


class Fire(torch.autograd.Function):
    """Heaviside step forward, triangle surrogate backward."""
    @staticmethod
    def forward(ctx, d):
        ctx.save_for_backward(d)
        return (d >= 0).to(d.dtype)

    @staticmethod
    def backward(ctx, g):
        d, = ctx.saved_tensors
        return g * torch.clamp(1 - d.abs(), min=0)


class Neuron(nn.Module):
    """LIF neuron with soft reset; a membrane potential decays by 1 - 1/1.1 in a time step."""
    through_time = False
    rates = None
    v = None

    def forward(self, x):
        if self.v is None:
            u = x
        else:
            u = (self.v if Neuron.through_time else self.v.detach()) * (1 - 1 / 1.1) + x
        s = Fire.apply(u - 1.0)
        self.v = u - s
        if Neuron.rates is not None:
            Neuron.rates.append(float(s.detach().float().mean()))
        return s


class Block(nn.Module):
    """Pre-activation residual block; the shortcut takes the first neuron's spikes."""
    def __init__(self, i, o, stride):
        super().__init__()
        self.pre = nn.Sequential(nn.BatchNorm2d(i), Neuron())
        self.branch = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), Neuron(), nn.Conv2d(o, o, 3, 1, 1))
        self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride)) if stride > 1 or i != o else nn.Identity()

    def forward(self, x):
        p = self.pre(x)
        return self.branch(p) + self.shortcut(p)


def unit(i, o):
    return [nn.Conv2d(i, o, 3, 1, 1), nn.BatchNorm2d(o), Neuron()]


def network(name):
    if name == "resnet18":
        layers, c = [nn.Conv2d(3, 64, 3, 1, 1, bias=False)], 64
        for stage in range(4):
            for k in range(2):
                layers.append(Block(c, 64 << stage, 2 if k == 0 and stage else 1))
                c = 64 << stage
        return nn.Sequential(*layers, nn.BatchNorm2d(c), Neuron(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(c, 10))
    if name == "vgg11":
        layers, c = [], 2
        for o, pool in ((64, 1), (128, 1), (256, 0), (256, 1), (512, 0), (512, 1), (512, 0), (512, 1)):
            layers += unit(c, o) + ([nn.AvgPool2d(2)] if pool else [])
            c = o
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(c * 49, 10))
    return nn.Sequential(*unit(1, 32), nn.AvgPool2d(2), *unit(32, 64), nn.AvgPool2d(2), nn.Flatten(),
                         nn.Linear(64 * 49, 128), Neuron(), nn.Linear(128, 10))


def read_tensors(path):
    """A safetensors file of float32 and int32."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = bytearray(f.read())
    types = {"F32": torch.float32, "I32": torch.int32}
    return {k: torch.frombuffer(data, dtype=types[v["dtype"]], count=max(1, math.prod(v["shape"])),
                                offset=v["data_offsets"][0]).reshape(v["shape"]).clone()
            for k, v in header.items() if k != "__metadata__" and v["dtype"] in types}


def load_state(net, path):
    """Weights and running statistics from a checkpoint; every parameter of the network must be there."""
    tensors = read_tensors(path)
    with torch.no_grad():
        for key, value in list(net.named_parameters()) + list(net.named_buffers()):
            if not key.endswith("num_batches_tracked"):
                value.copy_(tensors[key].reshape(value.shape))


class Trainer:
    """Training steps of one case under one method: SLTT, SLTT-1 or BPTT."""
    def __init__(self, args):
        case, folder = CASES[args.case], args.folder
        compute, precision, layout = args.mode.split("-")
        self.method, self.T = args.method, args.time_steps
        self.net = network(args.case)
        self.neurons = [m for m in self.net.modules() if isinstance(m, Neuron)]
        self.frames = torch.randn((self.T if args.case == "vgg11" else 1, case["batch"]) + case["shape"])
        self.labels = torch.randint(0, 10, (case["batch"],))
        if folder:
            load_state(self.net, os.path.join(folder, "checkpoint.safetensors"))
            given = read_tensors(os.path.join(folder, "input.safetensors"))
            self.frames, self.labels = given["images"].permute(0, 1, 4, 2, 3).contiguous(), given["labels"].long()
        if layout == "nhwc":
            self.net = self.net.to(memory_format=torch.channels_last)
            self.frames = torch.stack([f.to(memory_format=torch.channels_last) for f in self.frames])
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-7 if folder else 0.01, momentum=0.9)
        self.forward = torch.compile(self.net) if compute == "compiled" else self.net
        self.precision = (torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext())
        Neuron.through_time = self.method == "bptt"

    def loss_of(self, out):
        out = out.float()
        one_hot = F.one_hot(self.labels, 10).to(out.dtype)
        return (0.95 * F.cross_entropy(out, self.labels) + 0.05 * F.mse_loss(out, one_hot)) / self.T

    def step(self, number):
        """One mini-batch; returns its loss as spikeport tells it: the sum of what is gone back over, each divided by T."""
        self.optimizer.zero_grad()
        kept, told = [], 0.0
        for n in self.neurons:
            n.v = None
        for t in range(self.T):
            x = self.frames[t % len(self.frames)]
            backward = self.method != "sltt-1" or t == number % self.T
            with torch.set_grad_enabled(backward):
                with self.precision:
                    out = self.forward(x)
                loss = self.loss_of(out)
            if not backward:
                continue
            told = told + loss.detach()
            if self.method == "bptt":
                kept.append(loss)
            else:
                loss.backward()
        if kept:
            sum(kept).backward()
        self.optimizer.step()
        return float(told)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("method")
    parser.add_argument("mode")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--time-steps", type=int, required=True)
    parser.add_argument("--folder")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer = Trainer(args)
    if args.mode.startswith("eager"):
        Neuron.rates = []
    losses = [trainer.step(k) for k in range(args.warm_up)]
    rate, Neuron.rates = statistics.mean(Neuron.rates) if Neuron.rates else None, None
    times = []
    for k in range(args.steps):
        begin = time.perf_counter()
        losses.append(trainer.step(args.warm_up + k))
        times.append(time.perf_counter() - begin)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib
    print(json.dumps({"ms": [1e3 * t for t in times], "growth_kib": growth, "version": torch.__version__,
                      "spike_rate": rate, "loss": losses[0]}))


if __name__ == "__main__":
    main()
