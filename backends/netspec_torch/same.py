"""What a region computes apart from its weights: whether one instance of a class may be called for two of them."""

from __future__ import annotations

from netspec.ir.graph import Graph, Ref
from netspec.ir.scope_tree import Region
from netspec_torch.lowering import row_of


def computes(region: Region, graph: Graph) -> tuple[object, ...]:
    """Equal for two regions that one `forward` serves: the ops, their text, and what reads what."""
    numbers: dict[Ref, int] = {ref: -1 - i for i, ref in enumerate(region.inputs)}
    steps: list[object] = []
    for node in region.nodes():
        row, shapes = row_of(node), [graph.shape(ref) for ref in node.inputs]
        text = [make and make(node, shapes) for make in (row.layer, row.call, row.before, row.after)]
        steps.append((node.op, *text, *(numbers[ref] for ref in node.inputs)))
        numbers |= {Ref(node.path, i): len(numbers) + i for i in range(len(node.shapes))}
    return *steps, *(numbers[ref] for ref in region.outputs)
