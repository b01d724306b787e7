"""Model files whose values between the steps can be looked at: their blocks are written out, their values named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import onnx

from netspec.diagnostics.errors import DataError, UsageError
from netspec.ir.graph import Graph, Ref
from netspec.running.ports import Port
from netspec.running.ways import Way
from netspec.weights.checkpoints.stored import PASSES, passes_in
from netspec_onnx.build_model import FOLDED_KEY, SOURCE_KEY
from netspec_onnx.inlined import inlined
from netspec_onnx.prepared import Ready, prepare_file
from netspec_onnx.runtime import Opened
from netspec_onnx.step_names import step_of


class Model:
    """A model file, as it is and with further outputs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        opened = Opened(path)
        self.inputs: Mapping[str, Port] = opened.inputs
        self.outputs: Sequence[str] = [*opened.outputs]
        self.weights, self.sizes = opened.weights, opened.sizes
        try:
            self.proto = inlined(onnx.load(path, load_external_data=False))
            self.from_netspec = self.proto.producer_name == "netspec" and _says_its_steps(self.proto)
            self.passes = _passes(self.proto) if self.from_netspec else ()
            self.dtype = _dtype(self.proto)
            self.saturates = any(node.op_type in CALIBRATED for node in self.proto.graph.node)
        except MemoryError:
            raise
        except Exception as e:  # protobuf and onnx fail in many ways, and share no base but Exception
            raise DataError("NS703", f"{path} cannot be read as a model: {str(e)[:300]}") from None

    def named(self, graph: Graph) -> dict[str, str]:
        """The values of a graph that the model has: under their own names, else by the names of its nodes."""
        nodes = [node for node in self.proto.graph.node if node.op_type != "Constant" and node.output]
        made = {value for node in nodes for value in node.output if value}
        by_node = {step_of(node.name): node.output[0] for node in nodes}  # the last node of a step gives its value
        ends = {str(output.ref): name for name, output in graph.outputs.items() if name in self.outputs}
        found: dict[str, str] = {}
        for step in graph.nodes.values():
            for ref in (str(Ref(step.path, i)) for i in range(len(step.shapes))):
                own = next((v for v in (ends.get(ref, ""), ref, f"{ref}:0") if v in made), "")
                if step.op != "input" and (value := own or by_node.get(ref, "")):
                    found[ref] = value
        found = found if self.from_netspec else {**_by_op(graph, nodes, found), **found}
        return _last_of_each(graph, _dequantised(nodes, _of_folded(graph, nodes, found)))

    def prepare(self, way: Way, values: Sequence[str] = ()) -> Ready:
        """The model in a session, with further values as outputs; raises MissingError, DataError."""
        if way.form or way.dtype != "float32":
            raise UsageError(
                f"{self.path} is a model already, in a form and a type of its own", "leave form and type out"
            )
        if not values:
            return prepare_file(self.path, way, self.path.resolve().parent)
        shown = onnx.ModelProto()
        shown.CopyFrom(self.proto)
        outputs = {output.name for output in shown.graph.output}
        shown.graph.output.extend(
            onnx.ValueInfoProto(name=value) for value in dict.fromkeys(values) if value not in outputs
        )
        return prepare_file(shown, way, self.path.resolve().parent)


def _says_its_steps(model: onnx.ModelProto) -> bool:
    """Whether its nodes say where they are from, and so what was folded into them; old formats have no place for it."""
    return any(prop.key == SOURCE_KEY for node in model.graph.node for prop in node.metadata_props)


def _passes(model: onnx.ModelProto) -> tuple[str, ...]:
    """What it says of the passes that rewrote its graph, as far as the longest text that netspec may have written."""
    said = next((prop.value for prop in model.metadata_props if prop.key == PASSES), "")
    return passes_in(said[:LONGEST]) or ()


def _of_folded(graph: Graph, nodes: Sequence[onnx.NodeProto], named: Mapping[str, str]) -> dict[str, str]:
    """The same values, where that of a layer with steps folded into it is the value of the last of them."""
    found, order = dict(named), {str(path): i for i, path in enumerate(graph.nodes)}
    for node in nodes:
        folded = next((prop.value for prop in node.metadata_props if prop.key == FOLDED_KEY), "")
        step = step_of(node.name)
        steps = [step, *(_absolute(text, step, order) for text in folded.split(", "))] if folded else []
        members = [path for path in steps if path in order]
        if members:
            value = next((found[path] for path in members if path in found), node.output[0])
            found = {path: value_ for path, value_ in found.items() if path not in members}
            found[max(members, key=order.__getitem__)] = value
    return found


def _dequantised(nodes: Sequence[onnx.NodeProto], named: Mapping[str, str]) -> dict[str, str]:
    """The same values as steps after them read them: in int8 they are within their range."""
    quantised = {node.output[0]: node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    read = {
        quantised[node.input[0]]: node.output[0]
        for node in nodes
        if node.op_type == "DequantizeLinear" and node.input[0] in quantised
    }
    return {ref: read.get(value, value) for ref, value in named.items()}


def _last_of_each(graph: Graph, named: Mapping[str, str]) -> dict[str, str]:
    """The same values, where one that has the names of several steps is that of the last: it took those before it in.

    In int8 a range that begins at 0 is a ReLU, and the convolution before it gives the value of the ReLU.
    """
    refs = (str(Ref(step.path, i)) for step in graph.nodes.values() for i in range(len(step.shapes)))
    last = {named[ref]: ref for ref in refs if ref in named}
    return {ref: value for value, ref in last.items()}


def _absolute(path: str, step: str, known: Collection[str]) -> str:
    """The path of a step that is written relative to one of the scopes around another step, or to none."""
    scopes = [step[:i] for i, c in reversed([*enumerate(step)]) if c == "."]
    return next((found for scope in scopes if (found := f"{scope}.{path}") in known), path)


def _by_op(graph: Graph, nodes: Sequence[onnx.NodeProto], named: Mapping[str, str]) -> dict[str, str]:
    """The values of steps without a module of their own, as `F.relu`: of a scope the nodes of an op, in their order.

    They count where the scope has as many in the graph: the node `/3a/Concat` is the one concatenation in 3a.
    """
    theirs, ours = defaultdict[tuple[str, str], list[str]](list), defaultdict[tuple[str, str], list[str]](list)
    for node in nodes:
        if node.name.startswith("/") and (scope := step_of(node.name)) not in graph.nodes:
            theirs[scope, _plain(node.op_type)].append(node.output[0])
    for step in graph.nodes.values():
        if str(step.path) not in named and len(step.shapes) == 1:
            ours[step.path.rpartition(".")[0], _plain(step.op)].append(str(step.path))
    return {
        path: value
        for key, paths in ours.items()
        if len(paths) == len(theirs.get(key, ()))
        for path, value in zip(paths, theirs[key], strict=True)
    }


def _plain(op: str) -> str:
    """The name of an op as both may write it: `GlobalAveragePool` and `global_avg_pool` are globalavgpool."""
    return op.lower().replace("_", "").replace("average", "avg")


def _dtype(model: onnx.ModelProto) -> str:
    """The least exact type of its weights and values: float32, int8, bfloat16 or float16."""
    graph = model.graph
    if any(node.op_type in QUANTISED for node in graph.node):
        return "int8"
    kinds = {tensor.data_type for tensor in graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    for node in graph.node:  # a network without weights may say it there alone
        kinds |= {a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to"}
        kinds |= {a.t.data_type for a in node.attribute if node.op_type == "Constant" and a.name == "value"}
    named = {onnx.TensorProto.BFLOAT16: "bfloat16", onnx.TensorProto.FLOAT16: "float16"}
    return next((name for kind, name in named.items() if kind in kinds), "float32")


LONGEST = 4 * 2**20
"""Characters of the names of passes that are read of a file: those of the largest profile."""
CALIBRATED = {"QuantizeLinear", "QLinearConv", "QLinearMatMul"}
"""The operators whose results have a range that was chosen before; what is beyond it saturates."""
QUANTISED = {*CALIBRATED, "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}
"""The operators of a model in int8."""
