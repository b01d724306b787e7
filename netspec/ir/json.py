"""The graph as JSON, for other tools."""

from __future__ import annotations

import json

from netspec.ir.graph import Graph


def to_json(graph: Graph) -> str:
    """Nodes, scopes and outputs as JSON; shapes are lists whose first entry is the batch's symbol."""
    return json.dumps(as_data(graph), indent=1)


def as_data(graph: Graph) -> dict[str, object]:
    """What to_json() prints."""
    return {
        "name": graph.name,
        "title": graph.title,
        "nodes": [
            {
                "path": n.path,
                "op": n.op,
                "inputs": [str(r) for r in n.inputs],
                "attrs": dict(n.attrs),
                "shapes": n.shapes,
                "weights": {f"{n.weights_at}.{k}": s for k, s in n.result.weights.items()},
                "statistics": {f"{n.weights_at}.{k}": s for k, s in n.result.stats.items()},
                "macs": n.result.macs,
                "source": str(n.span or ""),
                **({"title": n.title} if n.title else {}),
                **({"folded": n.folded} if n.folded else {}),
            }
            for n in graph.nodes.values()
        ],
        "scopes": [
            {
                "path": s.path,
                "kind": s.kind,
                "block": s.block,
                "args": dict(s.args),
                "doc": s.doc,
                "source": str(s.span or ""),
                **({"title": s.title} if s.title else {}),
            }
            for s in graph.scopes.values()
        ],
        "outputs": {
            name: {"from": str(o.ref), "loss_weight": o.loss_weight, "training_only": o.training_only}
            for name, o in graph.outputs.items()
        },
    }
