"""Arrays of the caller: float32 samples and whole-number labels, without silent changes of what they mean."""

from __future__ import annotations

import ctypes
import operator
from typing import Any

import numpy as np

FLOAT = ctypes.POINTER(ctypes.c_float)
INT32 = ctypes.POINTER(ctypes.c_int32)


def as_array(value: Any, what: str) -> np.ndarray:
    """numpy's view of an array, also of one that speaks DLPack (a tensor of PyTorch on the CPU), without a copy."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{what} is a masked array, whose mask nothing here would heed; give its elements values: {what}.filled(0)")
    if not isinstance(value, np.ndarray) and hasattr(value, "detach"):
        try:  # PyTorch knows which tensors have no memory that is an array: sparse and masked ones, those of other devices
            return value.detach().numpy()
        except (RuntimeError, TypeError) as e:
            raise TypeError(f"{what} is a {type(value).__name__} that numpy cannot read: {e}") from None
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    array = np.asarray(value)
    if array.dtype == object:
        raise TypeError(f"{what} is no array of numbers")
    return array


def floats(value: Any, what: str) -> np.ndarray:
    array = as_array(value, what)
    if array.dtype != np.float32:
        raise TypeError(f"{what} is {array.dtype}, but float32 is needed: {what}.astype(numpy.float32), normalised as in "
                        "training")
    return np.ascontiguousarray(array)


def labels(value: Any, n: int) -> np.ndarray:
    array = as_array(value, "y")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"y is {array.dtype}, but labels are whole numbers, one for each sample")
    if array.shape != (n,):
        raise ValueError(f"y has shape {array.shape}, but {n} samples have labels of shape ({n},)")
    if array.dtype != np.int32 and array.size and (array.min() < -2**31 or array.max() >= 2**31):
        raise ValueError("y has a label that does not fit 32 bits")
    return np.ascontiguousarray(array, dtype=np.int32)


def targets(value: Any, n: int, outputs: int) -> np.ndarray:
    array = floats(value, "y")
    if array.shape != (n, outputs) and not (outputs == 1 and array.shape == (n,)):
        raise ValueError(f"y has shape {array.shape}, but {n} samples have targets of shape ({n}, {outputs})")
    return array


def whole(value: Any, what: str, bits: int = 32) -> int:
    """A number for C, which nothing rounds; ctypes would cut it to its bits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is {value!r}, but it is a whole number") from None
    if not -2**(bits - 1) <= number < 2**(bits - 1):
        raise ValueError(f"{what} is {number}, which does not fit {bits} bits")
    return number


def pointer(array: np.ndarray, kind: Any = FLOAT) -> Any:
    return array.ctypes.data_as(kind)
