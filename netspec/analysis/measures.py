"""The measures of a network by name: the columns of `summary` and `list`, facts of `expect` and axes of `plot`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from netspec.analysis import cost
from netspec.analysis.depth import layers_deep
from netspec.analysis.memory import alive, homes, kept, learning
from netspec.analysis.receptive_field import receptive_fields
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.selection import by_path, output_of

Number: TypeAlias = int | float | None
"""What a measure gives; None where it has no value: the receptive field is the whole input, no rule counts the MACs."""


class Measured:
    """A graph with what several measures of it share, each worked out once; `take` is told of the work.

    `trained` is the graph that is trained, where that is another one: it has auxiliary heads and dropout too. The nodes
    of `frozen` are not trained.
    """

    def __init__(
        self,
        graph: Graph,
        take: Callable[[int], None] = lambda work: None,
        trained: Graph | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        self.graph, self.trained, self.take = graph, graph if trained is None else trained, take
        self.frozen = frozen

    @property
    def whole(self) -> Part:
        """All of the network; what it gives is its first output."""
        outputs = [output.ref for output in self.graph.outputs.values()]
        return Part(self, list(self.graph.nodes.values()), outputs[0] if outputs else None, "")

    def at(self, path: str) -> Part:
        """What stands at a path or below it; it holds no node where nothing does."""
        nodes = self._at.get(path, [])
        return Part(self, nodes, output_of(self.graph, path, nodes), path)

    @cached_property
    def _at(self) -> dict[str, list[Node]]:
        """The nodes at every path, of a node or of a scope, and of all at the empty one."""
        return by_path(self.graph)

    def part(self, path: str, nodes: Iterable[Node], gives: Ref | None) -> Part:
        """The same where the nodes at a path, in the order of the graph, and the value that they give are known."""
        return Part(self, list(nodes), gives, path)

    @cached_property
    def alive(self) -> dict[str, int]:
        """Of every node, the bytes of the values that are alive while it runs."""
        self.take(len(self.graph))
        return alive(self.graph)

    def kept(self, path: str) -> int:
        """Bytes that training keeps of what stands at a path, of all for the empty one."""
        nodes = self._trained_at.get(path, [])
        self.take(len(nodes))
        return kept(self.trained, nodes, self._homes, self._learning)

    @cached_property
    def _learning(self) -> set[str]:
        """The nodes of the training graph through which a gradient leads to some weight."""
        self.take(len(self.trained))
        return learning(self.trained)

    @cached_property
    def _homes(self) -> dict[Ref, Ref]:
        """Of every value of the training graph, the one in whose memory it lies."""
        self.take(len(self.trained))
        return homes(self.trained)

    @cached_property
    def _trained_at(self) -> dict[str, list[Node]]:
        """The nodes of the training graph at every path, of a node or of a scope, and of all at the empty one."""
        return by_path(self.trained)

    @cached_property
    def receptive_fields(self) -> dict[str, tuple[int, int] | None]:
        """Of every node, the height and width of what it sees of the input."""
        return receptive_fields(self.graph, self.take)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some nodes of a graph in its order, and the value that they give; what a measure measures."""

    measured: Measured
    nodes: Sequence[Node]
    gives: Ref | None
    path: str
    """Where they stand; empty for the whole network."""


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A number that any part of a network has, and how people call it."""

    name: str
    title: str
    unit: str
    of: Callable[[Part], Number]
    adds_up: bool
    """Whether the number of a network is the sum of those of its parts."""

    @property
    def doc(self) -> str:
        """Its definition, with the paper that it comes from."""
        return inspect.cleandoc(self.of.__doc__ or "")


MEASURES: dict[str, Measure] = {}
"""All measures by name, in the order in which they are listed."""


def measure(
    title: str, unit: str = "", adds_up: bool = False
) -> Callable[[Callable[[Part], Number]], Callable[[Part], Number]]:
    """Registers a function of a part under its name."""

    def register(of: Callable[[Part], Number]) -> Callable[[Part], Number]:
        MEASURES[of.__name__] = Measure(of.__name__, title, unit, of, adds_up)
        return of

    return register


@measure("parameters", adds_up=True)
def params(part: Part) -> int:
    """Trained numbers: weights, biases and the affine part of norms; shared ones count once."""
    return cost.totals(part.nodes).params


@measure("MACs", adds_up=True)
def macs(part: Part) -> int | None:
    """Multiply-accumulates of convolution and linear layers for one image, without bias.

    None where a node has an op whose MACs no rule counts and no other has any.
    """
    found = cost.totals(part.nodes)
    return None if found.uncounted and not found.macs else found.macs


@measure("depth", "layers")
def depth(part: Part) -> int:
    """Convolutions and linear layers on the longest path, which leads through no gate: VGG-16, ResNet-50, SENet-154."""
    return layers_deep(part.nodes)


@measure("neurons", adds_up=True)
def neurons(part: Part) -> int:
    """Outputs of the layers with weights, as Krizhevsky et al. 2012 count neurons, without the input."""
    return cost.neurons(part.nodes)


@measure("weights", "B")
def weights(part: Part) -> int:
    """Bytes of the parameters in float32; papers print them in MiB: the 29 MB of Network in Network are 29.0 MiB."""
    return 4 * cost.totals(part.nodes).params


@measure("activations", "B", adds_up=True)
def activations(part: Part) -> int:
    """Bytes of all that the nodes give, in float32 for one image, as if none of it were freed."""
    return cost.activations(part.nodes)


@measure("memory", "B")
def memory(part: Part) -> int:
    """Bytes of all values that are alive at most while the part runs, for one image in float32, weights apart.

    The steps run in the order of the spec, each value is let go as in the PyTorch module, and the image counts.
    """
    return max((part.measured.alive.get(node.path, 0) for node in part.nodes), default=0)


@measure("memory for training", "B")
def training_memory(part: Part) -> int:
    """Bytes for each image that training keeps of the part until its gradients are computed, weights apart.

    It is what PyTorch's autograd saves in float32; a value that two layers keep counts once.
    """
    return part.measured.kept(part.path)


@measure("arithmetic intensity", "FLOP/B")
def intensity(part: Part) -> float | None:
    """Arithmetic intensity: floating-point operations for each byte that is moved (Williams et al. 2009, Roofline).

    The operations are two for each MAC; each step reads its operands and weights and writes its result once, in
    float32, for one image. None where nothing is moved.
    """
    moved = cost.traffic(part.measured.graph, part.nodes)
    return 2 * (macs(part) or 0) / moved if moved else None


@measure("receptive field", "pixels")
def receptive_field(part: Part) -> int | None:
    """Cells of the input that a value of the result can depend on, the larger of height and width.

    It grows as Araujo et al. 2019 say; None where it is the whole input.
    """
    found = part.measured.receptive_fields.get(part.gives.node) if part.gives is not None else None
    return max(found) if found is not None else None
