"""A spiking network as a module of PyTorch: its forward and backward passes run on an OpenCL device, so that a loss, an
optimizer, a data loader or further layers of one's own can stand around it."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from ._arrays import floats
from ._network import Network, Source


def _openmp_pause() -> Any:
    """OpenMP's omp_pause_resource_all (version 5.0) of the runtime that PyTorch is linked with; None where it has none."""
    try:
        return getattr(ctypes.CDLL(torch._C.__file__), "omp_pause_resource_all", None)
    except OSError:
        return None


_pause = _openmp_pause()
_pid = os.getpid()
_SOFT = 1  # omp_pause_soft: settings stay, threads end


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: "SNN", x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.module, ctx.dtype, ctx.wants_x = module, x.dtype, x.requires_grad
        return module._forward_train(x, x.requires_grad, ctx)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], ...]:
        g_x, g_parameters = ctx.module._backward(ctx, gradient)
        return (None, g_x, *g_parameters)


class _StepBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: "SNN", wanted: Tensor) -> Tensor:
        ctx.module, ctx.step = module, module._step
        return torch.from_numpy(module.network.forward_step())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        if ctx.step != ctx.module._step or ctx.step[0] != ctx.module.network._passes:
            raise RuntimeError("this time step is over; call backward() once, before the next one")
        ctx.module._step = (0, 0)
        ctx.module.network.backward_step(gradient.contiguous().numpy())
        return None, None


class SNN(nn.Module):
    """A network of a recipe (or a `spikeport.Network`) as a module.

    forward: float32 samples on the CPU, (N, C, H, W), or (T, N, C, H, W) for sequences, to the outputs: summed over the
    time steps (N, outputs), or with steps=True (T, N, outputs). In training mode N is the recipe's batch exactly.
    backward: by the recipe's schedule (sltt, sltt-k, bptt, ottt) to the gradients of the parameters, and of the input
    where it requires one. It follows its own forward pass, before another one.

    Parameters and running statistics have the names and shapes of spikeport's checkpoints. They are PyTorch's: all of them
    go to the device before each pass, and take the place of what was set through `network`. Memory grows with the number
    of time steps under every schedule, since the loss is known only after all of them; with a loss for each time step,
    time_steps() has SLTT's constant memory.
    """

    _loops = 0    # over time_steps(), of all SNNs
    _threads = 1  # of PyTorch before the first of them

    def __init__(self, source: "Source | Network", *, steps: bool = False, **options: Any) -> None:
        super().__init__()
        self.network = source if isinstance(source, Network) else Network(source, inference=True, **options)
        self.steps = steps
        self._shares_cores = self.network.context.device.type == "cpu"
        self._step = (0, 0)  # pass and time step that may go back
        self._norms_move_late = "batch_norm: online" in self.network.recipe  # in the backward pass
        trained = self.network.parameter_shapes(trainable=True)
        for name, value in self.network.state_dict().items():
            *path, last = name.split(".")
            module: nn.Module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module._modules[part]  # type: ignore[assignment]
            if name in trained:
                module.register_parameter(last, nn.Parameter(torch.from_numpy(value)))
            else:
                module.register_buffer(last, torch.from_numpy(value))
        self._register_load_state_dict_pre_hook(_drop_batch_counts)
        self._parameter_names = [n for n, _ in self.named_parameters()]
        self._names = self.network.parameter_shapes()  # a subclass may have more

    def extra_repr(self) -> str:
        return f"{self.network.name!r}, {self.network.method}, T={self.network.time_steps}"

    # ---- parameters to and from the device ----

    def _send(self) -> None:
        """All of them before each pass: what has changed is not known, since p.data.add_() and arrays that share the memory
        of a parameter leave its version as it was."""
        self._free_cores()
        arrays, own = {}, {**dict(self.named_parameters()), **dict(self.named_buffers())}
        for name, shape in self._names.items():
            tensor = own.get(name)
            if tensor is None:
                raise RuntimeError(f"{name} is gone: what pruning and parametrisation put in the place of a parameter cannot reach the "
                                   "device; make them permanent (prune.remove, remove_parametrizations)")
            if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
                raise TypeError(f"{name} is {tensor.dtype} on {tensor.device}; parameters of an SNN are float32 on the CPU, "
                                "and its computation is on its own OpenCL device")
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)} now; the network on the device has {shape}")
            arrays[name] = tensor.detach().contiguous().numpy()
        self.network._all("sp_net_set_all", arrays)

    def _receive_statistics(self) -> None:
        buffers = {n: b for n, b in self.named_buffers() if n in self._names}
        with torch.no_grad():
            for name, array in self.network._read("sp_net_get_all", buffers).items():
                buffers[name].copy_(torch.from_numpy(array))

    def _gradients(self, names: list[str]) -> dict[str, Tensor]:
        return {n: torch.from_numpy(a) for n, a in self.network._read("sp_net_gradient_all", names).items()}

    # ---- passes ----

    def _free_cores(self) -> None:
        """The threads with which PyTorch has computed wait for their next work by spinning, for some milliseconds. Where the
        device is this processor, they are ended before it starts to work; PyTorch starts new ones when it needs them. In a
        process that was forked they do not exist, and ending them would wait for them forever."""
        if self._shares_cores and _pause is not None and os.getpid() == _pid:
            _pause(_SOFT)

    @contextlib.contextmanager
    def _one_thread(self) -> Iterator[None]:
        """The little that PyTorch has to do for the loss of a time step is done by the thread that calls, where the device is this
        processor: other threads would take its cores (see _free_cores)."""
        if not self._shares_cores:
            yield
            return
        if SNN._loops == 0:
            SNN._threads = torch.get_num_threads()
        SNN._loops += 1  # loops may overlap
        torch.set_num_threads(1)
        try:
            yield
        finally:
            SNN._loops -= 1
            if SNN._loops == 0:
                torch.set_num_threads(SNN._threads)

    def _check(self, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a {type(x).__name__}; an SNN takes a tensor, float32 on the CPU")
        if x.device.type != "cpu" or x.dtype != torch.float32:
            raise TypeError(f"x is {x.dtype} on {x.device}; an SNN takes float32 on the CPU: x.float().cpu()")

    def _check_hooks(self) -> None:
        for name, p in self.named_parameters():
            if p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None):
                raise RuntimeError(f"{name} has a hook on its gradient, which time_steps() would not call; use forward(), or do the "
                                   "same behind the loop")

    def _samples(self, x: Tensor) -> np.ndarray:
        self._check(x)
        return floats(x, "x")

    def _forward_train(self, x: Tensor, input_gradient: bool, ctx: Any = None) -> Tensor:
        self._send()
        logits, number = self.network._forward_train(self._samples(x), input_gradient)
        self._receive_statistics()
        if ctx is not None:
            ctx.number = number
        return torch.from_numpy(logits)

    def time_steps(self, x: Tensor) -> Iterator[Tensor]:
        """The outputs of one time step after the other, (N, outputs), for a loss at each of them that goes back right away,
        as SLTT and OTTT are defined:

            optimizer.zero_grad()
            for logits in network.time_steps(x):
                (F.cross_entropy(logits, y) / network.network.time_steps).backward()
            optimizer.step()

        Memory does not grow with the number of time steps. The gradients of the parameters are added to their `grad` when
        the loop has ended (its last backward pass included); a loop that is left early leaves none. Methods: sltt, sltt-k
        (time steps that are not drawn add nothing), ottt. The input gets no gradient here, and hooks of parameters are refused. In eval mode the outputs are
        those of forward().
        """
        samples = self._samples(x)
        self._send()
        if not self.training:
            yield from torch.from_numpy(self.network.forward(samples, steps=True))
            return
        self._check_hooks()
        if x.requires_grad:
            raise RuntimeError("time_steps() gives no gradient of the input; use forward(), or x.detach()")
        number = self.network._begin_steps(samples)
        with self._one_thread():
            for t in range(self.network.time_steps):
                self._step = (number, t)
                yield _StepBackward.apply(self, torch.zeros((), requires_grad=True))
                if self.network._passes != number:
                    raise RuntimeError("another pass of this network has run inside the loop over its time steps; use a second one")
        self._step = (0, 0)
        self.network.end_steps()
        self._receive_statistics()
        parameters = {n: p for n, p in self.named_parameters() if p.requires_grad and n in self._names}
        for name, g in self._gradients(list(parameters)).items():
            p = parameters[name]
            p.grad = g if p.grad is None else p.grad.add_(g)

    def _backward(self, ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], list[Optional[Tensor]]]:
        self._free_cores()
        g_x = self.network._backward(gradient.detach().contiguous().numpy(), ctx.number)
        if self._norms_move_late:
            self._receive_statistics()
        gradients = self._gradients([n for n, needed in zip(self._parameter_names, ctx.needs_input_grad[2:]) if needed])
        return None if g_x is None else torch.from_numpy(g_x), [gradients.get(n) for n in self._parameter_names]

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self._send()  # ends a forward pass that waits for its backward pass
            with torch.no_grad():
                return torch.from_numpy(self.network.forward(self._samples(x), steps=self.steps))
        self._check(x)
        parameters = dict(self.named_parameters())
        logits = _Backward.apply(self, x, *[parameters.get(n) for n in self._parameter_names])
        return logits if self.steps else logits.sum(0)


def _drop_batch_counts(state: dict[str, Any], prefix: str, *_: Any) -> None:
    """PyTorch's batch norms count mini-batches; nothing here needs that."""
    for name in [n for n in state if n.startswith(prefix) and n.endswith("num_batches_tracked")]:
        del state[name]


def convert(module: nn.Module, input_shape: tuple[int, ...], time_steps: int, *, method: str = "sltt", batch: int = 32,
            sequence: bool = False, check: "Optional[Tensor | bool]" = None, steps: bool = False, **options: Any) -> SNN:
    """A sequential network of PyTorch modules with neurons of SpikingJelly (IFNode, LIFNode, ParametricLIFNode) or snnTorch (Leaky)
    as an SNN with the same weights. What cannot be kept exact is refused by name (`spikeport.ConfigError`).

    input_shape: of a sample, (C, H, W) or (features,). method: the schedule of its training. sequence: there is an input for
    each time step, (T, N, C, H, W). check: a batch of such samples that both networks run, None for random ones, False for none;
    the largest difference of outputs and spikes is printed and kept as `difference`. options: those of `spikeport.Network`.
    """
    from . import _convert
    layers, kept = _convert.layers_of(module, flat=len(input_shape) == 1)
    shape = (*input_shape, 1, 1)[:3]
    recipe = {"name": type(module).__name__, "data": {"name": "synthetic", "channels": 1, "height": 1, "width": 1, "classes": 2},
              "schedule": {"method": method, "time_steps": time_steps}, "optimizer": {"name": "sgd"}, "batch": batch,
              "network": layers}
    network = SNN(recipe, shape=shape, sequence=sequence, steps=steps, **options)
    network.load_state_dict(_convert.state_of(kept))
    trained = dict(network.named_parameters())
    for name, p in _convert.parameters_of(kept):
        if name in trained:
            trained[name].requires_grad_(p.requires_grad)
    network._send()
    if check is not False:
        x = (torch.rand(*([time_steps] if sequence else []), 16, *input_shape) if check is None or check is True else check)
        network.difference = _convert.compare(network.network, module, kept, x)
        print(network.difference)
    return network
