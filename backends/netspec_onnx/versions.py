"""The operator set and IR version of a model, and the nodes that its steps are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import helper

from netspec.diagnostics.errors import Diagnostic, SpecError, UsageError
from netspec.ir.graph import Graph, Node, Ref
from netspec.ops import Shape
from netspec_onnx.lowering import rows_of
from netspec_onnx.nodes import LOWEST, N
from netspec_onnx.options import OnnxOptions
from netspec_onnx.precision import SINGLE, element, first_opset, in_16_bits, refusal
from netspec_onnx.presets import PRESETS, Target

OPSET = 18
"""The operator set where none is asked for and every operator is there: what runtimes of the last years take."""
IR_OF_FUNCTIONS = 8
"""The first IR version that has functions in a model."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """All steps of a network as nodes of one operator set."""

    opset: int
    ir_version: int
    rows: Mapping[str, Sequence[N]]
    """By the path of the step, in the type that the model computes in."""


def lowered(graph: Graph, options: OnnxOptions, shape: Callable[[Ref], Shape] | None = None) -> Lowered:
    """The nodes of every step, of operands of these shapes; raises SpecError for what a set lacks, UsageError."""
    written = _written(graph, shape or graph.shape, options.for_)
    options = _with_preset(written, options)
    opset = _opset(written, options)
    rows, dtype = {}, element(options)
    for node, forms in written:
        made = [each for form in forms for each in form.at(opset)]
        if dtype is not SINGLE:
            made = in_16_bits(node, made, {*node.result.weights, *node.result.stats}, dtype)
        rows[str(node.path)] = made
    return Lowered(opset, _ir_version(opset, options), rows)


def versions(graph: Graph, options: OnnxOptions) -> tuple[int, int]:
    """Operator set and IR version: the lowest that have what the network needs, or as asked; raises as `lowered`."""
    found = lowered(graph, options)
    return found.opset, found.ir_version


def lowest(graph: Graph) -> int:
    """The oldest operator set that has every operator of a network, in one form or another."""
    return _lowest(_written(graph, graph.shape))


def _written(graph: Graph, shape: Callable[[Ref], Shape], target: Target | None = None) -> list[tuple[Node, list[N]]]:
    """Every step with its nodes, in all their forms."""
    steps = [node for node in graph.nodes.values() if node.inputs]
    return [(node, rows_of(node, [shape(ref) for ref in node.inputs], target)) for node in steps]


def _lowest(written: Sequence[tuple[Node, list[N]]]) -> int:
    return max([LOWEST, *(row.lowest for _, rows in written for row in rows)])


def _with_preset(written: Sequence[tuple[Node, list[N]]], options: OnnxOptions) -> OnnxOptions:
    """Options with the operator set and IR version of their preset, where neither these nor others were asked for.

    A network that needs more than this set gets the lowest that has all of it, where the runtime takes that one. One in
    bfloat16 needs a newer set than any preset has.
    """
    if options.for_ is None or options.opset is not None or options.dtype == "bfloat16":
        return options
    preset, needs = PRESETS[options.for_], _lowest(written)
    opset = needs if preset.opset < needs <= preset.newest else preset.opset
    ir_version = options.ir_version
    if ir_version is None and (opset, options.functions) == (preset.opset, preset.functions):
        ir_version = preset.ir_version
    return replace(options, opset=opset, ir_version=ir_version)


def _opset(written: Sequence[tuple[Node, list[N]]], options: OnnxOptions) -> int:
    opset, known = options.opset or max(OPSET, _lowest(written)), onnx.defs.onnx_opset_version()
    if options.opset is not None and options.opset > known:
        message = f"the installed onnx {onnx.__version__} knows opsets up to {known}, not {options.opset}"
        raise UsageError(message, f"--opset {known}, or a newer onnx: pip install -U onnx")
    if opset < LOWEST:
        raise UsageError(f"operator sets are written from {LOWEST} on, not {opset}", f"--opset {LOWEST}")
    lacking = [(node, rows) for node, rows in written if any(row.lowest > opset for row in rows)]
    if lacking:
        same: dict[object, list[tuple[Node, list[N]]]] = {}
        for node, rows in lacking:  # the steps of one line are one error
            same.setdefault(node.span or node.path, []).append((node, rows))
        raise SpecError([_lacks(*steps[0], len(steps) - 1, opset, options.for_) for steps in same.values()])
    return opset if element(options) is SINGLE else _that_takes(written, options, opset)


def _lacks(node: Node, rows: Sequence[N], more: int, opset: int, target: Target | None) -> Diagnostic:
    """What is said of a step that an operator set has no operator for, and of so many more of its line."""
    first = max(row.lowest for row in rows)
    help = f"--opset {first} is the first that has it"
    if target is not None:
        help += f"; {PRESETS[target].reads} was not seen to run it: without --for the file is for runtimes that do"
    steps = f"'{node.path}' ('{node.op}')" + (f" and {more} more of this line" if more else "")
    operators = " and ".join(dict.fromkeys(row.op_type for row in rows if row.lowest > opset))
    return Diagnostic(
        "NS603",
        f"{steps} {'become' if more else 'becomes'} {operators}, which opset {opset} lacks, or has in another form",
        node.span,
        help,
    )


def _that_takes(written: Sequence[tuple[Node, list[N]]], options: OnnxOptions, opset: int) -> int:
    """The operator set that was asked for, or the first one from `opset` on that has every operator in 16 bits.

    Raises SpecError for a step that needs another one.
    """
    for node, rows in written:
        weights = {*node.result.weights, *node.result.stats}
        takes = first_opset(node, rows, weights, element(options), opset)
        if takes is None or options.opset is not None and takes > options.opset:
            raise refusal(node, rows, weights, element(options), opset)
        opset = takes
    return opset


def _ir_version(opset: int, options: OnnxOptions) -> int:
    """The lowest IR version, by ONNX's own table of releases, or the one that was asked for; raises UsageError.

    Names of functions aside it changes nothing of what is written: a reader skips the fields that it does not know,
    such as the metadata of nodes, which came with version 10.
    """
    lowest = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    if options.functions == "keep":
        lowest = max(lowest, IR_OF_FUNCTIONS)
    asked = options.ir_version
    if asked is None:
        return lowest
    if not lowest <= asked <= onnx.IR_VERSION:
        why = " with functions" if options.functions == "keep" else ""
        message = f"opset {opset}{why} goes with IR versions {lowest} to {onnx.IR_VERSION}, not {asked}"
        raise UsageError(message, f"--ir-version {lowest}")
    return asked
