"""Values between numpy and onnxruntime; types that numpy lacks go as their bytes."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from netspec.diagnostics.errors import DataError
from netspec.running.ports import BITS, EXTENDED, Port, Value, dtype_of

NUMBERS = {name: getattr(onnx.TensorProto, name.upper(), None) for name in EXTENDED}


def to_runtime(value: Value, port: Port, always: bool) -> object:
    """A value as onnxruntime takes it: its own where numpy has no such type, or `always`; raises DataError."""
    if isinstance(value, np.ndarray) and port.kind == "tensor" and port.element in EXTENDED:
        packed = _pack(value, BITS[port.element]) if port.element in BITS else value
        made = np.zeros(value.shape, np.dtype(f"u{value.dtype.itemsize}"))
        made.reshape(-1).view(np.uint8)[: packed.nbytes] = packed.reshape(-1).view(np.uint8)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(made, NUMBERS[port.element])
    if not always:
        return value
    if port.kind != "tensor" or port.element == "string":
        raise DataError(
            "NS701",
            f"onnxruntime's Python interface takes no {port.type} where a result is of a type that numpy lacks",
            "a model whose outputs are cast to float32 runs",
        )
    return ort.OrtValue.ortvalue_from_numpy(value)


def from_runtime(value: Any) -> Any:
    """A result as numpy has it: arrays, lists, dicts, None."""
    if not isinstance(value, ort.OrtValue):
        return np.asarray(value) if np.isscalar(value) else value
    if not value.has_value():
        return None
    if value.device_name() != "cpu":
        raise DataError(
            "NS703",
            f"a result of {value.data_type()} is on {value.device_name()}, not on the CPU",
            "--device cpu runs the model",
        )
    port = Port(value.data_type())
    if port.kind != "tensor" or port.element not in EXTENDED:
        return value.numpy()
    shape, dtype, bits = tuple(value.shape()), dtype_of(port.element), BITS.get(port.element, 0)
    count = math.prod(shape)
    size = -(-count * bits // 8) if bits else count * dtype.itemsize
    data = np.frombuffer(ctypes.string_at(value.data_ptr(), size) if size else b"", np.uint8)
    return (_unpack(data, bits, count, dtype) if bits else data.view(dtype)).reshape(shape)


def _pack(value: np.ndarray, bits: int) -> np.ndarray:
    """Several elements in a byte, the first in its lowest bits."""
    each = 8 // bits
    cells = value.reshape(-1).view(np.uint8) & (2**bits - 1)
    cells = np.concatenate([cells, np.zeros(-len(cells) % each, np.uint8)]).reshape(-1, each)
    packed: np.ndarray = np.bitwise_or.reduce(cells << (np.arange(each, dtype=np.uint8) * bits), axis=1)
    return packed.astype(np.uint8)


def _unpack(data: np.ndarray, bits: int, count: int, dtype: np.dtype[np.generic]) -> np.ndarray:
    """The elements of packed bytes."""
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    cells = ((data[:, None] >> shifts) & (2**bits - 1)).astype(np.uint8).reshape(-1)[:count]
    made: np.ndarray = cells.view(dtype)
    if dtype.name.startswith("int"):
        sign = 2 ** (bits - 1)
        made = ((cells.astype(np.int8) ^ sign) - sign).astype(dtype)
    elif dtype.name.startswith("uint"):
        made = cells.astype(dtype)
    return made
