"""Inputs and outputs of a model: their types, as ONNX names them, and their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspec.diagnostics.errors import DataError, MissingError, did_you_mean
from netspec.optional import importing

Value = np.ndarray | list["Value"] | dict[str | int, "Value"] | None
"""An array; of a model file also a sequence, a map, or an empty optional."""

PLAIN = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")},
    "complex64": "complex64",
    "complex128": "complex128",
    "string": "object",
}
"""Element types that numpy has, by ONNX's name."""

EXTENDED = {
    "bfloat16": "bfloat16",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "float4e2m1": "float4_e2m1fn",
    **{name: name for name in ("int4", "uint4", "int2", "uint2")},
}
"""Element types that the library ml_dtypes adds to numpy, by ONNX's name."""

BITS = {"int4": 4, "uint4": 4, "float4e2m1": 4, "int2": 2, "uint2": 2}
"""Types of which a byte holds several."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: `tensor(float)`, `seq(tensor(int64))`, `optional(...)`, with the shape of its tensor."""

    type: str
    shape: tuple[int | str | None, ...] = ()
    """A free dimension is a symbol, or None; nothing is known of an empty shape but that it may be a scalar."""
    sample: str = ""
    """What random values are drawn: `rois`, `image_rois`, or by the type alone."""

    @property
    def kind(self) -> str:
        """`tensor`, `seq`, `optional`, or another container that only a result can be."""
        return self.type.partition("(")[0]

    @property
    def inner(self) -> Port:
        """What a sequence holds, or an optional."""
        inner = self.type.partition("(")[2].removesuffix(")")
        return Port(inner, self.shape if self.kind == "optional" else ())

    @property
    def element(self) -> str:
        """ONNX's name of the element type of a tensor."""
        return self.type.partition("(")[2].removesuffix(")").lower()


def dtype_of(element: str) -> np.dtype[np.generic]:
    """numpy's type of an element type; raises DataError for one that is not known, MissingError without ml_dtypes."""
    if element in PLAIN:
        return np.dtype(PLAIN[element])
    if element not in EXTENDED:
        raise DataError(
            "NS701",
            f"netspec does not know the element type '{element}'",
            str(did_you_mean(element, [*PLAIN, *EXTENDED])),
        )
    with importing(f"the type {element}", "ml_dtypes"):
        import ml_dtypes  # noqa: PLC0415 - may be absent
    if not hasattr(ml_dtypes, EXTENDED[element]):
        raise MissingError(f"this ml_dtypes has no {element}", "pip install -U ml_dtypes")
    found: np.dtype[np.generic] = np.dtype(getattr(ml_dtypes, EXTENDED[element]))
    return found


def name_of(dtype: np.dtype[np.generic]) -> str:
    """How a type is printed."""
    return "string" if dtype.kind in "OUST" else dtype.name


def fits(given: Sequence[int], expected: Sequence[int | str | None]) -> bool:
    """Whether an array of that shape can stand where a shape with free dimensions is expected."""
    return len(given) == len(expected) and all(
        not isinstance(e, int) or e == g for e, g in zip(expected, given, strict=True)
    )


def dims(shape: tuple[int | str | None, ...]) -> str:
    """A shape as it is printed: 1x3x224x224."""
    return "x".join("?" if d is None else str(d) for d in shape) or "a scalar"
