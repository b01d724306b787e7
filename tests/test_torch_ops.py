"""Every op as PyTorch: the written source gives what torch's functions give, and netspec's shape."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
import torch
from conformance import CASES, IDS, Reference, Shapes, arrays_of, in_a_chain, one_op
from conftest import sampled
from netspec_torch.helpers import HELPERS
from netspec_torch.lowering import ROWS

from netspec.backend import get
from netspec.ops import OPS
from netspec.weights.initialise import draw


def test_every_row_is_of_an_op_that_has_a_case() -> None:
    assert {op for op, *_ in CASES} == set(ROWS)


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
@pytest.mark.quick(36)
def test_the_source_gives_what_torch_gives(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    graph = one_op(op, attrs, shapes)
    weights = draw(graph, seed=3)
    named = {key.removeprefix("step."): torch.from_numpy(value) for key, value in weights.items()}
    for batch in sampled((2, 1, 7), 1):
        inputs = arrays_of(shapes, batch)
        expected = reference(*map(torch.from_numpy, inputs.values()), named)
        expected = list(expected) if isinstance(expected, tuple | list) else [expected]
        got = list(get("torch").run(graph, weights, inputs).outputs.values())
        assert [g.shape for g in got] == [(batch, *shape[1:]) for shape in graph.nodes["step"].shapes]
        for mine, theirs in zip(got, expected, strict=True):
            assert mine.shape == tuple(theirs.shape)
            assert np.abs(mine - theirs.numpy()).max() <= OPS[op].tolerance * np.abs(theirs.numpy()).max()


@pytest.mark.parametrize("op", sorted(ROWS))
def test_an_argument_that_is_left_out_has_torchs_default(op: str) -> None:
    """What a row takes for the default of a layer is that of the layer: it is not written into the source."""
    seen = set()
    for name, attrs, shapes, _ in CASES:
        if name == op and ROWS[op].layer is not None:
            graph = one_op(op, attrs, shapes)
            layer = ROWS[op].layer(graph.nodes["step"], [graph.nodes[f"x{i}"].shape for i in range(len(shapes))])
            if layer is not None:
                seen.add((layer.cls, *((a.key, a.default) for a in layer.args if not a.positional)))
    for cls, *arguments in seen:
        base = re.search(rf"class {cls}\((nn\.\w+)\)", HELPERS.get(cls, ""))
        own = base[1] if base is not None and base[1] != "nn.Module" else cls
        if not own.startswith("nn."):
            assert not arguments
            continue
        theirs = inspect.signature(getattr(torch.nn, own.removeprefix("nn."))).parameters
        for key, default in arguments:
            assert default in (theirs[key].default, None), f"{cls}: {key}"


def one_result(op: str, attrs: dict[str, Any], shapes: Shapes) -> bool:
    """Whether an op takes one value and gives one, as a link of a chain does."""
    return len(shapes) == 1 and len(one_op(op, attrs, shapes).outputs) == 1


CHAINS = sampled(
    [(id_, *case) for id_, case in zip(IDS, CASES, strict=True) if one_result(*case[:3])], 1, lambda chain: chain[1]
)


@pytest.mark.parametrize("op, attrs, shapes, reference", [c[1:] for c in CHAINS], ids=[c[0] for c in CHAINS])
@pytest.mark.quick(25)
def test_the_layer_in_a_chain_gives_what_torch_gives(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    """In nn.Sequential an op is a layer, where `forward` would write an expression."""
    graph = in_a_chain(op, attrs, shapes[0])
    weights, inputs = draw(graph, seed=3), arrays_of(shapes, 2)
    named = {key.rpartition(".")[2]: torch.from_numpy(value) for key, value in weights.items()}
    expected = reference(torch.from_numpy(inputs["x0"]), named).numpy()
    (got,) = get("torch").run(graph, weights, inputs).outputs.values()
    assert got.shape == expected.shape and np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("op, attrs, shapes, reference", [c[1:] for c in CHAINS], ids=[c[0] for c in CHAINS])
def test_a_chain_is_a_sequence_of_layers(op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference) -> None:
    """Wherever the row has a layer and nothing is done around it."""
    node, row = one_op(op, attrs, shapes).nodes["step"], ROWS[op]
    entering = [("N", *shape) for shape in shapes]
    alone = all(around is None or around(node, entering) == "{0}" for around in (row.before, row.after))
    layer = row.layer(node, entering) if row.layer is not None else None
    written = get("torch").source(in_a_chain(op, attrs, shapes[0]))
    assert ("nn.Sequential(" in written) == (layer is not None and alone)


@pytest.mark.parametrize("count_pad", [True, False])
@pytest.mark.parametrize("ceil", [True, False])
@pytest.mark.parametrize(
    "kernel, stride, pad, size",
    [
        ((3, 3), (2, 2), (1, 0, 0, 1), (8, 9)),
        ((3, 2), (2, 3), (0, 1, 1, 0), (8, 9)),
        ((4, 4), (3, 3), (2, 1, 0, 2), (9, 10)),
    ],
)
def test_average_pools_with_uneven_pads(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    pad: tuple[int, int, int, int],
    ceil: bool,
    count_pad: bool,
) -> None:
    """Each window by its definition: the mean over its cells, padding counted or not, nothing beyond it."""
    graph = one_op(
        "avg_pool",
        {"kernel": kernel, "stride": stride, "pad": pad, "ceil": ceil, "count_pad": count_pad},
        ((2, *size),),
    )
    inputs = arrays_of(((2, *size),), 2)
    x, (top, bottom, left, right) = inputs["x0"], pad
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    real = np.pad(np.ones(size), ((top, bottom), (left, right)), constant_values=float(count_pad))
    _, _, height, width = graph.nodes["step"].shape
    expected = np.empty((2, 2, int(height), int(width)))
    for i in range(int(height)):
        for j in range(int(width)):
            rows = slice(i * stride[0], i * stride[0] + kernel[0])
            columns = slice(j * stride[1], j * stride[1] + kernel[1])
            expected[:, :, i, j] = padded[:, :, rows, columns].sum((2, 3)) / real[rows, columns].sum()
    for backend in ("torch", "onnx"):
        got = get(backend).run(graph, {}, inputs).outputs["y0"]
        assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max(), backend


@pytest.mark.slow
@pytest.mark.parametrize("op, expected", [("add", 99_999 * 3), ("mul", 3), ("mean", 3)])
def test_python_compiles_a_join_of_many_operands(op: str, expected: int) -> None:
    """Python nests each sign in the one before, and compiles about a thousand."""
    shapes = [(3, 1, 1)] * 99_999
    graph = one_op(op, {}, [shapes[0]] * 2)
    node = next(node for node in graph.nodes.values() if node.op == op)
    row = ROWS[op]
    assert row.call is not None
    text = row.call(node, shapes)
    terms = [int(term) for term in re.findall(r"\{(\d+)\}", text)]
    assert terms == list(range(99_999))
    values = {f"x{i}": 3 if op != "mul" or i == 0 else 1 for i in terms}
    assert eval(compile(re.sub(r"\{(\d+)\}", r"x\1", text), "sum", "eval"), values) == expected
