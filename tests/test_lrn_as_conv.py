"""lrn_as_conv: the power of its factor as square roots, whatever beta is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from conformance import one_op
from conftest import sampled
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions
from pass_harness import made_of, run, spec

from netspec.ir.module import Module
from netspec.passes import NAMED


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("beta", sampled((0.75, 0.5, 1.0, 0.6), 1))
@pytest.mark.quick(1)
def test_the_factor_is_that_of_torch(beta: float, backend: str, tmp_path: Path) -> None:
    """Of values whose squares are large against k, so that the power counts."""
    network = spec(tmp_path, f"input: [9, 4, 5]\nbody:\n  - n = lrn: {{size: 5, alpha: 0.5, beta: {beta}, k: 2}}\n")
    after = NAMED["lrn_as_conv"](Module(network.unfolded))
    x = np.random.default_rng(0).normal(0, 30, (2, 9, 4, 5)).astype(np.float32)
    (got,) = run(backend, after.graph, made_of(after, {}), {"input": x}).values()
    expected = torch.nn.functional.local_response_norm(torch.from_numpy(x).double(), 5, 0.5, beta, 2.0).numpy()
    assert np.allclose(got, expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize(
    ("power", "ops"),
    [(0.5, ["Sqrt"]), (-0.5, ["Sqrt", "Reciprocal"]), (-1.0, ["Reciprocal"]), (1.5, ["Pow"]), (-2.0, ["Pow"])],
)
def test_a_power_with_an_operator_of_its_own_is_written_as_it(power: float, ops: list[str]) -> None:
    graph = one_op("affine", {"power": power, "scale": 3.0, "shift": -1.0}, ((4, 2, 3),))
    model = build_model(graph, {}, OnnxOptions())
    assert [node.op_type for node in model.graph.node if node.op_type not in ("Constant", "Identity")] == [
        *ops,
        "Mul",
        "Add",
    ]
    x = np.random.default_rng(0).uniform(0.1, 9, (2, 4, 2, 3)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: x})
    assert np.allclose(got, 3 * x.astype(np.float64) ** power - 1, rtol=2e-6, atol=1e-6)
