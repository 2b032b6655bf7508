"""train_arrays.py [STEPS [FOLDER]]: trains a spiking network on event frames given as numpy arrays, and predicts.

The frames are those of N-MNIST, whose recordings lie in FOLDER or $SPIKEPORT_DATA/n-mnist (Train/DIGIT/*.bin, Test/DIGIT/*.bin).
Without them, a stand-in of the same shape is made up: a bar of ON events, with OFF events behind it, moves in one of four directions.
"""

import os
import sys
from pathlib import Path

import numpy as np

import spikeport

T, SIDE, MOST = 10, 34, 2000  # time steps, pixels of a side, recordings that are read
MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]
rng = np.random.default_rng(0)


def read(path: Path) -> np.ndarray:
    """Events of 5 bytes (x, y, then a bit of polarity and 23 bits of microseconds) as counts in T frames (T, 2, 34, 34)."""
    b = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    t = (b[:, 2] & 127) << 16 | b[:, 3] << 8 | b[:, 4]
    frames = np.zeros((T, 2, SIDE, SIDE), np.float32)
    np.add.at(frames, (t * T // (t.max() + 1), b[:, 2] >> 7, b[:, 1], b[:, 0]), 1)
    return frames


def recordings(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """x (T, N, 2, 34, 34) float32 and y (N,)."""
    files = rng.permutation(sorted(folder.glob("[0-9]/*.bin")))[:MOST]
    return np.stack([read(f) for f in files], axis=1), np.array([int(f.parent.name) for f in files])


def bars(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The stand-in, with the same shapes."""
    x = (rng.random((T, n, 2, SIDE, SIDE)) < 0.02).astype(np.float32)
    y = rng.integers(0, len(MOVES), n)
    for i, direction in enumerate(y):
        dy, dx = MOVES[direction]
        start = rng.integers(0, SIDE)
        for t in range(T):
            for channel, lag in ((0, 0), (1, 2)):
                at = (start + 2 * t * (dy + dx) - lag * (dy + dx)) % SIDE
                x[(t, i, channel, slice(None), at) if dx else (t, i, channel, at)] = 1
    return x, y


folder = Path(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("SPIKEPORT_DATA", ".") + "/n-mnist")
if (folder / "Train").is_dir():
    (x, y), (x_test, y_test), classes = recordings(folder / "Train"), recordings(folder / "Test"), 10
    print(f"N-MNIST: {len(y)} recordings to train with, {len(y_test)} to test")
else:
    (x, y), (x_test, y_test), classes = bars(1000), bars(100), len(MOVES)
    print(f"there is no N-MNIST in {folder}; moving bars stand in for it")

network = spikeport.Network({
    "data": {"name": "synthetic", "channels": 2, "height": SIDE, "width": SIDE, "classes": classes},
    "schedule": {"method": "bptt", "time_steps": T},
    "neuron": {"tau": 2.0, "surrogate": "atan"},
    "optimizer": {"name": "adamw", "lr": 0.005},
    "batch": 32,
    "network": [{"type": "avg_pool", "kernel": 2}, {"type": "conv", "out": 8, "kernel": 5, "padding": 2},
                {"type": "batch_norm"}, {"type": "lif"}, {"type": "avg_pool", "kernel": 4}, {"type": "flatten"},
                {"type": "linear", "out": 64}, {"type": "lif"}, {"type": "linear", "out": classes}],
}, sequence=True)
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 150):
    batch = rng.choice(len(y), network.batch, replace=False)
    step = network.step(x[:, batch], y[batch])
    if i % 10 == 9:
        print(f"step {step.iteration}: loss {step.loss:.3f}, accuracy {step.accuracy:.0%}")

logits, records = network.forward(x_test, record=True)
print(f"{np.mean(logits.argmax(1) == y_test):.0%} of {len(y_test)} new samples are right")
for name, record in records.items():
    print(f"layer {name}: {record.spikes.mean():.3f} spikes a neuron and time step")
