"""Graph -> ModelProto: each distinct block is a function with its weights as inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from netspec import __version__
from netspec.backend import Options
from netspec.errors import DataError, UsageError
from netspec.graph import Graph, Node, Ref
from netspec.regions import Region, tree
from netspec_onnx.rules import ROWS, N

DOMAIN = "netspec"
OPSET = 18
IR_VERSION = 10
"""The lowest that has metadata on nodes, which carry the block's path and the line of the spec."""

ELEMENTS = {"float32": (onnx.TensorProto.FLOAT, np.float32), "float16": (onnx.TensorProto.FLOAT16, np.float16)}


@dataclass(eq=False)
class _Scope:
    """Where nodes are being written: the main graph, or the body of a function."""

    region: Region
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    values: dict[Ref, str] = field(default_factory=dict)
    """Names of values made outside."""
    tensors: dict[str, None] = field(default_factory=dict)
    """State-dict keys that are read inside, in order."""
    is_function: bool = False

    def value(self, ref: Ref) -> str:
        """The name of a value here."""
        return self.values.get(ref) or self.region.relative(str(ref))

    def tensor(self, key: str) -> str:
        """The name of a weight here: relative to the block inside a function."""
        self.tensors[key] = None
        inside = self.is_function and key.startswith(self.region.path + ".")
        return self.region.relative(key) if inside else key


class Emitter:
    """Writes the nodes of one graph and collects the functions of its blocks."""

    def __init__(self, graph: Graph, options: Options) -> None:
        self.graph, self.options = graph, options
        self.functions: dict[bytes, onnx.FunctionProto] = {}
        self.names: set[str] = set()
        self.opset = OPSET

    def main(self) -> _Scope:
        """The nodes of the main graph; outputs get their own names."""
        root = tree(self.graph)
        scope = _Scope(root)
        copies = []
        inputs = {node.path for node in self.graph.inputs}
        for name, output in self.graph.outputs.items():
            if output.ref in scope.values or output.ref.node in inputs:
                copies.append((scope.value(output.ref), name))
            else:
                scope.values[output.ref] = name
        self.items(root, scope)
        scope.nodes += [helper.make_node("Identity", [a], [b], name=f"/{b}/Identity") for a, b in copies]
        return scope

    def items(self, region: Region, scope: _Scope) -> None:
        """Writes what stands in a region: blocks as calls, everything else in place."""
        for item in region.items:
            if isinstance(item, Node):
                if item.op != "input":
                    self.node(item, scope)
            elif item.scope.kind == "block" and self.options.functions == "keep":
                self.call(item, scope)
            else:
                self.items(item, scope)

    def node(self, node: Node, scope: _Scope) -> None:
        """Writes one op by its row."""
        if node.op not in ROWS:
            raise DataError("NS601", f"the ONNX backend has no row for '{node.op}' ({node.path})")
        names = {f"x{i}": scope.value(ref) for i, ref in enumerate(node.inputs)}
        names |= {f"y{i}": scope.value(Ref(node.path, i)) for i in range(len(node.shapes))}
        path = scope.region.relative(node.path)
        weights = {*node.rule.weights, *node.rule.stats}
        types: dict[str, int] = {}
        for row in ROWS[node.op](node, [self.graph.shape(r) for r in node.inputs]):
            self.opset = max(self.opset, row.since)
            types[row.op_type] = types.get(row.op_type, 0) + 1
            name = f"/{path.replace('.', '/')}/{row.op_type}" + (f"_{types[row.op_type]}" if types[row.op_type] > 1 else "")

            def named(value: str, tag: str = path) -> str:
                if value in weights:
                    return scope.tensor(f"{node.weights_at}.{value}")
                return names.get(value) or (f"{tag}:{value}" if value else "")

            inputs = [self.constant(v, f"{path}:{row.op_type.lower()}{types[row.op_type]}.{i}", name, scope)
                      if isinstance(v, np.ndarray) else named(v) for i, v in enumerate(row.inputs)]
            made = helper.make_node(row.op_type, inputs, [named(v) for v in row.outputs], name=name, **row.attrs)
            self.annotate(made, node.path.rpartition(".")[0] if not scope.is_function else path.rpartition(".")[0],
                          str(node.span or ""))
            scope.nodes.append(made)

    def constant(self, array: np.ndarray, value: str, name: str, scope: _Scope) -> str:
        """Writes a constant; numbers take the type of the model."""
        if array.dtype == np.float32:
            array = array.astype(ELEMENTS[self.options.dtype][1])
        tensor = onnx.numpy_helper.from_array(array, value)
        scope.nodes.append(helper.make_node("Constant", [], [value], name=f"{name}.{value.rpartition(':')[2]}", value=tensor))
        return value

    def annotate(self, made: onnx.NodeProto, path: str, source: str) -> None:
        """Adds the block's path and the line of the spec."""
        for key, value in (("namespace", path.replace(".", "/")), ("netspec.source", source)):
            if value:
                made.metadata_props.add(key=key, value=value)

    def call(self, region: Region, scope: _Scope) -> None:
        """Writes a block as a call of its function."""
        if not region.outputs:
            return self.items(region, scope)
        inner = _Scope(region, is_function=True)
        formal = ["x"] if len(region.inputs) == 1 else [f"x.{i}" for i in range(len(region.inputs))]
        inner.values = dict(zip(region.inputs, formal, strict=True))
        self.items(region, inner)
        tensors = list(inner.tensors)
        weights = [inner.tensor(key) for key in tensors]
        function = self.function(region, inner, [*formal, *weights])
        made = helper.make_node(function.name, [*(scope.value(r) for r in region.inputs), *(scope.tensor(k) for k in tensors)],
                                [scope.value(r) for r in region.outputs], domain=DOMAIN,
                                name=f"/{scope.region.relative(region.path).replace('.', '/')}")
        self.annotate(made, (scope.region.relative(region.path) if scope.is_function else region.path).rpartition(".")[0],
                      str(region.scope.span or ""))
        scope.nodes.append(made)
        return None

    def function(self, region: Region, inner: _Scope, inputs: list[str]) -> onnx.FunctionProto:
        """The function of a block: one for all calls with the same body; other bodies get a number."""
        outputs = [inner.value(r) for r in region.outputs]
        made = onnx.FunctionProto(domain=DOMAIN, name=region.scope.block, input=inputs, output=outputs, node=inner.nodes)
        key = made.SerializeToString(deterministic=True)
        if key not in self.functions:
            name, count = region.scope.block, 1
            while name in self.names:
                count += 1
                name = f"{region.scope.block}_{count}"
            self.names.add(name)
            made.name, made.doc_string = name, region.scope.doc
            self.functions[key] = made
        return self.functions[key]


def build_model(graph: Graph, arrays: Mapping[str, np.ndarray], options: Options) -> onnx.ModelProto:
    """The model of an inference graph with its weights inside; raises DataError, UsageError."""
    model = structure(graph, options)
    model.graph.initializer.extend(tensors(graph, arrays, options))
    return model


def structure(graph: Graph, options: Options) -> onnx.ModelProto:
    """The model without its weights."""
    if options.dtype not in ELEMENTS:
        raise UsageError(f"the ONNX backend writes {' or '.join(ELEMENTS)}, not {options.dtype}")
    element = ELEMENTS[options.dtype][0]
    emitter = Emitter(graph, options)
    scope = emitter.main()
    opset = options.opset or emitter.opset
    if opset < emitter.opset:
        raise UsageError(f"this network needs opset {emitter.opset}, not {opset}")
    if opset > onnx.defs.onnx_opset_version():
        raise UsageError(f"the installed onnx knows opsets up to {onnx.defs.onnx_opset_version()}, not {opset}")

    def info(name: str, shape: Iterable[Any]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, element, list(shape))

    made = {name for node in scope.nodes for name in node.output}
    values = [info(scope.value(Ref(n.path, i)), shape) for n in graph.nodes.values() if n.op != "input"
              for i, shape in enumerate(n.shapes) if scope.value(Ref(n.path, i)) in made - set(graph.outputs)]
    proto = helper.make_graph(scope.nodes, graph.name, [info(n.path, n.shape) for n in graph.inputs],
                              [info(name, graph.shape(o.ref)) for name, o in graph.outputs.items()], value_info=values)
    opsets = [helper.make_opsetid("", opset)]
    for function in emitter.functions.values():
        function.opset_import.extend([*opsets, helper.make_opsetid(DOMAIN, 1)])
    model = helper.make_model(proto, functions=list(emitter.functions.values()), producer_name="netspec",
                              producer_version=__version__, doc_string=graph.title,
                              opset_imports=[*opsets, *([helper.make_opsetid(DOMAIN, 1)] if emitter.functions else [])])
    model.ir_version = IR_VERSION
    return model


def tensors(graph: Graph, arrays: Mapping[str, np.ndarray], options: Options) -> Iterable[onnx.TensorProto]:
    """The weights as initialisers under their state-dict keys; raises DataError for one that is missing."""
    element, dtype = ELEMENTS[options.dtype]
    for key, (shape, _, _) in graph.tensors().items():
        if key not in arrays or arrays[key].shape != tuple(shape):
            raise DataError("NS602", f"the weight '{key}' is missing, or of another shape")
        yield onnx.TensorProto(name=key, dims=list(shape), data_type=element,
                               raw_data=np.ascontiguousarray(arrays[key], dtype).tobytes())
