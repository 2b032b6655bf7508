"""Devices, contexts and networks."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

import numpy as np

from . import _library as c
from ._arrays import INT32, as_array, floats, labels, pointer, targets, whole

Source = Union[str, "os.PathLike[str]", Mapping[str, Any]]


@dataclass(frozen=True)
class Device:
    """An OpenCL device. `index` is what `device=` takes; a context without a name takes the default one."""

    index: int
    name: str
    platform: str
    driver: str
    type: str
    compute_units: int
    global_bytes: int
    is_default: bool
    is_usable: bool


def _device(d: c.DeviceText) -> Device:
    return Device(d.index, d.name.decode(), d.platform.decode(), d.driver.decode(), d.type.decode(), d.compute_units,
                  d.global_bytes, bool(d.is_default), bool(d.is_usable))


def devices() -> list[Device]:
    """The OpenCL devices of this machine."""
    n = ctypes.c_size_t()
    c.call("sp_devices_count", ctypes.byref(n))
    found = []
    for i in range(n.value):
        d = c.DeviceText()
        c.call("sp_devices_describe", i, ctypes.byref(d))
        found.append(_device(d))
    return found


class _OnDevice:
    """What belongs to a device and this process."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"a {type(self).__name__} is on a device of this process: it cannot be copied or pickled; open another one, "
                        "and give it the parameters by load_state_dict(state_dict())")


class Context(_OnDevice):
    """A device with compiled kernels, plugins, paths and a log, for one thread at a time.

    device: number, "gpu", "cpu", or a part of a name; None takes the best. plugins: forced kernels, "op=variant".
    log: a function (level, text) with level 0 error, 1 warning, 2 information, 3 debugging, up to log_level; None
    leaves warnings to stderr. It may be called from threads of the library.
    """

    def __init__(self, device: Union[str, int, None] = None, *, plugin_path: Optional[str] = None,
                 data_path: Optional[str] = None, cache_path: Optional[str] = None, plugins: Sequence[str] = (),
                 wisdom: bool = True, log: Optional[Callable[[int, str], None]] = None, log_level: int = 1) -> None:
        self._handle = ctypes.c_void_p()
        self._log = c.LOG_FUNCTION(lambda _, level, text: log(level, text.decode(errors="replace"))) if log else None
        forced = [plugins] if isinstance(plugins, str) else list(plugins)
        options = c.ContextOptions(
            flags=0 if wisdom else 1, device=c.text(None if device is None else str(device)),
            plugin_path=c.text(plugin_path), data_path=c.text(data_path), cache_path=c.text(cache_path),
            plugins=c.texts(forced), n_plugins=len(forced), log_level=whole(log_level, "log_level"))
        if self._log:
            options.log = self._log
        c.call("sp_context_create", ctypes.byref(options), ctypes.byref(self._handle))

    def _open(self) -> ctypes.c_void_p:
        if not self._handle:
            raise ValueError("this context is closed")
        return self._handle

    @property
    def device(self) -> Device:
        d = c.DeviceText()
        c.call("sp_context_device", self._open(), ctypes.byref(d))
        return _device(d)

    def close(self) -> None:
        """Gives the device back once its networks are closed too."""
        c.library.sp_context_destroy(ctypes.byref(self._handle))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Step:
    """What a training step shows: mean loss and accuracy of the mini-batch before the update."""

    loss: float
    accuracy: float
    iteration: int
    backprop_steps: int


@dataclass(frozen=True)
class Recording:
    """A layer of neurons at every time step: spikes uint8 (0, 1) and potentials before the reset float32, both
    (T, N, C, H, W)."""

    spikes: np.ndarray
    potentials: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """Means over all samples."""

    loss: float
    accuracy: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class Progress:
    """What a callback of a training gets: at each line of metrics and, with is_epoch, at the end of an epoch."""

    is_epoch: bool
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    lr: float
    samples_per_second: float
    test_loss: Optional[float]
    test_accuracy: Optional[float]


Callback = Callable[[Progress], Any]


def _progress(r: c.ProgressReport) -> Progress:
    epoch = bool(r.is_epoch)
    return Progress(epoch, r.epoch, r.epochs, r.batch, r.batches, r.loss, r.accuracy, r.lr, r.samples_per_second,
                    r.test_loss if epoch else None, r.test_accuracy if epoch else None)


def print_progress(p: Progress) -> None:
    """A line that is written over, in terminals and notebooks; one that stays at the end of an epoch."""
    if p.is_epoch:
        line, end = f"epoch {p.epoch}/{p.epochs}: loss {p.loss:.4f}, accuracy {p.accuracy:.2%}, test {p.test_accuracy:.2%}", "\n"
    else:
        line, end = (f"epoch {p.epoch}/{p.epochs}  {p.batch}/{p.batches}  loss {p.loss:.4f}  "
                     f"{p.samples_per_second:.0f} samples/s"), ""
    sys.stdout.write("\r" + line.ljust(79) + end)
    sys.stdout.flush()


@contextlib.contextmanager
def _delayed_interrupt(raised: list[BaseException]) -> Iterator[None]:
    """Ctrl-C is put into `raised`, which ends a training at its next report, so that it does not arise inside of a
    function that C has called. A second Ctrl-C does what it always does."""
    ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    def note(number: int, frame: Any) -> None:
        raised.append(KeyboardInterrupt())
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Samples:
    """Arrays (or a data set with [i] and len) as the function that the library reads samples through."""

    def __init__(self, data: Any, shape: tuple[int, ...], sequence: bool, classes: int) -> None:
        self.error: Optional[BaseException] = None
        self._shape = shape
        if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[0], tuple):
            x = floats(data[0], "x")
            if x.ndim != len(shape) + 1:
                raise ValueError(f"x has shape {x.shape}, but samples are {shape} behind one axis of all samples"
                                 + (" (time first: T, N, C, H, W)" if sequence else ""))
            x = np.moveaxis(x, 1, 0) if sequence else x
            y = labels(data[1], len(x))
            self._get = lambda i: (x[i], y[i])
            n = len(x)
        elif isinstance(data, list) and data and not isinstance(data[0], (tuple, list)):
            raise TypeError(f"data is a list of {type(data[0]).__name__}, not of pairs (sample, label); arrays of all samples are "
                            "given as a tuple (x, y)")
        elif hasattr(data, "__len__") and hasattr(data, "__getitem__"):
            self._get = lambda i: data[i]
            n = len(data)
        else:
            raise TypeError(f"data is a {type(data).__name__}; give a tuple (x, y) of arrays, or something with len() and [i] -> "
                            "(sample, label), such as a list of pairs or a Dataset of PyTorch (not its DataLoader)")
        self._read = c.READ_FUNCTION(self._call)
        self.struct = c.Data(classes=classes, count=n, read=self._read)

    def _call(self, _: Any, index: int, x: Any, y_out: Any) -> int:
        try:
            pair = self._get(index)
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"sample {index} is no pair (sample, label) but a {type(pair).__name__}")
            sample, y = pair
            sample = floats(sample, f"sample {index}")
            if sample.shape != self._shape:
                raise ValueError(f"sample {index} has shape {sample.shape}, but the network takes {self._shape}")
            ctypes.memmove(x, sample.ctypes.data, sample.nbytes)
            y_out[0] = whole(y, f"the label of sample {index}")
            return 0
        except BaseException as e:  # noqa: BLE001 - nothing may leave through C
            self.error = self.error or e
            return 1


class Network(_OnDevice):
    """A spiking network with its parameters on an OpenCL device, and what trains it.

    source: a recipe file, the name of an installed recipe, a checkpoint or the folder of a run, the text of a recipe
    (with a line feed), or a recipe as a dict. set: settings that override the recipe, {"optimizer.lr": 0.05}; batch is
    short for set={"batch": ...}. shape: (C, H, W) of a sample where the recipe's data do not tell; sequence: there is
    an input for each time step. inference: less memory, no training.

    Samples are float32: (N, C, H, W), or (T, N, C, H, W) for sequences, normalised as in training.
    """

    def __init__(self, source: Source, *, context: Optional[Context] = None, device: Union[str, int, None] = None,
                 set: Optional[Mapping[str, Any]] = None, batch: Optional[int] = None,
                 shape: Optional[tuple[int, int, int]] = None, sequence: bool = False,
                 inference: bool = False) -> None:
        self._handle = ctypes.c_void_p()
        if context is not None and device is not None:
            raise ValueError("a context has a device already; give one of the two")
        if context is not None and not isinstance(context, Context):
            raise TypeError(f"context is a {type(context).__name__}, not a Context; device= takes a number or a name")
        if shape is not None and len(shape) != 3:
            raise ValueError(f"shape is {shape!r}, but that of a sample is (C, H, W)")
        self.context = context or Context(device)
        settings = dict(set or {}, **({} if batch is None else {"batch": batch}))
        sets = [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in settings.items()]
        channels, height, width = [whole(n, f"shape[{i}]") for i, n in enumerate(shape or (0, 0, 0))]
        options = c.NetOptions(flags=int(inference), sets=c.texts(sets), n_sets=len(sets), channels=channels,
                               height=height, width=width, sequence=int(sequence))
        if isinstance(source, Mapping):
            source = json.dumps(source) + "\n"
        is_text = isinstance(source, str) and "\n" in source
        c.call("sp_net_parse" if is_text else "sp_net_open", self.context._open(), c.text(source),
               ctypes.byref(options), ctypes.byref(self._handle))
        info = c.NetInfo()
        c.call("sp_net_describe", self._handle, ctypes.byref(info))
        self.name: str = info.name.decode()
        self.method: str = info.method.decode()
        self.recipe: str = info.recipe.decode()
        """The recipe as YAML with every default."""
        self.time_steps: int = info.time_steps
        self.outputs: int = info.outputs
        self.batch: int = info.batch
        """Samples of a training step."""
        self.sequence = bool(info.sequence)
        self.device_bytes: int = info.device_bytes
        self.sample_shape: tuple[int, int, int] = (info.channels, info.height, info.width)
        self._parameters = self._describe_parameters()
        self._last: tuple[tuple[int, ...], bool] = ((), False)  # of forward_train
        self._passes = 0  # forward passes for a loss of one's own; what a backward pass belongs to
        self._passing = threading.Lock()

    def _call(self, name: str, *arguments: Any) -> None:
        if not self._handle:
            raise ValueError("this network is closed")
        c.call(name, self._handle, *arguments)

    def _items(self, kind: str, struct: Any) -> Iterable[Any]:
        n = ctypes.c_size_t()
        self._call(f"sp_net_{kind}_count", ctypes.byref(n))
        for i in range(n.value):
            info = struct()
            self._call(f"sp_net_{kind}_describe", i, ctypes.byref(info))
            yield info

    def _describe_parameters(self) -> dict[str, tuple[tuple[int, ...], bool]]:
        return {p.name.decode(): (tuple(p.shape[:p.n_dims]), bool(p.trainable))
                for p in self._items("param", c.ParamInfo)}

    @property
    def closed(self) -> bool:
        return not self._handle

    def close(self) -> None:
        c.library.sp_net_close(ctypes.byref(self._handle))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        n = sum(int(np.prod(s)) for s, trainable in self._parameters.values() if trainable)
        return f"<spikeport.Network {self.name!r}: {self.method}, T = {self.time_steps}, {n} parameters>"

    # ---- shapes ----

    @property
    def layers(self) -> dict[str, tuple[int, int, int]]:
        """Layers of neurons by name, with (C, H, W)."""
        return {i.name.decode(): (i.channels, i.height, i.width) for i in self._items("layer", c.LayerInfo)}

    def input_shape(self, n: int) -> tuple[int, ...]:
        """The shape of n samples."""
        return ((self.time_steps,) if self.sequence else ()) + (n, *self.sample_shape)

    def _samples(self, x: Any) -> tuple[np.ndarray, int]:
        array = floats(x, "x")
        axis = 1 if self.sequence else 0
        n = array.shape[axis] if array.ndim > axis else 0
        if array.shape != self.input_shape(n) or n == 0:
            wanted = ", ".join(map(str, ((self.time_steps,) if self.sequence else ()))) + (", " if self.sequence else "")
            raise ValueError(f"x has shape {array.shape}, but this network takes ({wanted}N, "
                             f"{', '.join(map(str, self.sample_shape))})")
        return array, n

    # ---- inference ----

    def forward(self, x: Any, *, steps: bool = False, record: Union[bool, Sequence[str]] = ()) -> Any:
        """Outputs of samples in evaluation mode: (N, outputs), the sum over the time steps, or with steps=True
        (T, N, outputs). record: names of layers of neurons, True for all of them; the result is then
        (outputs, {name: Recording})."""
        array, n = self._samples(x)
        shape = (self.time_steps, n, self.outputs) if steps else (n, self.outputs)
        logits = np.empty(shape, np.float32)
        layers = self.layers if record else {}
        record = [record] if isinstance(record, str) else record
        names = list(layers) if record is True else list(record or ())
        for name in names:
            if name not in layers:
                raise ValueError(f"there is no layer of neurons {name!r}; there are {', '.join(layers)}")
        recordings = {k: Recording(np.empty((self.time_steps, n, *layers[k]), np.uint8),
                                   np.empty((self.time_steps, n, *layers[k]), np.float32)) for k in names}
        records = (c.LayerRecord * max(len(names), 1))(*[
            c.LayerRecord(k.encode(), pointer(r.spikes, ctypes.POINTER(ctypes.c_uint8)), pointer(r.potentials))
            for k, r in recordings.items()])
        out = c.ForwardOutputs(records=records, n_records=len(names))
        setattr(out, "step_logits" if steps else "logits", pointer(logits))
        self._call("sp_net_forward", pointer(array), array.size, n, ctypes.byref(out))
        return (logits, recordings) if record else logits

    __call__ = forward

    # ---- training on batches ----

    def step(self, x: Any, y: Any) -> Step:
        """One training step with the recipe's schedule, loss and optimizer on exactly `batch` samples.
        x: input_shape(batch); y: (batch,) whole numbers, or with loss.name mse or bce (batch, outputs) float32."""
        array, n = self._samples(x)
        answers = as_array(y, "y")
        rows = np.issubdtype(answers.dtype, np.floating) and (answers.ndim == 2 or self.outputs == 1)
        target = targets(answers, n, self.outputs) if rows else labels(answers, n)
        r = c.TrainResult()
        self._call("sp_net_step_targets" if rows else "sp_net_step", pointer(array), array.size,
                   pointer(target) if rows else pointer(target, INT32), n, ctypes.byref(r))
        return Step(r.loss, r.accuracy, r.iteration, r.backprop_steps)

    def forward_train(self, x: Any, input_gradient: bool = False) -> np.ndarray:
        """Forward in training mode on exactly `batch` samples, for a loss of one's own: outputs of every time step,
        (T, batch, outputs). backward() follows, before anything else runs on the network."""
        return self._forward_train(x, input_gradient)[0]

    @contextlib.contextmanager
    def _one_pass(self, number: Optional[int] = None) -> Iterator[None]:
        """Counts passes and runs them without another thread's between; number: of the pass that this one belongs to."""
        if not self._passing.acquire(blocking=False):
            raise c.UsageError("another thread runs a pass of this network; give each thread a network of its own")
        try:
            if number is not None and number != self._passes:
                raise RuntimeError("another forward pass of this network has run since, and what this one kept for its backward pass "
                                   "is gone; call backward() before the next forward(), or use a second network")
            self._passes += 1
            yield
        finally:
            self._passing.release()

    def _forward_train(self, x: Any, input_gradient: bool = False) -> tuple[np.ndarray, int]:
        """With the number of the pass."""
        array, n = self._samples(x)
        logits = np.empty((self.time_steps, n, self.outputs), np.float32)
        with self._one_pass():
            self._call("sp_net_forward_train", pointer(array), array.size, n, int(input_gradient), pointer(logits))
            self._last = (array.shape, input_gradient)
            return logits, self._passes

    def backward(self, gradient: Any) -> Optional[np.ndarray]:
        """The backward pass of the last forward_train(), by the recipe's method: from the gradient of its result to
        gradients(), and to that of the input where it was asked for, which is the result here, shaped as x."""
        return self._backward(gradient)

    def _backward(self, gradient: Any, number: Optional[int] = None) -> Optional[np.ndarray]:
        g = self._output_gradient(gradient, (self.time_steps, self.batch, self.outputs))
        with self._one_pass(number):
            shape, wanted = self._last
            g_x = np.empty(shape, np.float32) if wanted else None
            self._call("sp_net_backward", pointer(g), None if g_x is None else pointer(g_x))
            return g_x

    def begin_steps(self, x: Any) -> None:
        """The same one time step after the other, for the methods sltt, sltt-k and ottt: memory does not grow with T.
        forward_step() for each of time_steps, backward_step() after each that has a loss, end_steps() at the end."""
        self._begin_steps(x)

    def _begin_steps(self, x: Any) -> int:
        """The number of the pass."""
        array, n = self._samples(x)
        with self._one_pass():
            self._call("sp_net_begin_steps", pointer(array), array.size, n)
            return self._passes

    def forward_step(self) -> np.ndarray:
        """The outputs of the next time step, (batch, outputs)."""
        logits = np.empty((self.batch, self.outputs), np.float32)
        self._call("sp_net_forward_step", pointer(logits))
        return logits

    def backward_step(self, gradient: Any) -> None:
        """Back over that time step, from the gradient of its outputs."""
        self._call("sp_net_backward_step", pointer(self._output_gradient(gradient, (self.batch, self.outputs))))

    def end_steps(self) -> None:
        """Makes gradients() whole."""
        self._call("sp_net_end_steps")

    def _output_gradient(self, gradient: Any, shape: tuple[int, ...]) -> np.ndarray:
        g = floats(gradient, "gradient")
        if g.shape != shape:
            raise ValueError(f"gradient has shape {g.shape}, but outputs are {shape}")
        return g

    @property
    def lr(self) -> float:
        """The learning rate of the next steps; it can be set."""
        value = ctypes.c_double()
        self._call("sp_net_lr", ctypes.byref(value))
        return value.value

    @lr.setter
    def lr(self, value: float) -> None:
        self._call("sp_net_set_lr", value)

    def scheduled_lr(self, epoch: int, batch: int = 0, batches: int = 1) -> float:
        """The learning rate of the recipe's schedule, counted from 0."""
        value = ctypes.c_double()
        counts = [whole(n, what, 64) for n, what in ((epoch, "epoch"), (batch, "batch"), (batches, "batches"))]
        self._call("sp_net_scheduled_lr", *counts, ctypes.byref(value))
        return value.value

    # ---- parameters ----

    def _all(self, function: str, arrays: Mapping[str, np.ndarray]) -> None:
        """A function on the arrays of all parameters at once; those that are not there are left out."""
        addresses = [arrays[n].ctypes.data if n in arrays else None for n in self._parameters]
        self._call(function, (ctypes.c_void_p * len(addresses))(*addresses), len(addresses))

    def _read(self, function: str, names: Iterable[str]) -> dict[str, np.ndarray]:
        arrays = {name: np.empty(self._parameters[name][0], np.float32) for name in names}
        self._all(function, arrays)
        return arrays

    def parameter_shapes(self, trainable: Optional[bool] = None) -> dict[str, tuple[int, ...]]:
        """Names and shapes, of all or only of those that are (or are not) trained."""
        return {k: s for k, (s, t) in self._parameters.items() if trainable is None or t == trainable}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and running statistics, with PyTorch's names and layouts."""
        return self._read("sp_net_get_all", self._parameters)

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Parameters from arrays (or tensors of PyTorch) by name. strict: all of them, and no others but PyTorch's
        num_batches_tracked. Everything is checked before anything is set."""
        known = {k: v for k, v in state.items() if k in self._parameters}
        unknown = [k for k in state if k not in self._parameters and not k.endswith("num_batches_tracked")]
        missing = [k for k in self._parameters if k not in state]
        if strict and (unknown or missing):
            raise KeyError(f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}")
        arrays = {}
        for name, value in known.items():
            array = as_array(value, name)
            if array.dtype.kind != "f":
                raise TypeError(f"{name} is {array.dtype}; parameters are floating-point numbers")
            if array.shape != self._parameters[name][0]:
                raise ValueError(f"{name} has shape {array.shape}, but the network's is {self._parameters[name][0]}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} has numbers that are not finite")
            arrays[name] = np.ascontiguousarray(array, np.float32)
        self._all("sp_net_set_all", arrays)

    def gradient(self, name: str) -> np.ndarray:
        """The gradient of a parameter in the last training step."""
        if name not in self._parameters:
            raise KeyError(f"the network has no parameter {name!r}")
        return self._read("sp_net_gradient_all", [name])[name]

    def gradients(self) -> dict[str, np.ndarray]:
        """Those of all parameters that are trained."""
        return self._read("sp_net_gradient_all", self.parameter_shapes(trainable=True))

    def save(self, path: "Union[str, os.PathLike[str]]") -> None:
        """Parameters as a safetensors file, which Network(path) opens again."""
        self._call("sp_net_save", c.text(path))

    def load(self, path: "Union[str, os.PathLike[str]]") -> None:
        """Parameters from a safetensors file, a checkpoint or the folder of a run."""
        self._call("sp_net_load", c.text(path))

    def save_checkpoint(self, path: "Union[str, os.PathLike[str]]") -> None:
        """Parameters, optimizer state and the count of steps: what resume() continues from with the same bits."""
        self._call("sp_net_save_checkpoint", c.text(path))

    def resume(self, path: "Union[str, os.PathLike[str]]") -> None:
        self._call("sp_net_resume", c.text(path))

    # ---- whole trainings ----

    def _data(self, data: Any) -> Optional[_Samples]:
        if data is None:
            return None
        shape = ((self.time_steps,) if self.sequence else ()) + self.sample_shape
        return _Samples(data, shape, self.sequence, self.outputs)

    def train(self, out: "Union[str, os.PathLike[str]]", *, data: Any = None, test: Any = None,
              callback: Optional[Callback] = None, resume: "Union[str, os.PathLike[str], None]" = None,
              overwrite: bool = False) -> bool:
        """Trains as the recipe says, to the folder `out`: metrics, curves, checkpoints. data and test: (x, y), or
        anything with len() and [i] -> (sample, label); None takes the recipe's data. callback gets a Progress; what it
        raises (Ctrl-C too) stops the training after it is saved, and comes out here. True from it stops as well, and
        this returns False then."""
        raised: list[BaseException] = []
        stopped = []

        def report(_: Any, r: Any) -> int:
            try:
                if callback and not raised and callback(_progress(r.contents)) is True:
                    stopped.append(True)
            except BaseException as e:  # noqa: BLE001 - nothing may leave through C
                raised.append(e)
            return int(bool(raised or stopped))

        with _delayed_interrupt(raised):
            self._fit(out, self._data(data), self._data(test), c.REPORT_FUNCTION(report), resume, overwrite, raised,
                      stopped)
        if raised:
            raise raised[0]
        return not stopped

    def _fit(self, out: Any, samples: Optional[_Samples], tests: Optional[_Samples], report: Any, resume: Any,
             overwrite: bool, raised: list[BaseException], stopped: list[bool]) -> None:
        options = c.FitOptions(flags=int(overwrite), out=c.text(out), resume=c.text(resume), report=report)
        if samples:
            options.train = ctypes.pointer(samples.struct)
        if tests:
            options.test = ctypes.pointer(tests.struct)
        try:
            self._call("sp_net_train", ctypes.byref(options))
        except c.Error as e:
            for own in (samples, tests):
                if own and own.error:
                    raise own.error from e
            if e.status != "SP_E_INTERRUPTED" or not (raised or stopped):
                raise

    def evaluate(self, data: Any = None) -> Evaluation:
        """Mean loss and accuracy on (x, y), or on the recipe's test data."""
        samples = self._data(data)
        r = c.EvalResult()
        try:
            self._call("sp_net_evaluate", ctypes.byref(samples.struct) if samples else None, ctypes.byref(r))
        except c.Error as e:
            if samples and samples.error:
                raise samples.error from e
            raise
        return Evaluation(r.loss, r.accuracy, r.samples, r.seconds)


def train(recipe: Source, out: "Union[str, os.PathLike[str]]", *, data: Any = None, test: Any = None,
          callback: Optional[Callback] = print_progress, overwrite: bool = False, **options: Any) -> Network:
    """Trains a recipe and returns the network: Network(recipe, **options).train(out, ...). The default callback prints
    progress; None is silent."""
    network = Network(recipe, **options)
    network.train(out, data=data, test=test, callback=callback, overwrite=overwrite)
    return network
