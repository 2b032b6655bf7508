"""A spiking network as a module of PyTorch: its forward and backward passes run on an OpenCL device, so that a loss, an
optimizer, a data loader or further layers of one's own can stand around it."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from ._network import Network, Source


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


class SNN(nn.Module):
    """A network of a recipe (or a `spikeport.Network`) as a module.

    forward: float32 samples on the CPU, (N, C, H, W), or (T, N, C, H, W) for sequences, to the outputs: summed over the
    time steps (N, outputs), or with steps=True (T, N, outputs). In training mode N is the recipe's batch exactly.
    backward: by the recipe's schedule (sltt, sltt-k, bptt, ottt) to the gradients of the parameters, and of the input
    where it requires one. It follows its own forward pass, before another one.

    Parameters and running statistics have the names and shapes of spikeport's checkpoints; what PyTorch changes goes to
    the device before the next pass. Memory grows with the number of time steps under every schedule, since the loss
    is known only after all of them; `Network.step` has SLTT's constant memory.
    """

    def __init__(self, source: "Source | Network", *, steps: bool = False, **options: Any) -> None:
        super().__init__()
        self.network = source if isinstance(source, Network) else Network(source, inference=True, **options)
        self.steps = steps
        self._passes = 0
        self._sent: dict[str, tuple[int, int]] = {}
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
        self._note_sent()

    def extra_repr(self) -> str:
        return f"{self.network.name!r}, {self.network.method}, T={self.network.time_steps}"

    # ---- parameters to and from the device ----

    def _own(self) -> list[tuple[str, Tensor]]:
        return [*self.named_parameters(), *self.named_buffers()]

    def _note_sent(self) -> None:
        self._sent = {n: (t._version, t.data_ptr()) for n, t in self._own()}

    def _send(self) -> None:
        """What has changed since it was sent last."""
        changed = {}
        for name, tensor in self._own():
            if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
                raise TypeError(f"{name} is {tensor.dtype} on {tensor.device}; parameters of an SNN are float32 on the CPU, "
                                "and its computation is on its own OpenCL device")
            if self._sent.get(name) != (tensor._version, tensor.data_ptr()):
                changed[name] = tensor.detach()
        if changed:
            self.network.load_state_dict(changed, strict=False)
            self._note_sent()

    def _receive_statistics(self) -> None:
        with torch.no_grad():
            for name, buffer in self.named_buffers():
                buffer.copy_(torch.from_numpy(self.network._read("sp_net_get", name)))
                self._sent[name] = (buffer._version, buffer.data_ptr())

    # ---- passes ----

    def _samples(self, x: Tensor) -> np.ndarray:
        if x.device.type != "cpu" or x.dtype != torch.float32:
            raise TypeError(f"x is {x.dtype} on {x.device}; an SNN takes float32 on the CPU: x.float().cpu()")
        return x.detach().contiguous().numpy()

    def _forward_train(self, x: Tensor, input_gradient: bool, ctx: Any = None) -> Tensor:
        self._send()
        logits = torch.from_numpy(self.network.forward_train(self._samples(x), input_gradient))
        self._receive_statistics()
        self._passes += 1
        if ctx is not None:
            ctx.number = self._passes
        return logits

    def _backward(self, ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], list[Optional[Tensor]]]:
        if ctx.number != self._passes:
            raise RuntimeError("another forward pass of this SNN has run since, and what this one kept for its backward pass "
                               "is gone; call backward() before the next forward(), or use a second SNN")
        self._passes += 1  # once only
        g_x = self.network.backward(gradient.detach().contiguous().numpy())
        gradients = [torch.from_numpy(self.network.gradient(n)) if needed else None
                     for n, needed in zip(self._parameter_names, ctx.needs_input_grad[2:])]
        return None if g_x is None else torch.from_numpy(g_x), gradients

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self._send()
            self._passes += 1  # takes the memory of a forward pass that waits for its backward pass
            with torch.no_grad():
                return torch.from_numpy(self.network.forward(self._samples(x), steps=self.steps))
        parameters = dict(self.named_parameters())
        logits = _Backward.apply(self, x, *[parameters[n] for n in self._parameter_names])
        return logits if self.steps else logits.sum(0)


def _drop_batch_counts(state: dict[str, Any], prefix: str, *_: Any) -> None:
    """PyTorch's batch norms count mini-batches; nothing here needs that."""
    for name in [n for n in state if n.startswith(prefix) and n.endswith("num_batches_tracked")]:
        del state[name]
