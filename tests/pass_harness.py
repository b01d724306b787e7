"""What the tests of passes share: small specs, and that a module computes what the graph before its passes does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from conformance import arrays_of
from conftest import agreement, sampled
from pass_networks import small_networks

import netspec
from netspec.analysis.cost import totals
from netspec.backend import MakesModules, able, get
from netspec.ir.graph import Graph, Output
from netspec.ir.module import Module
from netspec.network import Network
from netspec.ops import OPS
from netspec.passes.base import Pass, Stage
from netspec.passes.rewriter import ShapeMismatch
from netspec.weights.initialise import draw
from netspec.weights.lazy import Arrays, Lazy, computed
from netspec.weights.sample_inputs import sample

FOLD = ["fold_batch_norm"]
TOLERANCE = 5e-5
"""What a pass may change in a whole network, as a share of the largest number: its weights are rounded otherwise."""


def spec(tmp_path: Path, text: str, variant: str | None = None, **more: object) -> Network:
    path = tmp_path / "net.yaml"
    path.write_text(f"netspec: 1\nname: net\n{text}", encoding="utf-8")
    return netspec.load(path, variant, **more)  # type: ignore[arg-type]


def lazy(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Arrays that are there, as those that are made when they are asked for."""
    return Arrays({key: Lazy(a.shape, a.dtype, lambda a=a: a) for key, a in arrays.items()})  # type: ignore[misc]


def made_of(module: Module, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of a module, made of those of the graph before its passes."""
    made = computed(module, lazy(arrays))
    return {key: made[key] for key in module.graph.tensors()}


def images(graph: Graph) -> dict[str, np.ndarray]:
    """Two of each input, the same for every graph with these inputs: what it takes, images of twice the contrast."""
    kinds = {str(node.path): node.attrs.get("sample", "normal") for node in graph.inputs}
    drawn = sample({str(node.path): node.shape for node in graph.inputs}, kinds, 2, 7)
    return {name: 2 * value if kinds[name] == "normal" else value for name, value in drawn.items()}


def in_float64(graph: Graph, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a graph gives for `images`, computed in float64 by PyTorch."""
    module = able("torch", MakesModules).to_module(graph, arrays, by_name=True).double()
    given = [torch.from_numpy(value.astype(np.float64)) for value in images(graph).values()]
    with torch.no_grad():
        return {name: value.numpy() for name, value in module(*given).items()}


def run(
    backend: str, graph: Graph, arrays: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """What a graph gives for these images, or for two that are the same for every graph with these inputs."""
    given = images(graph) if given is None else given
    outputs: dict[str, np.ndarray] = get(backend).run(graph, arrays, given).outputs
    return outputs


class Reference:
    """What a graph computes before any pass, with drawn weights and statistics; run once for all that is compared."""

    def __init__(self, graph: Graph, backend: str, given: Mapping[str, np.ndarray] | None = None) -> None:
        self.graph, self.backend, self.given = graph, backend, given
        self.arrays = draw(graph, 3)
        self.outputs = run(backend, watched(graph), self.arrays, given)

    def against(self, module: Module, tol: float = 1e-5) -> float:
        """Asserts that a module computes the same; gives the largest error, as a share of the largest value.

        Outputs are compared by name, whatever their shapes, and so is what leaves a scope by name; those of training
        may go. Where operands are given, errors are shares of the largest value, which may have any size.
        """
        made = made_of(module, self.arrays)
        tensors = module.graph.tensors()
        assert {key: made[key].shape for key in made} == {key: tuple(shape) for key, (shape, _, _) in tensors.items()}
        assert all(array.dtype == np.float32 for array in made.values())
        needed = {name for name, output in self.graph.outputs.items() if not output.training_only}
        assert needed <= module.graph.outputs.keys() <= self.graph.outputs.keys()
        got = run(self.backend, watched(module.graph), made, self.given)
        expected = {name: self.outputs[name] for name in got}
        # of what no signal was tuned for, nothing is known of the size
        sizes = {name: np.abs(value).max() if self.given else 1 for name, value in expected.items()}
        fitted = {name: value.reshape(expected[name].shape) / sizes[name] for name, value in got.items()}
        agreement({name: value / sizes[name] for name, value in expected.items()}, fitted, tol)
        return max(share(value, got[name]) for name, value in expected.items())

    @cached_property
    def rough(self) -> bool:
        """Whether the graph makes so much of rounding that float32 says nothing: two runtimes differ on it."""
        other = run({"torch": "onnx", "onnx": "torch"}[self.backend], watched(self.graph), self.arrays, self.given)
        return max(share(self.outputs[name], other[name]) for name in self.outputs) > TOLERANCE

    def exactly(self, module: Module) -> float:
        """As `against`, of a rough graph: in float64, where a pass may change what float32 does at most.

        That is how far the graph before it is from float64 in this backend: the weights of a pass are in float32.
        """
        expected = in_float64(self.graph, self.arrays)
        got = in_float64(module.graph, made_of(module, self.arrays))
        worst = max(share(expected[name], value) for name, value in got.items())
        single = max(share(expected[name], self.outputs[name]) for name in got)
        assert worst <= max(TOLERANCE, single), f"in float64 outputs differ by {worst:.2g}, in float32 by {single:.2g}"
        return worst


def share(a: np.ndarray, b: np.ndarray) -> float:
    """How far b is from a, whatever its shape, as a share of the largest number of a."""
    return float(np.abs(a - b.reshape(a.shape)).max() / np.abs(a).max())


def equal(
    before: Graph, module: Module, backend: str, tol: float = 1e-5, given: Mapping[str, np.ndarray] | None = None
) -> None:
    """Asserts that a module computes what the graph before its passes does, as `Reference` does."""
    Reference(before, backend, given).against(module, tol)


def watched(graph: Graph) -> Graph:
    """The graph with what leaves its scopes by name as further outputs."""
    outs = {
        f"{scope.path}_{name}".replace(".", "_"): Output(ref)
        for scope in graph.scopes.values()
        for name, ref in scope.outs.items()
    }
    return Graph(graph.name, graph.nodes, {**outs, **graph.outputs}, graph.scopes) if outs else graph


def keeps_weights(before: Graph, module: Module) -> None:
    """Asserts that a module has the numbers of the graph before it, in whatever shapes."""
    arrays = draw(before, 3)
    made = made_of(module, arrays)
    assert all(np.array_equal(made[key].ravel(), arrays[key].ravel()) for key in made)


@dataclass(frozen=True)
class Small:
    """A small network, and what is given to it."""

    op: str
    place: str
    graph: Graph
    given: Mapping[str, np.ndarray]


@cache
def small() -> list[Small]:
    """Every op in every place."""
    return [Small(op, place, graph, arrays_of(shapes, 4)) for op, place, shapes, graph in small_networks()]


def changed(p: Pass, networks: Iterable[Small]) -> list[tuple[Small, Module]]:
    """Those that a pass changes, each with what it leaves; one that is not asked for by name refuses none."""
    found: list[tuple[Small, Module]] = []
    for network in networks:
        module = Module(network.graph)
        try:
            after = p(module)
        except ShapeMismatch:
            assert p.named, f"{p.name} refuses {network.op} {network.place}"
            continue
        if after is not module:
            found.append((network, after))
    return found


def prove(p: Pass, backend: str, networks: Iterable[Small]) -> None:
    """Asserts that a pass changes some of these networks, and none of what they compute."""
    quick = 2 if backend == "torch" else 1
    found = sampled(changed(p, networks), quick, lambda pair: pair[0].place, slow=3)
    assert found, f"no small network has what {p.name} looks for: tests/pass_networks.py needs one"
    for network, module in found:
        try:
            equal(network.graph, module, backend, max(2e-5, OPS[network.op].tolerance), network.given)
            if p.stage is Stage.TRAINING:
                keeps_weights(network.graph, module)
        except AssertionError as e:
            raise AssertionError(f"{p.name}, {network.op} {network.place}: {e}") from e


def counts(graph: Graph) -> tuple[int, int, int]:
    """Nodes, batch norms, parameters."""
    norms = sum(node.op == "batch_norm" for node in graph.nodes.values())
    return len(graph), norms, totals(graph.nodes.values()).params
