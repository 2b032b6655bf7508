"""Trains a spiking network on event frames given as numpy arrays, and predicts.

The frames are made up here in the shape of N-MNIST (two channels, 34 x 34, ten time steps): a bar of ON events, with OFF events
behind it, moves in one of four directions. For real recordings, give arrays of the same layout.
"""

import sys

import numpy as np

import spikeport

T, SIDE, CLASSES = 10, 34, 4
MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]


def make(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x (T, N, 2, 34, 34) float32 and y (N,)."""
    rng = np.random.default_rng(seed)
    x = (rng.random((T, n, 2, SIDE, SIDE)) < 0.02).astype(np.float32)
    y = rng.integers(0, CLASSES, n)
    for i, direction in enumerate(y):
        dy, dx = MOVES[direction]
        start = rng.integers(0, SIDE)
        for t in range(T):
            for channel, lag in ((0, 0), (1, 2)):
                at = (start + 2 * t * (dy + dx) - lag * (dy + dx)) % SIDE
                x[(t, i, channel, slice(None), at) if dx else (t, i, channel, at)] = 1
    return x, y


recipe = {
    "name": "moving bars",
    "data": {"name": "synthetic", "channels": 2, "height": SIDE, "width": SIDE, "classes": CLASSES},
    "schedule": {"method": "bptt", "time_steps": T},
    "neuron": {"tau": 2.0, "surrogate": "atan"},
    "optimizer": {"name": "adamw", "lr": 0.005},
    "batch": 32,
    "network": [{"type": "avg_pool", "kernel": 2}, {"type": "conv", "out": 8, "kernel": 5, "padding": 2},
                {"type": "batch_norm"}, {"type": "lif"}, {"type": "avg_pool", "kernel": 4}, {"type": "flatten"},
                {"type": "linear", "out": 64}, {"type": "lif"}, {"type": "linear", "out": CLASSES}],
}
network = spikeport.Network(recipe, sequence=True)
print(network)
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 60):
    step = network.step(*make(network.batch, seed=i))
    if i % 10 == 9:
        print(f"step {step.iteration}: loss {step.loss:.3f}, accuracy {step.accuracy:.0%}")

x, y = make(100, seed=10_000)
logits, records = network.forward(x, record=True)
print(f"{np.mean(logits.argmax(1) == y):.0%} of 100 new samples are right")
for name, record in records.items():
    print(f"layer {name}: {record.spikes.mean():.3f} spikes a neuron and time step")
