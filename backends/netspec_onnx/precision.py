"""The types that a model computes in, which operators take them, and what becomes of constants in 16 bits.

Every constant that a lowering writes comes through here: it is kept as it is, or in float32 with its op. float16 has 11
bits from 6.1e-5 to 65504, fewer below, and nothing from 3e-8 on: an `eps` of 1e-12 would be 0, a scale of 1e5 infinite.
bfloat16 has the range of float32 in 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import onnx

from netspec.diagnostics.errors import Diagnostic, SpecError, UsageError
from netspec.ir.graph import Graph, Node
from netspec.running.ports import dtype_of
from netspec_onnx.nodes import N, n
from netspec_onnx.options import OnnxOptions
from netspec_onnx.presets import PRESETS


@dataclass(frozen=True, slots=True)
class Element:
    """A type of numbers that a model computes in."""

    name: str
    """As numpy, ml_dtypes and ONNX's `tensor(float16)` call it."""
    kind: int
    """ONNX's number of it."""
    largest: float
    bits: int
    """Of the significand, with the one that is not stored."""

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """numpy's type; raises MissingError where ml_dtypes, which has bfloat16, is not there."""
        return dtype_of("float" if self.name == "float32" else self.name)

    @property
    def schema(self) -> str:
        """What the schemas of operators call it."""
        return f"tensor({'float' if self.name == 'float32' else self.name})"

    @property
    def error(self) -> float:
        """The share by which a constant may be off: twice what rounding costs."""
        return 2.0 ** (1 - self.bits)


SINGLE = Element("float32", onnx.TensorProto.FLOAT, float(np.finfo(np.float32).max), 24)
ELEMENTS = {
    one.name: one
    for one in (
        SINGLE,
        Element("float16", onnx.TensorProto.FLOAT16, 65504.0, 11),
        Element("bfloat16", onnx.TensorProto.BFLOAT16, (2 - 2.0**-7) * 2.0**127, 8),
    )
}
"""What a model may compute in."""


def element(options: OnnxOptions) -> Element:
    """The type that a model computes in; raises UsageError."""
    if options.dtype not in ELEMENTS:
        known = ", ".join([*ELEMENTS, "int8"])
        raise UsageError(f"the ONNX backend does not compute in {options.dtype}", f"known: {known}")
    return ELEMENTS[options.dtype]


def outer_element(options: OnnxOptions) -> Element:
    """The type of a model's inputs and outputs: float32, or on request the one it computes in; raises UsageError."""
    if options.io_dtype not in ("float32", options.dtype):
        raise UsageError(
            f"--io-dtype {options.io_dtype} goes with --dtype {options.io_dtype}",
            f"a model that computes in {options.dtype} takes and gives float32"
            + (f" or {options.dtype}" if options.dtype in ("float16", "bfloat16") else ""),
        )
    return ELEMENTS[options.io_dtype]


def first_opset(node: Node, rows: Sequence[N], tensors: Set[str], dtype: Element, opset: int) -> int | None:
    """The first operator set from `opset` on whose operators take a type in a step; None where no known one has it."""
    for known in range(opset, onnx.defs.onnx_opset_version() + 1):
        if not any(True for _ in refused(node, rows, tensors, dtype, known)):
            return known
    return None


def refused(node: Node, rows: Sequence[N], tensors: Set[str], dtype: Element, opset: int) -> Iterator[str]:
    """The operators of a step that do not take a type in an operator set.

    A value is of this type where it is an operand or a weight of the step, or a result of what takes such a value and
    gives the same type by its schema; that of a Cast, an index or a size is another.
    """
    values = {*(f"x{i}" for i in range(len(node.inputs))), *tensors}
    for row in (each for form in rows for each in form.at(opset)):
        try:
            schema = onnx.defs.get_schema(row.op_type, opset, "")
        except onnx.defs.SchemaError:  # of a row from outside: what is wrong with it, the checker says
            continue
        types = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
        bound = {
            formal for value, formal in _formal(row.inputs, schema.inputs) if isinstance(value, str) and value in values
        }
        if any(dtype.schema not in types.get(formal, (formal,)) for formal in bound):
            yield row.op_type
        values |= {str(value) for value, formal in _formal(row.outputs, schema.outputs) if formal in bound}


def _formal(
    values: Iterable[object], formals: Sequence[onnx.defs.OpSchema.FormalParameter]
) -> Iterator[tuple[object, str]]:
    """Each value with the type of its parameter; the last parameter may take any number of them."""
    for i, value in enumerate(values):
        if formals:
            yield value, formals[min(i, len(formals) - 1)].type_str


def refusal(node: Node, rows: Sequence[N], tensors: Set[str], dtype: Element, opset: int) -> SpecError:
    """The error of a step whose operators do not take a type in the operator set that was asked for, or in any."""
    operators = " and ".join(dict.fromkeys(refused(node, rows, tensors, dtype, opset)))
    takes = first_opset(node, rows, tensors, dtype, opset)
    message = f"'{node.path}' ('{node.op}') becomes {operators}, which takes no {dtype.name} in opset {opset}"
    help = f"--opset {takes} is the first that does" if takes else "no opset that the installed onnx knows does"
    return SpecError([Diagnostic("NS603", message, node.span, help)])


def in_16_bits(node: Node, rows: Sequence[N], tensors: Set[str], dtype: Element) -> list[N]:
    """The rows of one op for a model in 16 bits; raises SpecError for a constant that no such result can bear.

    Where a constant would lose its precision, the whole op is computed in float32, between casts: its own operands,
    `tensors` and results are of 16 bits all the same.
    """
    lossy = False
    for row in rows:
        constants = [v for v in row.inputs if isinstance(v, np.ndarray) and v.dtype == np.float32 and not row.exact]
        numbers = [np.float32(v) for v in row.attrs.values() if isinstance(v, float)]
        for values in (*constants, *numbers):
            _within(node, np.asarray(values), dtype)
        # ONNX keeps attributes in float32, whatever the model computes in, an `epsilon` among them.
        lossy = lossy or any(_lossy(values, dtype) for values in constants)
    return _in_single(rows, tensors, dtype) if lossy else list(rows)


def check_variances(graph: Graph, arrays: Mapping[str, np.ndarray], options: OnnxOptions) -> None:
    """Raises SpecError for a running variance that float16 loses and `eps` does not hide; bfloat16 loses none."""
    for node in graph.nodes.values():
        if "running_var" in node.result.stats:
            key, eps = f"{node.weights_at}.running_var", float(node.attrs["eps"])
            exact = arrays[key].astype(np.float64)
            with np.errstate(over="ignore"):
                half = arrays[key].astype(np.float16).astype(np.float64)
            if (np.abs(half - exact) > 0.01 * np.abs(exact + eps))[np.isfinite(half)].any():
                message = f"the variance '{key}' of '{node.op}' holds numbers that float16 loses (below 6e-5)"
                raise _at(graph, node, message, _wider(options))


def rounded(graph: Graph, key: str, array: np.ndarray, options: OnnxOptions) -> np.ndarray:
    """A weight, or a part of one, in the type of the model; raises SpecError for a number that does not fit."""
    dtype = element(options)
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, dtype.numpy)
    if dtype is not SINGLE and (lost := np.isinf(found) & np.isfinite(array)).any():
        node = graph.tensors()[key][2]
        size = float(np.abs(np.asarray(array)[lost]).max())
        message = f"the weight '{key}' of '{node.op}' holds {size:.6g}, beyond {dtype.name}'s {dtype.largest:.6g}"
        help = _wider(options)
        if node.folded:
            steps = " and ".join(f"'{path}'" for path in node.folded)
            message += f", with {steps} folded into it"
            help += "; -O0 folds nothing"
        raise _at(graph, node, message, help)
    return found


def _wider(options: OnnxOptions) -> str:
    """The types that hold what float16, or bfloat16, does not."""
    lacks = PRESETS[options.for_].lacks if options.for_ is not None else {}
    wider = ["bfloat16"] * (options.dtype == "float16" and options.opset is None and "bfloat16" not in lacks)
    return f"--dtype {' or '.join([*wider, 'float32'])} has the range"


def _at(graph: Graph, node: Node, message: str, help: str) -> SpecError:
    """The error of a step, with the calls that led to it."""
    return SpecError([Diagnostic("NS603", message, node.span, help, graph.calls(node.path))])


def tensor_of(array: np.ndarray, name: str) -> onnx.TensorProto:
    """A constant; the oldest onnx that is allowed makes none of bfloat16."""
    if array.dtype.name == "bfloat16":
        kind = onnx.TensorProto.BFLOAT16
        return onnx.TensorProto(name=name, dims=array.shape, data_type=kind, raw_data=array.tobytes())
    return onnx.numpy_helper.from_array(array, name)


def _within(node: Node, values: np.ndarray, dtype: Element) -> None:
    finite = values[np.isfinite(values)]
    if (size := float(np.abs(finite).max(initial=0))) > dtype.largest:
        name = next((k for k, v in node.attrs.items() if isinstance(v, (int, float)) and abs(v) == size), "")
        of = f"'{name}' of '{node.op}'" if name else f"a constant of '{node.op}'"
        raise SpecError(
            [
                Diagnostic(
                    "NS603",
                    f"{of} is {size:.6g}, beyond {dtype.name}'s {dtype.largest:.6g}",
                    node.span,
                    "--dtype float32",
                )
            ]
        )


def _lossy(values: np.ndarray, dtype: Element) -> bool:
    exact = values[np.isfinite(values)].astype(np.float64)
    return bool((np.abs(exact.astype(dtype.numpy).astype(np.float64) - exact) > dtype.error * np.abs(exact)).any())


def _in_single(rows: Sequence[N], tensors: Set[str], dtype: Element) -> list[N]:
    """The rows with casts around: to float32 of what enters, back to the 16 bits of the model of the results."""

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
        *(n("Cast", f"{v}.single", out=v, to=dtype.kind) for v in results),
    ]
