"""Small networks that hold what a pass may stumble over, with every op of every sample at every place in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from conformance import CASES, Shapes
from conftest import sampled

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Output, Ref, Scope
from netspec.ops import OPS, OpError, Tensor

Attrs = Mapping[str, Any]

LAYERS: dict[str, tuple[str, Attrs]] = {
    "conv": ("conv", {"kernel": 3, "pad": 1, "bias": False}),
    "grouped conv_transpose": ("conv_transpose", {"kernel": 1, "groups": 2}),
    "linear": ("linear", {"bias": False}),
}
"""Layers that keep the shape of the map or row that they read, which stands in `out`."""


class Made:
    """A graph in the making."""

    def __init__(self, shapes: Shapes, layer: str) -> None:
        self.nodes: dict[str, Node] = {}
        self.outputs: dict[str, Output] = {}
        self.scopes: list[Scope] = []
        self.layer_of, self.layer_attrs = LAYERS[layer]
        self.inputs = [self.add(f"x{i}", "input", [], {"shape": ("N", *shape)}) for i, shape in enumerate(shapes)]

    def add(self, path: str, op: str, refs: Sequence[Ref], attrs: Attrs, share: str = "") -> Ref:
        """A node, which may share the weights of another; raises OpError, also where these do not fit."""
        result = OPS[op].infer([Tensor(self.nodes[ref.node].shapes[ref.out]) for ref in refs], attrs)
        if share and result.weights != self.nodes[share].result.weights:
            raise OpError(f"'{share}' has other weights")
        self.nodes[path] = Node(Path(path), op, tuple(refs), result.attrs, result, Path(share or path))
        return Ref(path)

    def layer(self, path: str, ref: Ref, share: str = "") -> Ref:
        """A layer that keeps the shape of its operand."""
        channels = int(self.nodes[ref.node].shape[1])
        return self.add(path, self.layer_of, [ref], {"out": channels, **self.layer_attrs}, share)

    def graph(self, *refs: Ref, training_only: Ref | None = None) -> Graph:
        """The graph, whose outputs are all values of these nodes, and one for training alone."""
        found = [Ref(ref.node, i) for ref in dict.fromkeys(refs) for i in range(len(self.nodes[ref.node].shapes))]
        outputs = {f"y{i}": Output(ref) for i, ref in enumerate(found)}
        if training_only is not None:
            outputs["head"] = Output(training_only, training_only=True)
        return Graph("small", self.nodes, outputs, self.scopes).check()


Step = Callable[..., Ref]
"""(path, first operand, path whose weights it shares) -> the op of a sample there, with the sample's other operands."""


def stepped(made: Made, op: str, attrs: Attrs, path: str, ref: Ref, share: str = "") -> Ref:
    return made.add(path, op, [ref, *made.inputs[1:]], attrs, share)


def after_a_layer(made: Made, step: Step) -> Graph:
    return made.graph(step("step", made.layer("a", made.inputs[0])))


def between_layers(made: Made, step: Step) -> Graph:
    return made.graph(made.layer("b", step("step", made.layer("a", made.inputs[0]))))


def in_a_chain(made: Made, step: Step) -> Graph:
    return made.graph(step("second", step("step", made.layer("a", made.inputs[0]))))


def read_twice(made: Made, step: Step) -> Graph:
    a = made.layer("a", made.inputs[0])
    return made.graph(made.add("other", "tanh", [a], {}), step("step", a))


def of_an_output(made: Made, step: Step) -> Graph:
    a = made.layer("a", made.inputs[0])
    return made.graph(a, step("step", a))


def of_a_named_value(made: Made, step: Step) -> Graph:
    """A block gives the layer's value by name, which nothing reads but the op."""
    a = made.layer("block.a", made.inputs[0])
    y = step("block.step", a)
    made.scopes.append(Scope(Path("block"), "block", Path("block"), "two", outs={"raw": a, "made": y}))
    return made.graph(y)


def after_one_of_two_that_share(made: Made, step: Step) -> Graph:
    """`a` and `b` have the same weights; the op follows `a` alone."""
    x = made.inputs[0]
    first = step("step", made.layer("a", x))
    return made.graph(first, made.layer("b", made.add("other", "tanh", [x], {}), "a"))


def after_the_second_that_shares(made: Made, step: Step) -> Graph:
    x = made.inputs[0]
    first = made.layer("a", made.add("other", "tanh", [x], {}))
    return made.graph(first, step("step", made.layer("b", x, "a")))


def after_both_that_share(made: Made, step: Step) -> Graph:
    """The ops after them share their weights too."""
    x = made.inputs[0]
    first = step("step", made.layer("a", x))
    return made.graph(first, step("same", made.layer("b", made.add("other", "tanh", [x], {}), "a"), "step"))


def after_both_apart(made: Made, step: Step) -> Graph:
    """The ops after layers that share have weights of their own."""
    x = made.inputs[0]
    first = step("step", made.layer("a", x))
    return made.graph(first, step("second", made.layer("b", made.add("other", "tanh", [x], {}), "a")))


def beside_a_head(made: Made, step: Step) -> Graph:
    a = made.layer("a", made.inputs[0])
    return made.graph(made.layer("b", a), training_only=step("step", a))


def above_a_head(made: Made, step: Step) -> Graph:
    y = step("step", made.layer("a", made.inputs[0]))
    return made.graph(y, training_only=made.layer("b", y))


def before_a_classifier(made: Made, step: Step) -> Graph:
    flat = made.add("flat", "flatten", [step("step", made.inputs[0])], {})
    return made.graph(made.add("fc", "linear", [made.add("first", "linear", [flat], {"out": 4})], {"out": 3}))


def inside_a_classifier(made: Made, step: Step) -> Graph:
    """On a flattened map, whose layer shares its weights with another that reads the same."""
    flat = made.add("flat", "flatten", [made.inputs[0]], {})
    fc = made.add("fc", "linear", [step("step", flat)], {"out": 3})
    return made.graph(fc, made.add("same", "linear", [flat], {"out": 3}, "fc"))


def pointwise(made: Made, path: str, ref: Ref) -> Ref:
    """A 1x1 convolution, in networks of convolutions and of one operand alone: more are not needed."""
    if made.layer_of != "conv" or len(made.inputs) > 1:
        raise OpError("a network with 1x1 convolutions has other convolutions")
    return made.add(path, "conv", [ref], {"out": int(made.nodes[ref.node].shape[1]), "kernel": 1})


def beside_a_dead_step(made: Made, step: Step) -> Graph:
    """Nothing reads the op."""
    step("step", made.layer("a", made.inputs[0]))
    return made.graph(made.layer("b", made.inputs[0]))


def after_a_pointwise_layer(made: Made, step: Step) -> Graph:
    return made.graph(step("step", pointwise(made, "a", made.inputs[0])))


def behind_siblings(made: Made, step: Step) -> Graph:
    """Two layers read the same value, and the same op reads each of them; a third is an output."""
    x = made.inputs[0]
    first, second = (step(name, pointwise(made, f"{name}_a", x)) for name in ("one", "two"))
    return made.graph(first, second, pointwise(made, "three", x))


def added_to_layers(made: Made, step: Step) -> Graph:
    """Two layers, the op and the value itself are added, which all read the same."""
    x = made.inputs[0]
    values = [pointwise(made, "a", x), step("step", x), made.layer("b", x), x]
    return made.graph(made.add("sum", "add", values, {}))


def added_to_the_value_twice(made: Made, step: Step) -> Graph:
    """A layer, the op and the value itself, which is there twice, are added."""
    x = made.inputs[0]
    if made.layer_of != "conv":
        raise OpError("only convolutions are merged with what they read")
    return made.graph(made.add("sum", "add", [made.layer("a", x), step("step", x), x, x], {}))


def added_in_turn(made: Made, step: Step) -> Graph:
    """Two layers are added, and their sum to a third one with a larger kernel and to the op: all read the same."""
    x = made.inputs[0]
    inner = made.add("inner", "add", [made.layer("a", x), pointwise(made, "b", x)], {})
    channels = int(made.nodes[x.node].shape[1])
    large = made.add("c", "conv", [x], {"out": channels, "kernel": 5, "pad": 2})
    return made.graph(made.add("sum", "add", [inner, large, step("step", x)], {}))


def in_added_branches(made: Made, step: Step) -> Graph:
    """Two branches that are alike, of a layer, the op and another layer, and a third without the op."""
    x = made.inputs[0]
    ends = [made.layer(f"{n}_b", step(f"{n}_step", pointwise(made, f"{n}_a", x))) for n in ("one", "two")]
    return made.graph(made.add("sum", "add", [*ends, made.layer("b", pointwise(made, "a", x))], {}))


def in_concatenated_branches(made: Made, step: Step) -> Graph:
    x = made.inputs[0]
    ends = [step(f"{n}_step", made.layer(f"{n}_b", pointwise(made, f"{n}_a", x))) for n in ("one", "two", "three")]
    return made.graph(made.add("joined", "concat", ends, {}))


def between_a_concatenation_and_a_layer(made: Made, step: Step) -> Graph:
    x = made.inputs[0]
    joined = made.add("joined", "concat", [made.layer("a", x), x], {})
    return made.graph(made.layer("b", joined), made.layer("c", step("step", joined)))


PLACES = (
    after_a_layer,
    between_layers,
    in_a_chain,
    read_twice,
    of_an_output,
    of_a_named_value,
    after_one_of_two_that_share,
    after_the_second_that_shares,
    after_both_that_share,
    after_both_apart,
    beside_a_head,
    above_a_head,
    before_a_classifier,
    inside_a_classifier,
    beside_a_dead_step,
    after_a_pointwise_layer,
    behind_siblings,
    added_to_layers,
    added_to_the_value_twice,
    added_in_turn,
    in_added_branches,
    in_concatenated_branches,
    between_a_concatenation_and_a_layer,
)


def small_networks() -> Iterator[tuple[str, str, Shapes, Graph]]:
    """(op, place, operands, graph) for two samples of every op, and all with --slow, where they fit the place."""
    for op, attrs, shapes, _ in sampled(CASES, 2, lambda case: case[0]):
        for layer in LAYERS:
            for place in PLACES:
                made = Made(shapes, layer)
                try:
                    yield op, place.__name__, shapes, place(made, partial(stepped, made, op, attrs))
                except OpError:
                    continue  # an op of a map after one that gives a row, or another shape than it takes
