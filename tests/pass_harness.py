"""What the tests of passes share: small specs, and that a module computes what the graph before its passes does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from conftest import agreement

import netspec
from netspec.analysis.cost import totals
from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.ir.module import Module
from netspec.network import Network
from netspec.weights.initialise import draw
from netspec.weights.lazy import Arrays, Lazy, computed

FOLD = ["fold_batch_norm"]


def spec(tmp_path: Path, text: str, variant: str | None = None, **more: object) -> Network:
    path = tmp_path / "net.yaml"
    path.write_text(f"netspec: 1\nname: net\n{text}", encoding="utf-8")
    return netspec.load(path, variant, **more)  # type: ignore[arg-type]


def lazy(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Arrays that are there, as those that are made when they are asked for."""
    return Arrays({key: Lazy(a.shape, a.dtype, lambda a=a: a) for key, a in arrays.items()})  # type: ignore[misc]


def run(backend: str, graph: Graph, arrays: Mapping[str, np.ndarray], count: int = 2) -> dict[str, np.ndarray]:
    """What a graph gives for images that are the same for every graph with these inputs."""
    rng = np.random.default_rng(7)
    given = {str(n.path): 2 * rng.standard_normal((count, *map(int, n.shape[1:])), np.float32) for n in graph.inputs}
    outputs: dict[str, np.ndarray] = get(backend).run(graph, arrays, given).outputs
    return outputs


def equal(before: Graph, module: Module, backend: str, tol: float = 1e-5) -> None:
    """Asserts that a module computes what the graph before its passes does, with drawn weights and statistics."""
    arrays = draw(before, 3)
    made = computed(module, lazy(arrays)).all()
    assert {key: made[key].shape for key in made} == {k: tuple(s) for k, (s, _, _) in module.graph.tensors().items()}
    assert all(array.dtype == np.float32 for array in made.values())
    wanted, got = run(backend, before, arrays), run(backend, module.graph, made)
    agreement(wanted, {name: value.reshape(wanted[name].shape) for name, value in got.items()}, tol)


def counts(graph: Graph) -> tuple[int, int, int]:
    """Nodes, batch norms, parameters."""
    norms = sum(node.op == "batch_norm" for node in graph.nodes.values())
    return len(graph), norms, totals(graph.nodes.values()).params
