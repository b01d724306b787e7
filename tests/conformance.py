"""The samples that stand beside every op as graphs, with what their references give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import sampled
from references import REFERENCES

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Output, Ref, Scope
from netspec.ops import OPS, Tensor
from netspec.ops.registry import ROIS

Shapes = tuple[tuple[int, ...], ...]
Reference = Callable[..., Any]
"""(operands, tensors by name) -> what torch gives."""


def one_op(op: str, attrs: dict[str, Any], shapes: Shapes) -> Graph:
    """A graph of one op; its operands are the inputs x0, x1, ..."""
    inputs = []
    for i, shape in enumerate(shapes):
        result = OPS["input"].infer([], {"shape": ("N", *shape)})
        inputs.append(Node(f"x{i}", "input", (), result.attrs, result, f"x{i}"))
    result = OPS[op].infer([Tensor(n.shape) for n in inputs], attrs)
    node = Node("step", op, tuple(Ref(n.path) for n in inputs), result.attrs, result, "step")
    outputs = {f"y{i}": Output(Ref("step", i)) for i in range(len(result.shapes))}
    return Graph("one", [*inputs, node], outputs).check()


def in_a_chain(op: str, attrs: dict[str, Any], shape: tuple[int, ...]) -> Graph:
    """A graph of one op after the identity in a group, which PyTorch's source writes as nn.Sequential of layers."""
    alone = one_op(op, attrs, (shape,))
    (x, step), path = alone.nodes.values(), Path("chain")
    same = OPS["identity"].infer([Tensor(x.shape)], {})
    first = Node(path.child("same"), "identity", (Ref(x.path),), same.attrs, same, path.child("same"))
    last = replace(step, path=path.child("step"), inputs=(Ref(first.path),), weights_at=path.child("step"))
    return Graph("chained", [x, first, last], {"y": Output(Ref(last.path))}, [Scope(path, "group", path)]).check()


def reference(op: str, attrs: Mapping[str, Any]) -> Reference:
    """What an op gives with these attributes, and the defaults of others."""
    defaults = {p.name: p.default for p in OPS[op].params if not p.required and p.default is not None}

    def given(*operands_and_weights: Any) -> Any:
        *operands, weights = operands_and_weights
        return REFERENCES[op](*operands, w=weights, **(defaults | dict(attrs)))

    return given


CASES: list[tuple[str, dict[str, Any], Shapes, Reference]] = [
    (op.name, dict(attrs), operands, reference(op.name, attrs)) for op in OPS.values() for attrs, operands in op.samples
]
IDS = [f"{op}-{i}" for i, (op, *_) in enumerate(CASES)]
EACH_OP = sampled([pytest.param(*case, id=id) for case, id in zip(CASES, IDS, strict=True)], 1, lambda p: p.values[0])
"""One case of each op, and all with --slow: for what is done with an op beside computing it."""


def arrays_of(shapes: Shapes, batch: int) -> dict[str, np.ndarray]:
    """Random operands; where the second is regions of interest, they are of the first."""
    rng = np.random.default_rng(batch)
    found = {f"x{i}": (2 * rng.standard_normal((batch, *shape))).astype(np.float32) for i, shape in enumerate(shapes)}
    if shapes[1:2] == (ROIS,):  # from beyond the corner of the map to beyond its end
        corners = rng.uniform(-8, 4 * 12, (2, batch, 2))
        found["x1"] = np.concatenate(
            [rng.permutation(batch)[:, None], corners.min(0), corners.max(0) + 1], axis=1
        ).astype(np.float32)
    return found
