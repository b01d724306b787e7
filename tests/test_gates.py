"""Gated layers equal their equations, computed in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import agreement
from parity import SPECS

import netspec
from netspec.backend import get
from netspec.weights.initialise import draw


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_highway(backend: str) -> None:
    """Srivastava et al. 2015, equation 3."""
    graph = netspec.load(f"{SPECS}/blocks/gates.yaml:highway").graph
    w = draw(graph, 1)
    x = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    g = sigmoid(x @ w["g.gate.weight"].T + w["g.gate.bias"])
    h = np.maximum(x @ w["transformed.h.linear.weight"].T + w["transformed.h.linear.bias"], 0)
    found = get(backend).run(graph, w, {"input": x}).outputs
    agreement(h * g + x * (1 - g), next(iter(found.values())))


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_gru(backend: str) -> None:
    """The lectures' equations 11 to 14: the new value is weighted by z, the old one by 1 - z."""
    graph = netspec.load(f"{SPECS}/blocks/gates.yaml:gru").graph
    w = draw(graph, 2)
    rng = np.random.default_rng(1)
    a, h = (rng.normal(size=(3, n)).astype(np.float32) for n in (20, 50))

    def affine(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        new = x @ w[f"{name}.new.linear.weight"].T + w[f"{name}.new.linear.bias"]
        return new + y @ w[f"{name}.old.linear.weight"].T

    r, z = sigmoid(affine("r", a, h)), sigmoid(affine("z", a, h))
    y = np.tanh(affine("y", a, r * h))
    found = get(backend).run(graph, w, {"a": a, "h": h}).outputs
    agreement(z * y + (1 - z) * h, next(iter(found.values())))
    assert sum(v.size for v in w.values()) == 3 * (20 * 50 + 50 * 50 + 50)  # catalogue: 3 (n_in n + n^2 + n)


def test_the_gate_of_a_highway_layer_begins_closed() -> None:
    from netspec.weights.initialise import initialise

    arrays = initialise(netspec.load("highway").graph)
    gates = [v for k, v in arrays.items() if k.endswith("g.gate.bias")]
    assert len(gates) == 48 and all((g == -2).all() for g in gates)
