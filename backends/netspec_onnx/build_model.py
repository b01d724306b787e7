"""Graph -> ModelProto: one flat graph, or each distinct block a function with its weights as inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
from onnx import helper

from netspec import __version__
from netspec.diagnostics.errors import DataError, UsageError
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.weights.checkpoints.stored import PASSES
from netspec.weights.lazy import in_turn, shape_of
from netspec_onnx.dynamic import free_sizes
from netspec_onnx.options import OnnxOptions
from netspec_onnx.precision import check_variances, element, outer_element, rounded, tensor_of
from netspec_onnx.versions import Lowered, lowered

DOMAIN = "netspec"
BATCH = "N"
"""The symbol of the batch, in every spec."""
WEIGHTS_KEY = "netspec.weights"
"""The metadata of a model that says where its weights are from."""
PROFILE_KEY = "netspec.profile"
"""The metadata of a model that says which profile chose its passes, and which these are."""
SIZES_KEY = "netspec.sizes"
"""The metadata of a model that says which heights and widths it takes, where they are free."""
FOLDED_KEY = "netspec.folded"
"""The metadata of a node that names the steps of the spec that passes have folded into its step."""
SOURCE_KEY = "netspec.source"
"""The metadata of a node that says its line of the spec."""


SHARED = 1024
"""Bytes of a constant at most that is looked for among others."""


@dataclass(eq=False)
class _Scope:
    """Where nodes are being written: the main graph, or the body of a function."""

    region: Region
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    values: dict[Ref, str] = field(default_factory=dict)
    """Names of values made outside."""
    tensors: dict[str, str] = field(default_factory=dict)
    """State-dict keys that are read inside, in order, and their names here."""
    constants: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)
    """The names of constants here, by what they hold: equal ones are one node."""
    is_function: bool = False

    def value(self, ref: Ref) -> str:
        """The name of a value here."""
        return self.values.get(ref) or self.region.relative(str(ref))

    def step(self, path: str) -> str:
        """The path of a step that is no node here any more, relative to the block where it stood in it."""
        return self.region.relative(path) if path.startswith(f"{self.region.path}.") else path

    def tensor(self, key: str) -> str:
        """The name of a weight here: its key, relative to the block inside a function.

        Blocks that share weights are one function, so it is relative to where the block's weights are. What stands
        elsewhere (own weights next to shared ones, weights from outside) is marked: it may have the same name inside.
        """
        if key not in self.tensors:
            home = self.region.scope.weights_at + "."
            if not self.is_function:
                name = key
            elif key.startswith(home):
                name = key.removeprefix(home)
            elif key.startswith(self.region.path + "."):
                name = f"own:{self.region.relative(key)}"
            else:
                name = f"outer:{key}"
            self.tensors[key] = name
        return self.tensors[key]


class Emitter:
    """Writes the nodes of one graph and collects the functions of its blocks."""

    def __init__(self, graph: Graph, options: OnnxOptions, lowered: Lowered) -> None:
        self.graph, self.options, self.lowered = graph, options, lowered
        self.functions: dict[bytes, onnx.FunctionProto] = {}
        self.names: set[str] = set()

    def main(self) -> _Scope:
        """The nodes of the main graph; outputs get their own names, values of the same name another."""
        root = tree(self.graph)
        scope = _Scope(root)
        inputs = {node.path for node in self.graph.inputs}
        if clash := inputs & self.graph.outputs.keys():
            message = f"'{min(clash)}' is an input and an output, in ONNX they share one set of names"
            raise DataError("NS603", message, "`outputs:` of the spec gives the output another name")
        scope.values |= self.entering(scope)
        copies = []
        for name, output in self.graph.outputs.items():
            if output.ref in scope.values or output.ref.node in inputs:
                copies.append((output.ref, name))
            elif self.casts:
                scope.values[output.ref] = f"{name}:{element(self.options).name}"
                copies.append((output.ref, name))
            else:
                scope.values[output.ref] = name
        for name in self.graph.outputs:
            if name in self.graph and Ref(name) not in scope.values:
                scope.values[Ref(name)] = f"{name}:0"
        self.items(root, scope)
        scope.nodes += [self.leaving(scope.value(ref), name) for ref, name in copies]
        return scope

    def leaving(self, value: str, name: str) -> onnx.NodeProto:
        """The node that gives a value under the name of an output, in the type of the outputs."""
        if self.casts:
            return helper.make_node("Cast", [value], [name], name=f"/{name}/Cast", to=outer_element(self.options).kind)
        return helper.make_node("Identity", [value], [name], name=f"/{name}/Identity")

    @property
    def casts(self) -> bool:
        """Whether inputs and outputs are of another type than the model computes in."""
        return element(self.options) is not outer_element(self.options)

    def entering(self, scope: _Scope) -> dict[Ref, str]:
        """The inputs in the type that the model computes in, cast where they are of another."""
        if not self.casts:
            return {}
        inner = element(self.options)
        cast = {node.path: f"{node.path}:{inner.name}" for node in self.graph.inputs}
        scope.nodes += [
            helper.make_node("Cast", [name], [value], name=f"/{name.replace('.', '/')}/Cast", to=inner.kind)
            for name, value in cast.items()
        ]
        return {Ref(name): value for name, value in cast.items()}

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
        names = {f"x{i}": scope.value(ref) for i, ref in enumerate(node.inputs)}
        names |= {f"y{i}": scope.value(Ref(node.path, i)) for i in range(len(node.shapes))}
        path = scope.region.relative(node.path)
        weights = {*node.result.weights, *node.result.stats}
        types: dict[str, int] = {}
        rows = self.lowered.rows[node.path]
        home = path if len(rows) > 1 else path.rpartition(".")[0]
        for row in rows:
            types[row.op_type] = types.get(row.op_type, 0) + 1
            count = f"_{types[row.op_type]}" if types[row.op_type] > 1 else ""
            name, written = f"/{path.replace('.', '/')}/{row.op_type}{count}", len(scope.nodes)

            def named(value: str, tag: str = path) -> str:
                if value in weights:
                    return scope.tensor(f"{node.weights_at}.{value}")
                return names.get(value) or (f"{tag}:{value}" if value else "")

            inputs = [
                self.constant(v, f"{path}:{row.op_type.lower()}{types[row.op_type]}.{i}", name, scope, row.exact)
                if isinstance(v, np.ndarray)
                else named(v)
                for i, v in enumerate(row.inputs)
            ]
            for constant in scope.nodes[written:]:
                self.annotate(constant, home, "")

            made = helper.make_node(row.op_type, inputs, [named(v) for v in row.outputs], name=name)
            made.attribute.extend(helper.make_attribute(key, row.attrs[key]) for key in sorted(row.attrs))
            self.annotate(made, home, str(node.span or ""))
            if node.folded:
                made.metadata_props.add(key=FOLDED_KEY, value=", ".join(map(scope.step, node.folded)))
            scope.nodes.append(made)

    def constant(self, array: np.ndarray, value: str, name: str, scope: _Scope, exact: bool = False) -> str:
        """Writes a constant, or finds its equal; numbers take the type of the model, unless they are exact."""
        if array.dtype == np.float32 and not exact:
            array = array.astype(element(self.options).numpy)
        if array.nbytes <= SHARED:
            key = (array.dtype.name, array.shape, array.tobytes())
            if key in scope.constants:
                return scope.constants[key]
            scope.constants[key] = value
        tensor = tensor_of(array, value)
        name = f"{name}.{value.rpartition('.')[2]}"
        scope.nodes.append(helper.make_node("Constant", [], [value], name=name, value=tensor))
        return value

    def annotate(self, made: onnx.NodeProto, path: str, source: str) -> None:
        """Adds where a node stands, as readers that fold blocks take it, and the line of the spec."""
        for key, value in (("namespace", path.replace(".", "/")), (SOURCE_KEY, source)):
            if value:
                made.metadata_props.add(key=key, value=utf8(value))

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
        path = scope.region.relative(region.path)
        operands = [*(scope.value(r) for r in region.inputs), *(scope.tensor(k) for k in tensors)]
        made = helper.make_node(
            function.name,
            operands,
            [scope.value(r) for r in region.outputs],
            domain=DOMAIN,
            name=f"/{path.replace('.', '/')}",
        )
        self.annotate(made, path.rpartition(".")[0], str(region.scope.span or ""))
        scope.nodes.append(made)
        return None

    def function(self, region: Region, inner: _Scope, inputs: list[str]) -> onnx.FunctionProto:
        """The function of a block: one for all calls with the same body; other bodies get a number."""
        outputs = [inner.value(r) for r in region.outputs]
        made = onnx.FunctionProto(
            domain=DOMAIN, name=region.scope.block, input=inputs, output=outputs, node=inner.nodes
        )
        key = made.SerializeToString(deterministic=True)
        if key not in self.functions:
            name, count = region.scope.block, 1
            while name in self.names:
                count += 1
                name = f"{region.scope.block}_{count}"
            self.names.add(name)
            made.name, made.doc_string = name, utf8(region.scope.doc)
            self.functions[key] = made
        return self.functions[key]


def utf8(text: str) -> str:
    """A text of the spec as the strings of a model can hold it; a file's name may be none in any encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def build_model(graph: Graph, arrays: Mapping[str, np.ndarray], options: OnnxOptions) -> onnx.ModelProto:
    """The model of an inference graph with its weights inside; raises DataError, UsageError."""
    model = structure(graph, options)
    model.graph.initializer.extend(tensors(graph, arrays, options))
    return model


MOST_IMAGES = 65_536
"""In a batch that is fixed."""


def structure(graph: Graph, options: OnnxOptions) -> onnx.ModelProto:
    """The model without its weights; raises DataError, UsageError."""
    if options.training:
        raise UsageError("ONNX models are written for inference", "--training goes with --to torch")
    if options.batch is not None and not 1 <= options.batch <= MOST_IMAGES:
        raise UsageError(f"--batch {options.batch}: a batch is of 1 to {MOST_IMAGES:,} images", "as in --batch 1")
    kind, outer = element(options).kind, outer_element(options).kind
    sizes = free_sizes(graph, options) if options.dynamic else None
    made_of = lowered(graph, options, sizes.shape if sizes else None)
    emitter = Emitter(graph, options, made_of)
    scope = emitter.main()

    def declared(ref: Ref) -> list[int | str | None]:
        shape = sizes.declared(ref) if sizes else graph.shape(ref)
        return [options.batch if size == BATCH and options.batch else size for size in shape]

    def outside(name: str, ref: Ref) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, outer, declared(ref))

    def inside(name: str, ref: Ref) -> onnx.ValueInfoProto:
        # tract, told the sizes of an input, refuses a symbol here: a free size is left open
        known = [size if isinstance(size, int) else None for size in declared(ref)]
        return helper.make_tensor_value_info(name, kind, known)

    made = {name for node in scope.nodes for name in node.output} - graph.outputs.keys()
    refs = [Ref(n.path, i) for n in graph.nodes.values() if n.op != "input" for i in range(len(n.shapes))]
    values = {scope.value(ref): ref for ref in refs}
    proto = helper.make_graph(
        scope.nodes,
        graph.name,
        [outside(n.path, Ref(n.path)) for n in graph.inputs],
        [outside(name, o.ref) for name, o in graph.outputs.items()],
        value_info=[inside(name, ref) for name, ref in values.items() if name in made],
    )
    opsets = [helper.make_opsetid("", made_of.opset)]
    for function in emitter.functions.values():
        function.opset_import.extend([*opsets, helper.make_opsetid(DOMAIN, 1)])
    model = helper.make_model(
        proto,
        functions=list(emitter.functions.values()),
        producer_name="netspec",
        producer_version=__version__,
        doc_string=utf8(graph.title),
        opset_imports=[*opsets, *([helper.make_opsetid(DOMAIN, 1)] if emitter.functions else [])],
    )
    model.ir_version = made_of.ir_version
    if sizes:
        model.metadata_props.add(key=SIZES_KEY, value=sizes.note)
    if options.passes:
        model.metadata_props.add(key=PASSES, value=utf8(",".join(options.passes)))
    if options.profile:
        model.metadata_props.add(key=PROFILE_KEY, value=utf8(options.profile))
    if options.origin and graph.tensors():
        model.metadata_props.add(key=WEIGHTS_KEY, value=options.origin)
    return model


def fitting(graph: Graph, arrays: Mapping[str, np.ndarray], options: OnnxOptions) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights by state-dict key.

    Raises DataError for one that is missing or misshapen, SpecError for one that the type of the model loses.
    """
    shapes = {key: tuple(map(int, shape)) for key, (shape, _, _) in graph.tensors().items()}
    for key, shape in shapes.items():
        if shape_of(arrays, key) != shape:
            raise DataError(
                "NS602",
                f"the weight '{key}' is missing, or of another shape",
                f"it is {'x'.join(map(str, shape)) or 'one number'}",
            )
    if element(options).name == "float16":
        check_variances(graph, arrays, options)
    return shapes


def tensors(graph: Graph, arrays: Mapping[str, np.ndarray], options: OnnxOptions) -> Iterator[onnx.TensorProto]:
    """The weights as initialisers under their state-dict keys; raises DataError, SpecError for a misfit."""
    kind = element(options).kind
    shapes = fitting(graph, arrays, options)
    with in_turn(arrays, shapes) as take:
        for key, shape in shapes.items():
            yield onnx.TensorProto(
                name=key, dims=shape, data_type=kind, raw_data=rounded(graph, key, take(), options).tobytes()
            )


def weight_bytes(graph: Graph, options: OnnxOptions) -> int:
    """The size of all weights in the model; raises UsageError."""
    each = element(options).numpy.itemsize
    return sum(prod(map(int, shape)) for shape, _, _ in graph.tensors().values()) * each
