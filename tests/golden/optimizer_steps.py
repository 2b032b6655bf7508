#!/usr/bin/env python3
"""Three steps of PyTorch's optimizers in float64, with clipping and a running average of the weights; and four of binary weights.

Prints the rows of the tables in tests/unit/op/test_optim_ref.c. Needs PyTorch (2.15 was used).
"""
import torch

START = [1.0, -0.5, 0.25]
GRADIENTS = [[0.5, -3.0, 0.125], [4.0, 0.5, -0.25], [-0.25, 0.0625, 2.0]]
FLIP_GRADIENTS = [[1.0, -0.25, 0.5, 0.25], [0.125, -2.0, -1.0, 0.5], [0.75, 0.5, 1.5, -3.0], [-1.0, 0.25, 0.125, -0.125]]
CASES = [  # optimizer, its settings, largest norm, largest value, decay of the average
    ("adam", dict(lr=0.1, weight_decay=0.25), 0, 0, 0),
    ("adamw", dict(lr=0.1, weight_decay=0.25), 0, 0, 0.75),
    ("sgd", dict(lr=0.1, momentum=0.5, weight_decay=0.25), 1, 0, 0.5),
    ("sgd", dict(lr=0.1, momentum=0.5, weight_decay=0.25), 2, 0.75, 0.5),
    ("adam", dict(lr=0.1, weight_decay=0.25), 0.5, 0.25, 0.9),
]
MAKE = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def run(name, settings, norm, value, decay):
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    average = w.detach().clone()
    optimizer = MAKE[name]([w], **settings)
    for gradient in GRADIENTS:
        w.grad = torch.tensor(gradient, dtype=torch.float64)
        if norm:
            torch.nn.utils.clip_grad_norm_([w], norm)
        if value:
            torch.nn.utils.clip_grad_value_([w], value)
        optimizer.step()
        average.lerp_(w.detach(), 1 - decay)
    return w.detach().tolist(), average.tolist()


def flips(adapt):
    """BSO and T-BSO (Liang et al., ICML 2025): two mini-batches of two time steps, an update at each. Weights and momenta."""
    w = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    m, squares = torch.zeros_like(w), torch.zeros(2, dtype=torch.float64)
    for n, gradient in enumerate(FLIP_GRADIENTS):
        g = torch.tensor(gradient, dtype=torch.float64)
        m = 0.5 * m + (1 - 0.5) * g
        squares[n % 2] = 0.75 * squares[n % 2] + (1 - 0.75) * (g * g).mean()
        bar = 0.4 * torch.sqrt(squares[n % 2] + 1e-8) if adapt else torch.tensor(0.4, dtype=torch.float64)
        w = torch.where(w * m > bar, -w, w)
    return w.tolist(), m.tolist(), squares.tolist()


def row(numbers):
    return "{" + ", ".join(f"{x:.10f}" for x in numbers) + "}"


for name, settings, norm, value, decay in CASES:
    weights, average = run(name, settings, norm, value, decay)
    print(f"{{\"{name}\", {norm}, {value}, {decay}, {row(weights)}, {row(average)}}},")
for adapt in False, True:
    print("{" + ", ".join([str(adapt).lower(), *map(row, flips(adapt))]) + "},")
