"""The C library through ctypes: loading it, its structs, its errors. The public classes are in the files beside it."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import sys
import tempfile
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64,
                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)
from pathlib import Path
from typing import Any, Optional

INSTALL_OPENCL = (
    "There is no OpenCL loader (libOpenCL.so.1) on this system. Install one with a driver: on Debian or Ubuntu "
    "`apt-get install ocl-icd-libopencl1 pocl-opencl-icd` (for CPUs; GPUs have drivers of their vendors), or "
    "`pip install spikeport[cpu]`, which brings Intel's runtime for CPUs.")


class Error(RuntimeError):
    """An error of the library. `status` is its name, such as "SP_E_DEVICE"."""

    status = "SP_E_FAILED"


class UsageError(Error, ValueError):
    """A call that cannot be right: a wrong shape or name, or a context in use by another thread."""


class ConfigError(Error, ValueError):
    """A recipe or a network that is invalid; the message has file, line and column."""


class DeviceError(Error):
    """No usable OpenCL device, or too large for it."""


class NumericError(Error, ArithmeticError):
    """A number is not finite."""


class DataError(Error):
    """Data are missing or damaged."""


_ERRORS = {"SP_E_USAGE": UsageError, "SP_E_CONFIG": ConfigError, "SP_E_DEVICE": DeviceError,
           "SP_E_NUMERIC": NumericError, "SP_E_DATA": DataError}

# ---- structs of spikeport.h ----


class CError(Structure):
    _fields_ = [("status", c_int), ("cl_code", c_int), ("file", c_char_p), ("line", c_int), ("text", c_char * 768)]


class Sized(Structure):
    """A struct that begins with its size."""

    def __init__(self, **members: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(self), **members)


class DeviceText(Sized):
    _fields_ = [("struct_size", c_uint32), ("index", c_int32), ("is_default", c_int32), ("is_usable", c_int32),
                ("compute_units", c_uint32), ("reserved", c_uint32), ("global_bytes", c_uint64),
                ("max_alloc_bytes", c_uint64), ("type", c_char * 16), ("name", c_char * 256),
                ("platform", c_char * 128), ("driver", c_char * 128)]


LOG_FUNCTION = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class ContextOptions(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("device", c_char_p), ("plugin_path", c_char_p),
                ("data_path", c_char_p), ("cache_path", c_char_p), ("prefix", c_char_p), ("programs", c_char_p),
                ("plugins", POINTER(c_char_p)), ("n_plugins", c_size_t), ("log", LOG_FUNCTION),
                ("log_ctx", c_void_p), ("log_level", c_int)]


class NetOptions(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("sets", POINTER(c_char_p)), ("n_sets", c_size_t),
                ("channels", c_int32), ("height", c_int32), ("width", c_int32), ("sequence", c_int32)]


class NetInfo(Sized):
    _fields_ = [("struct_size", c_uint32), ("sequence", c_int32), ("channels", c_int32), ("height", c_int32),
                ("width", c_int32), ("outputs", c_int32), ("time_steps", c_int32), ("batch", c_int32),
                ("eval_batch", c_int32), ("is_training", c_int32), ("device_bytes", c_uint64), ("name", c_char_p),
                ("method", c_char_p), ("recipe", c_char_p)]


class ParamInfo(Sized):
    _fields_ = [("struct_size", c_uint32), ("n_dims", c_int32), ("shape", c_int64 * 4), ("count", c_int64),
                ("trainable", c_int32), ("reserved", c_int32), ("name", c_char_p)]


class LayerInfo(Sized):
    _fields_ = [("struct_size", c_uint32), ("channels", c_int32), ("height", c_int32), ("width", c_int32),
                ("name", c_char_p)]


class LayerRecord(Structure):
    _fields_ = [("layer", c_char_p), ("spikes", POINTER(c_uint8)), ("potentials", POINTER(c_float))]


class ForwardOutputs(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("logits", POINTER(c_float)),
                ("step_logits", POINTER(c_float)), ("records", POINTER(LayerRecord)), ("n_records", c_size_t)]


class TrainResult(Sized):
    _fields_ = [("struct_size", c_uint32), ("backprop_steps", c_int32), ("loss", c_double), ("accuracy", c_double),
                ("iteration", c_int64)]


READ_FUNCTION = CFUNCTYPE(c_int, c_void_p, c_size_t, POINTER(c_float), POINTER(c_int32))


class Data(Sized):
    _fields_ = [("struct_size", c_uint32), ("classes", c_int32), ("count", c_size_t), ("read", READ_FUNCTION),
                ("ctx", c_void_p)]


class ProgressReport(Structure):
    _fields_ = [("struct_size", c_uint32), ("is_epoch", c_int32), ("epoch", c_int64), ("epochs", c_int64),
                ("batch", c_int64), ("batches", c_int64), ("loss", c_double), ("accuracy", c_double),
                ("lr", c_double), ("samples_per_second", c_double), ("test_loss", c_double),
                ("test_accuracy", c_double)]


REPORT_FUNCTION = CFUNCTYPE(c_int, c_void_p, POINTER(ProgressReport))


class FitOptions(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("out", c_char_p), ("resume", c_char_p),
                ("train", POINTER(Data)), ("test", POINTER(Data)), ("report", REPORT_FUNCTION), ("ctx", c_void_p)]


class EvalResult(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("samples", c_int64), ("loss", c_double),
                ("accuracy", c_double), ("seconds", c_double)]


# ---- functions of spikeport.h: name, arguments before the sp_error ----

_P, _F = c_void_p, POINTER(c_float)
_FUNCTIONS = {
    "sp_devices_count": [POINTER(c_size_t)],
    "sp_devices_describe": [c_size_t, POINTER(DeviceText)],
    "sp_context_create": [POINTER(ContextOptions), POINTER(_P)],
    "sp_context_device": [_P, POINTER(DeviceText)],
    "sp_net_open": [_P, c_char_p, POINTER(NetOptions), POINTER(_P)],
    "sp_net_parse": [_P, c_char_p, POINTER(NetOptions), POINTER(_P)],
    "sp_net_describe": [_P, POINTER(NetInfo)],
    "sp_net_param_count": [_P, POINTER(c_size_t)],
    "sp_net_param_describe": [_P, c_size_t, POINTER(ParamInfo)],
    "sp_net_get": [_P, c_char_p, _F, c_size_t],
    "sp_net_set": [_P, c_char_p, _F, c_size_t],
    "sp_net_gradient": [_P, c_char_p, _F, c_size_t],
    "sp_net_get_all": [_P, POINTER(_P), c_size_t],
    "sp_net_set_all": [_P, POINTER(_P), c_size_t],
    "sp_net_gradient_all": [_P, POINTER(_P), c_size_t],
    "sp_net_save": [_P, c_char_p],
    "sp_net_load": [_P, c_char_p],
    "sp_net_layer_count": [_P, POINTER(c_size_t)],
    "sp_net_layer_describe": [_P, c_size_t, POINTER(LayerInfo)],
    "sp_net_forward": [_P, _F, c_size_t, c_size_t, POINTER(ForwardOutputs)],
    "sp_net_step": [_P, _F, c_size_t, POINTER(c_int32), c_size_t, POINTER(TrainResult)],
    "sp_net_step_targets": [_P, _F, c_size_t, _F, c_size_t, POINTER(TrainResult)],
    "sp_net_set_lr": [_P, c_double],
    "sp_net_lr": [_P, POINTER(c_double)],
    "sp_net_scheduled_lr": [_P, c_int64, c_int64, c_int64, POINTER(c_double)],
    "sp_net_save_checkpoint": [_P, c_char_p],
    "sp_net_resume": [_P, c_char_p],
    "sp_net_forward_train": [_P, _F, c_size_t, c_size_t, c_int, _F],
    "sp_net_backward": [_P, _F, _F],
    "sp_net_begin_steps": [_P, _F, c_size_t, c_size_t],
    "sp_net_forward_step": [_P, _F],
    "sp_net_backward_step": [_P, _F],
    "sp_net_end_steps": [_P],
    "sp_net_train": [_P, POINTER(FitOptions)],
    "sp_net_evaluate": [_P, POINTER(Data), POINTER(EvalResult)],
}


def _load_opencl() -> None:
    """The system's loader, or the one that pip has put into this environment with the libraries that it needs."""
    own = os.path.join(sys.prefix, "lib")
    for candidates in (["libOpenCL.so.1"],
                       [os.path.join(own, name) for name in ("libimf.so", "libintlc.so.5", "libirng.so", "libsvml.so",
                                                             "libOpenCL.so.1")]):
        try:
            for name in candidates:
                ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
            return
        except OSError:
            continue
    raise ImportError(INSTALL_OPENCL)


_vendors: Optional[tempfile.TemporaryDirectory] = None


def _use_drivers_of_this_environment() -> None:
    """Drivers installed by pip are registered in a folder that no loader looks at by itself, some under a path of another
    machine: a folder with these and the system's, until the process ends. Emulators of FPGAs are left out, which would be
    chosen before the CPU."""
    global _vendors
    prefix = Path(sys.prefix)
    if sys.prefix == sys.base_prefix or "OCL_ICD_VENDORS" in os.environ:
        return
    named = [Path(f.read_text().strip()) for f in sorted((prefix / "etc" / "OpenCL" / "vendors").glob("*.icd"))]
    drivers = [p if p.exists() else prefix / "lib" / p.name for p in named if "emu" not in p.name]
    drivers = [p for p in drivers if p.exists()]
    if not drivers:
        return
    _vendors = tempfile.TemporaryDirectory(prefix="spikeport-vendors-")
    for f in Path("/etc/OpenCL/vendors").glob("*.icd"):
        shutil.copy(f, _vendors.name)
    for i, p in enumerate(drivers):
        Path(_vendors.name, f"environment-{i}.icd").write_text(f"{p}\n")
    os.environ["OCL_ICD_VENDORS"] = _vendors.name


def _load() -> ctypes.CDLL:
    _use_drivers_of_this_environment()
    _load_opencl()
    own = Path(__file__).parent / "_prefix" / "lib" / "libspikeport.so.0"
    path = os.environ.get("SPIKEPORT_LIBRARY") or (str(own) if own.exists() else "libspikeport.so.0")
    try:
        library = ctypes.CDLL(path)
    except OSError as e:
        raise ImportError(f"libspikeport cannot be loaded: {e}. A wheel of spikeport contains it; from a source tree, "
                          "build it and set SPIKEPORT_LIBRARY to build/release/lib/libspikeport.so") from None
    for name, arguments in _FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes = [*arguments, POINTER(CError)]
        function.restype = c_int
    for name in ("sp_context_destroy", "sp_net_close"):
        getattr(library, name).argtypes = [POINTER(_P)]
        getattr(library, name).restype = None
    for name in ("sp_version", "sp_status_name"):
        getattr(library, name).restype = c_char_p
    return library


library = _load()
__version__: str = library.sp_version().decode()


def text(value: Optional[object]) -> Optional[bytes]:
    """A str or path for C; None stays None."""
    return None if value is None else os.fsencode(value)  # type: ignore[arg-type]


def texts(values: list[str]) -> Any:
    return (c_char_p * max(len(values), 1))(*[v.encode() for v in values])


def call(name: str, *arguments: Any) -> None:
    """Calls a function of the library; raises its error."""
    error = CError()
    status = getattr(library, name)(*arguments, ctypes.byref(error))
    if status != 0:
        status_name = library.sp_status_name(status).decode()
        raised = _ERRORS.get(status_name, Error)(error.text.decode(errors="replace") or status_name)
        raised.status = status_name
        raise raised
