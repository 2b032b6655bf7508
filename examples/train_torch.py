"""Trains with a loss and an optimizer of PyTorch around a spiking network that runs on an OpenCL device.

The loss here is one that no recipe has: the network is to be right early, so later time steps count less. The samples are
made up: a bright row or column in an image of 16 x 16.
"""

import sys

import torch
import torch.nn.functional as F

from spikeport.torch import SNN

BATCH, SIDE, T = 32, 16, 4


def make(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = torch.rand(n, 1, SIDE, SIDE) * 0.5, torch.randint(0, 2, (n,))
    for i, at in enumerate(torch.randint(0, SIDE, (n,))):
        x[(i, 0, at) if y[i] else (i, 0, slice(None), at)] += 1
    return x, y


torch.manual_seed(0)
network = SNN({
    "data": {"name": "synthetic", "channels": 1, "height": SIDE, "width": SIDE, "classes": 2},
    "schedule": {"method": "sltt", "time_steps": T}, "optimizer": {"name": "sgd"}, "batch": BATCH,
    "network": [{"type": "conv", "out": 8, "kernel": 5, "padding": 2}, {"type": "batch_norm"}, {"type": "lif"},
                {"type": "avg_pool", "kernel": 4}, {"type": "flatten"}, {"type": "linear", "out": 2}],
}, steps=True)
optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
weight = torch.tensor([0.4, 0.3, 0.2, 0.1])
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 60):
    x, y = make(BATCH)
    logits = network(x)  # (T, N, 2)
    loss = (weight * torch.stack([F.cross_entropy(step, y) for step in logits])).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if i % 10 == 9:
        print(f"step {i + 1}: loss {loss.item():.3f}")

network.eval()
x, y = make(96)
right = (network(x).argmax(2) == y).float().mean(1)
print(f"{right[-1]:.0%} of 96 new samples are right at the last time step, {right[0]:.0%} at the first")
