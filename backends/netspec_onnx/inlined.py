"""Models without functions: calls written out, so that every value between the steps has a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx
import onnx.inliner

from netspec_onnx.build_model import DOMAIN


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions: what stands in those of netspec has the path of its call before its name."""
    functions = {(f.domain, f.name): f for f in model.functions}
    if not functions:
        return model
    if any(f.domain != DOMAIN for f in model.functions):
        return onnx.inliner.inline_local_functions(model)
    nodes = [*_written_out(model.graph.node, "", {}, functions)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.functions[:]
    return model


Functions = Mapping[tuple[str, str], onnx.FunctionProto]


def _written_out(
    nodes: Sequence[onnx.NodeProto], path: str, names: Mapping[str, str], functions: Functions
) -> Iterator[onnx.NodeProto]:
    """The nodes of a body, each call as what it stands for; `names` are those that the body's inputs have outside."""

    def outside(value: str) -> str:
        return names.get(value) or (f"{path}.{value}" if value and path else value)

    for node in nodes:
        function = functions.get((node.domain, node.op_type))
        if function is None:
            made = onnx.NodeProto()
            made.CopyFrom(node)
            made.name = f"/{path.replace('.', '/')}{node.name}" if path else node.name
            made.input[:], made.output[:] = map(outside, node.input), map(outside, node.output)
            yield made
            continue
        called = node.name.strip("/").replace("/", ".")
        inner = dict(zip(function.input, map(outside, node.input), strict=False))
        inner |= zip(function.output, map(outside, node.output), strict=False)
        yield from _written_out(function.node, f"{path}.{called}" if path else called, inner, functions)
