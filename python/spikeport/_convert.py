"""Sequential networks of PyTorch modules, with the neurons of SpikingJelly or snnTorch, as layers of a recipe. Each module becomes
what computes the same, or is refused by name. Neither package is imported: modules are known by their classes' names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Callable, Optional, Union

import numpy as np
import torch
from torch import Tensor, nn

from ._library import ConfigError

Layer = dict[str, Any]
Pair = Union[int, tuple[int, int]]


class _Here:
    """The module that is being converted, for errors; what is known of its input."""

    def __init__(self, flat: bool) -> None:
        self.name, self.kind, self.flat = "", "", flat

    def refuse(self, why: str) -> ConfigError:
        return ConfigError(f'module "{self.name}" ({self.kind}): {why}')

    def need(self, right: Any, why: str) -> None:
        if not right:
            raise self.refuse(why)


def _number(here: _Here, what: str, value: Any) -> float:
    """One number that a whole layer has."""
    values = value.detach().flatten().tolist() if torch.is_tensor(value) else [float(value)]
    here.need(len(set(values)) == 1, f"{what} differs from neuron to neuron; a layer has one")
    return values[0]


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


# ---- layers of PyTorch ----


def _conv(here: _Here, m: Any) -> Layer:
    here.need(not here.flat, "its input is flat; a convolution takes channels, rows and columns")
    here.need(m.padding_mode == "zeros", f"padding_mode={m.padding_mode!r}; padding is with zeros")
    padding = [0, 0] if m.padding == "valid" else m.padding
    if padding == "same":
        here.need(all(k % 2 for k in m.kernel_size), 'padding="same" of an even kernel is not the same at both sides')
        padding = [d * (k - 1) // 2 for d, k in zip(m.dilation, m.kernel_size)]
    return {"type": "conv", "in": m.in_channels, "out": m.out_channels, "kernel": _pair(m.kernel_size),
            "stride": _pair(m.stride), "padding": _pair(padding), "dilation": _pair(m.dilation), "groups": m.groups,
            "bias": m.bias is not None}


def _linear(here: _Here, m: Any) -> Layer:
    here.need(here.flat, "it works on the last axis of a picture; put nn.Flatten() in front")
    return {"type": "linear", "in": m.in_features, "out": m.out_features, "bias": m.bias is not None}


def _batch_norm(here: _Here, m: Any) -> Layer:
    here.need(m.affine and m.track_running_stats, "affine=False or track_running_stats=False; it needs both")
    here.need(m.momentum is not None, "momentum=None (a cumulative average) is not supported")
    here.need(getattr(m, "step_mode", "s") == "s",
              'in step_mode "m" its statistics in training are those of all time steps, here those of each; use '
              'functional.set_step_mode(net, "s")')
    return {"type": "batch_norm", "eps": m.eps, "momentum": m.momentum}


def _pool(kind: str) -> Callable[[_Here, Any], Layer]:
    def take(here: _Here, m: Any) -> Layer:
        here.need(not here.flat, "its input is flat")
        here.need(not m.ceil_mode, "ceil_mode=True is not supported")
        here.need(_pair(getattr(m, "dilation", 1)) == [1, 1], "dilation is not supported")
        here.need(not getattr(m, "return_indices", False), "return_indices=True is not supported")
        here.need(getattr(m, "divisor_override", None) is None, "divisor_override is not supported")
        padding = _pair(m.padding)
        here.need(padding == [0, 0] or getattr(m, "count_include_pad", True),
                  "count_include_pad=False is not supported: padding counts as zeros")
        return {"type": kind, "kernel": _pair(m.kernel_size), "stride": _pair(m.stride or m.kernel_size), "padding": padding}
    return take


def _adaptive(here: _Here, m: Any) -> Layer:
    here.need(not here.flat, "its input is flat")
    size = _pair(m.output_size)
    here.need(None not in size, "an output_size of None is not supported; give both numbers")
    return {"type": "adaptive_avg_pool", "output": size}


def _flatten(here: _Here, m: Any) -> Layer:
    here.need(m.start_dim == 1 and m.end_dim == -1, "only start_dim=1 and end_dim=-1 are supported")
    here.flat = True
    return {"type": "flatten"}


def _dropout(unit: str) -> Callable[[_Here, Any], Optional[Layer]]:
    def take(here: _Here, m: Any) -> Optional[Layer]:
        if m.p == 0:
            return None
        here.need(m.p < 1, "p=1 drops everything")
        if unit == "channel":
            here.need(not here.flat, "its input is flat")
        # SpikingJelly's layers have one mask for all time steps, PyTorch's, called at each of them, one for each.
        return {"type": "dropout", "p": m.p, "unit": unit, "mask": "sample" if hasattr(m, "step_mode") else "step"}
    return take


# ---- neurons ----

_SPIKINGJELLY: dict[str, tuple[str, Callable[[float], float]]] = {
    "Sigmoid": ("sigmoid", lambda a: a), "ATan": ("atan", lambda a: a), "Erf": ("erf", lambda a: a),
    "PiecewiseExp": ("piecewise_exp", lambda a: a), "PiecewiseQuadratic": ("triangle", lambda a: 1 / a),
    "Rect": ("rectangle", lambda a: 1 / a), "SoftSign": ("fast_sigmoid", lambda a: a)}
_SNNTORCH = {"atan": ("atan", "alpha"), "fast_sigmoid": ("fast_sigmoid", "slope"), "sigmoid": ("sigmoid", "slope"),
             "straight_through_estimator": ("straight_through", None)}


def _spikingjelly_surrogate(here: _Here, f: Any) -> Layer:
    kind = type(f).__name__
    here.need(kind in _SPIKINGJELLY and type(f).__module__.startswith("spikingjelly."), f"there is no surrogate {kind} here; known are {', '.join(_SPIKINGJELLY)}")
    here.need(f.spiking, f"surrogate_function {kind}(spiking=False) gives no spikes")
    alpha = float(f.alpha)
    here.need(kind != "SoftSign" or alpha == 2, f"surrogate SoftSign is known with alpha=2 only, not {alpha:g}")
    name, width = _SPIKINGJELLY[kind]
    return {"surrogate": name, "width": width(alpha)}


def _snntorch_surrogate(here: _Here, f: Any) -> Layer:
    kind = getattr(f, "__qualname__", type(f).__name__).split(".")[0]
    here.need(kind in _SNNTORCH and getattr(f, "__module__", "").startswith("snntorch"),
              f"there is no surrogate {kind} here; known are {', '.join(_SNNTORCH)} of snntorch.surrogate")
    name, width = _SNNTORCH[kind]
    cells = dict(zip(f.__code__.co_freevars, (c.cell_contents for c in f.__closure__ or ())))
    return {"surrogate": name, **({"width": float(cells[width])} if width else {})}


def _spikingjelly(model: str) -> Callable[[_Here, Any], Layer]:
    def take(here: _Here, m: Any) -> Layer:
        layer: Layer = {"type": model, "v_th": _number(here, "v_threshold", m.v_threshold),
                        "reset": "soft" if m.v_reset is None else "hard", "detach_reset": bool(m.detach_reset),
                        "decay_input": bool(getattr(m, "decay_input", False)),
                        **_spikingjelly_surrogate(here, m.surrogate_function)}
        if model == "lif":
            layer["tau"] = _number(here, "tau", m.tau)
        if model == "plif":
            layer["tau"] = 1 / _number(here, "w", m.w.detach().sigmoid())
        if m.v_reset is not None:
            layer["v_reset"] = _number(here, "v_reset", m.v_reset)
        return layer
    return take


def _leaky(here: _Here, m: Any) -> Layer:
    """snnTorch's Leaky fires above the threshold, neurons here at it: the next number above is the threshold that fires on
    the same potentials. With reset_delay the reset of a spike comes with the next time step, and has no gradient."""
    for flag in ("inhibition", "state_quant", "surrogate_disable"):
        here.need(not getattr(m, flag), f"{flag} is not supported")
    for name, _ in m.named_parameters():
        raise here.refuse(f"learn_{name}=True is not supported: {name} would not be learnt here")
    here.need(_number(here, "graded_spikes_factor", m.graded_spikes_factor) == 1, "graded spikes are not supported")
    beta = min(max(_number(here, "beta", m.beta), 0.0), 1.0)
    threshold = float(np.nextafter(np.float32(_number(here, "threshold", m.threshold)), np.float32(np.inf)))
    late, reset = m.reset_delay, m.reset_mechanism
    layer: Layer = {"type": "if" if beta == 1 else "lif", "v_th": threshold, "detach_reset": bool(late),
                    **_snntorch_surrogate(here, m.spike_grad)}
    if beta < 1:
        layer["tau"] = 1 / (1 - beta)
    if reset == "zero":
        return {**layer, "reset": "hard", "v_reset": 0.0}
    here.need(reset == "subtract", f'reset_mechanism="{reset}" is not supported; potentials are reset here')
    here.need(late, 'reset_mechanism="subtract" with reset_delay=False: a potential that is above the threshold after its reset '
                    'is reset before the next spike there; use reset_delay=True or "zero"')
    here.need(beta > 0, 'beta=0 with reset_mechanism="subtract" takes the threshold from nothing; use "zero"')
    return layer if beta == 1 else {**layer, "model": "lif_late_reset"}


_MODULES: dict[str, Callable[[_Here, Any], Optional[Layer]]] = {
    "Conv2d": _conv, "Linear": _linear, "BatchNorm2d": _batch_norm, "BatchNorm1d": _batch_norm,
    "AvgPool2d": _pool("avg_pool"), "MaxPool2d": _pool("max_pool"), "AdaptiveAvgPool2d": _adaptive, "Flatten": _flatten,
    "Dropout": _dropout("element"), "Dropout2d": _dropout("channel"), "Identity": lambda here, m: None, "IFNode": _spikingjelly("if"), "LIFNode": _spikingjelly("lif"),
    "ParametricLIFNode": _spikingjelly("plif"), "Leaky": _leaky}
_FROM = ("torch.", "spikingjelly.", "snntorch.")


def _modules(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Names and modules of a sequence, and of sequences in it, in order; one that stands there twice, twice."""
    if isinstance(module, nn.Sequential):
        if type(module).forward is not nn.Sequential.forward:
            raise ConfigError(f'module "{prefix[:-1]}" ({type(module).__name__}): it has a forward() of its own; nn.Sequential calls its '
                              "modules in order")
        for name, m in module._modules.items():
            yield from _modules(m, f"{prefix}{name}.")
    else:
        yield prefix[:-1], module


def layers_of(module: nn.Module, flat: bool) -> tuple[list[Layer], list[tuple[str, nn.Module]]]:
    """The layers, and for each the name and the module that it is of. flat: whether samples have one axis."""
    here, layers, kept = _Here(flat), [], []
    places: dict[int, str] = {}  # of what one place alone may have: parameters, and modules with a state
    for name, m in _modules(module):
        here.name, here.kind = name, type(m).__name__
        here.need(not (m._forward_hooks or m._forward_pre_hooks), "it has a forward hook (old weight norms and pruning are hooks as "
                  "well), which would not be called here; remove it")
        own = [(n, p) for n, p in m.named_parameters()]
        alone = [p for _, p in own] + ([] if type(m).__module__.startswith("torch.") and not list(m.buffers()) else [m])
        for p in alone:
            here.need(id(p) not in places, f'it shares a parameter or its state with module "{places.get(id(p))}"; each layer has its own '
                      "here")
        places.update((id(p), name) for p in alone)
        for n, p in own:
            here.need(p.dtype == torch.float32, f"{n} is {p.dtype}; parameters are float32: module.float()")
        if here.kind not in _MODULES or not type(m).__module__.startswith(_FROM):
            raise here.refuse("it is neither a nn.Sequential nor one of the modules that can be converted: " + ", ".join(_MODULES))
        layer = _MODULES[here.kind](here, m)
        if layer is not None:
            layers.append(layer)
            kept.append((name, m))
    if not layers:
        raise ConfigError("there is no module to convert")
    return layers, kept


def parameters_of(kept: list[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters by the same names as state_of."""
    for i, (_, m) in enumerate(kept):
        for name, p in m.named_parameters():
            yield f"{i}.{name}", p


def state_of(kept: list[tuple[str, nn.Module]]) -> dict[str, Tensor]:
    """Parameters and running statistics by the names of the layers' numbers."""
    state = {}
    for i, (_, m) in enumerate(kept):
        is_neuron = hasattr(m, "threshold") or hasattr(m, "v_threshold")
        for name, value in m.state_dict().items():
            if not is_neuron or name == "w":
                state[f"{i}.{name}"] = value.detach().float().cpu()
    return state


# ---- comparison ----


def _reset(kept: list[tuple[str, nn.Module]]) -> None:
    for _, m in kept:
        for name in ("reset_mem", "reset"):
            if callable(getattr(m, name, None)):
                getattr(m, name)()
                break


def run(module: nn.Module, kept: list[tuple[str, nn.Module]], x: Tensor, T: int,
        sequence: bool) -> tuple[Tensor, dict[int, Tensor]]:
    """Outputs (T, N, ...) of the module in evaluation mode, and the spikes of its neurons by number of the layer."""
    spikes: dict[int, list[Tensor]] = {}
    many = any(getattr(m, "step_mode", "s") == "m" for _, m in kept)

    def hook(i: int) -> Callable[..., None]:
        def note(_m: Any, _in: Any, out: Any) -> None:
            spikes.setdefault(i, []).append(out[0] if isinstance(out, tuple) else out)
        return note

    handles = [m.register_forward_hook(hook(i)) for i, (_, m) in enumerate(kept)
               if hasattr(m, "threshold") or hasattr(m, "v_threshold")]
    was = module.training
    module.eval()
    try:
        with torch.no_grad():
            _reset(kept)
            frames = x if sequence else x.expand(T, *x.shape)
            out = [module(frames)] if many else [module(frame) for frame in frames]
            _reset(kept)
    finally:
        module.train(was)
        for h in handles:
            h.remove()
    out = [o[0] if isinstance(o, tuple) else o for o in out]
    join = (lambda a: a[0]) if many else torch.stack
    return join(out), {i: join(s) for i, s in spikes.items()}


def compare(network: Any, module: nn.Module, kept: list[tuple[str, nn.Module]], x: Tensor) -> str:
    """The largest differences on a batch, as a line of text."""
    n = x.shape[1] if network.sequence else x.shape[0]
    theirs, spikes = run(module, kept, x, network.time_steps, network.sequence)
    ours, records = network.forward(x.reshape(network.input_shape(n)), steps=True, record=True)
    logits = float(np.abs(ours - theirs.reshape(ours.shape).numpy()).max())
    differ, fired, where = 0, 0, ""
    for i, s in spikes.items():
        record = records[str(i)].spikes
        wrong = int((record != s.reshape(record.shape).numpy()).sum())
        differ, fired = differ + wrong, fired + int(s.sum())
        if wrong and not where:
            where = f', the first in module "{kept[i][0]}"'
    return (f"on {n} samples: outputs differ by at most {logits:.2g} of {float(theirs.abs().max()):.2g}; {differ} spikes differ of "
            f"{fired}{where}")
