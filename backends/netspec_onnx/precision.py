"""What becomes of constants where a model computes in float16: kept as they are, or in float32 with their op.

Every constant that a lowering writes comes through here. float16 has 11 bits from 6.1e-5 to 65504, fewer below, and
nothing from 3e-8 on: an `eps` of 1e-12 would be 0, a scale of 1e5 infinite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np
import onnx

from netspec.diagnostics.errors import DataError, Diagnostic, SpecError
from netspec.ir.graph import Graph, Node
from netspec_onnx.nodes import N, n

LARGEST = 65504.0
PRECISION = 2.0**-10
"""A constant may be off by this share: twice what rounding to 11 bits costs."""


def in_half(node: Node, rows: Sequence[N], tensors: Set[str]) -> list[N]:
    """The rows of one op for a model in float16; raises SpecError for a constant that no float16 result can bear.

    Where a constant would lose its precision, the whole op is computed in float32, between casts: its own operands,
    `tensors` and results are of float16 all the same.
    """
    lossy = False
    for row in rows:
        constants = [v for v in row.inputs if isinstance(v, np.ndarray) and v.dtype == np.float32 and not row.exact]
        numbers = [np.float32(v) for v in row.attrs.values() if isinstance(v, float)]
        for values in (*constants, *numbers):
            _within(node, np.asarray(values))
        # ONNX keeps attributes in float32, whatever the model computes in, an `epsilon` among them.
        lossy = lossy or any(_lossy(values) for values in constants)
    return _in_single(rows, tensors) if lossy else list(rows)


def check_variances(graph: Graph, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises DataError for a running variance that float16 loses and `eps` does not hide."""
    for node in graph.nodes.values():
        if "running_var" in node.result.stats:
            key, eps = f"{node.weights_at}.running_var", float(node.attrs["eps"])
            exact = arrays[key].astype(np.float64)
            with np.errstate(over="ignore"):
                half = arrays[key].astype(np.float16).astype(np.float64)
            if (np.abs(half - exact) > 0.01 * np.abs(exact + eps))[np.isfinite(half)].any():
                raise DataError(
                    "NS603", f"the variance '{key}' holds numbers that float16 loses (below 6e-5)", "--dtype float32"
                )


def _within(node: Node, values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    if (size := float(np.abs(finite).max(initial=0))) > LARGEST:
        name = next((k for k, v in node.attrs.items() if isinstance(v, (int, float)) and abs(v) == size), "")
        of = f"'{name}' of '{node.op}'" if name else f"a constant of '{node.op}'"
        raise SpecError(
            [Diagnostic("NS603", f"{of} is {size:.6g}, beyond float16's 65504", node.span, "--dtype float32")]
        )


def _lossy(values: np.ndarray) -> bool:
    exact = values[np.isfinite(values)].astype(np.float64)
    return bool((np.abs(exact.astype(np.float16) - exact) > PRECISION * np.abs(exact)).any())


def _in_single(rows: Sequence[N], tensors: Set[str]) -> list[N]:
    """The rows with casts around: to float32 of what enters, back to float16 of the results."""

    def outer(value: object) -> bool:
        return isinstance(value, str) and (value in tensors or value[:1] in "xy" and value[1:].isdigit())

    entering = dict.fromkeys(v for row in rows for v in row.inputs if isinstance(v, str) and outer(v))
    results = [v for row in rows for v in row.outputs if outer(v)]
    inside = [
        replace(
            row,
            exact=True,
            inputs=tuple(f"{v}.single" if outer(v) else v for v in row.inputs),
            outputs=tuple(f"{v}.single" if outer(v) else v for v in row.outputs),
        )
        for row in rows
    ]
    return [
        *(n("Cast", v, out=f"{v}.single", to=onnx.TensorProto.FLOAT) for v in entering),
        *inside,
        *(n("Cast", f"{v}.single", out=v, to=onnx.TensorProto.FLOAT16) for v in results),
    ]
