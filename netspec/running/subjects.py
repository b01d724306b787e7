"""What is compared: a network in a backend, or a model file, each with values between its steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from netspec.diagnostics.errors import DataError
from netspec.diagnostics.text import counted
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module
from netspec.running.ports import Value, dims, fits
from netspec.running.showing import showing, values
from netspec.running.ways import ModelFile, Prepares, Way

Inputs = Mapping[str, np.ndarray]
Made = Callable[[], Mapping[str, np.ndarray]]
"""Gives the weights of a graph."""
ANOTHER = "is it the file of another network? `netspec compile SPEC --to onnx` writes its own"
REMEMBERED = 256 * 2**20
"""Bytes of values between the steps that a subject keeps for the next comparison."""


@dataclass(frozen=True, slots=True)
class Subject(ABC):
    """One side of a comparison; its values are called as those of a graph that both sides know."""

    name: str
    """What it is called in reports."""
    way: Way
    dtype: str
    """What it computes in; of a file the least exact type of its weights."""
    exact: bool
    """Whether a value of the same name is the same value, rather than probably so."""

    @abstractmethod
    def known(self, graph: Graph) -> list[Ref]:
        """The values of the graph that it can show."""

    @abstractmethod
    def outputs(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Its outputs by name."""

    @abstractmethod
    def values(self, graph: Graph, refs: Sequence[Ref], inputs: Inputs) -> dict[Ref, np.ndarray]:
        """These of the values that it knows."""


@dataclass(frozen=True, slots=True)
class OfSpec(Subject):
    """A network in a backend, made anew for each run so that no two are in memory."""

    backend: Prepares
    module: Module
    arrays: Made

    def known(self, graph: Graph) -> list[Ref]:
        """The values that its passes, if it has any, leave."""
        return [*left_by(self.module, graph)]

    def outputs(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Its outputs by name; raises MissingError, UsageError, DataError."""
        return _arrays(self.backend.prepare(self.module.graph, self.arrays(), self.way).run(inputs))

    def values(self, graph: Graph, refs: Sequence[Ref], inputs: Inputs) -> dict[Ref, np.ndarray]:
        """The values, as outputs of the network cut off after them."""
        called = left_by(self.module, graph)
        shown, named = showing(self.module.graph, list(dict.fromkeys(called[ref] for ref in refs)))
        found = _arrays(self.backend.prepare(shown, self.arrays(), self.way).run(inputs))
        names = {ref: name for name, ref in named.items()}
        return {ref: found[names[called[ref]]] for ref in refs}


@dataclass(frozen=True, slots=True)
class OfFile(Subject):
    """A model file."""

    file: ModelFile
    module: Module
    """The network after the passes that the file names: what its inputs, outputs and values are called."""

    def known(self, graph: Graph) -> list[Ref]:
        """The values that it has by its names, of those that its passes leave."""
        return [*self._called(graph)]

    def outputs(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Its outputs, under the names of the spec's where these are others; raises MissingError, DataError."""
        found = _arrays(self.file.prepare(self.way).run(self._fed(inputs)))
        names = [name for name, output in self.module.graph.outputs.items() if not output.training_only]
        if set(names) <= found.keys():
            return {name: found[name] for name in names}
        if len(found) != len(names):
            said = f"{', '.join(found)} against {', '.join(names)}"
            message = f"{self.name} has {counted(len(found), 'output')}, the network {len(names)}: {said}"
            raise DataError("NS703", message, ANOTHER)
        return dict(zip(names, found.values(), strict=True))

    def values(self, graph: Graph, refs: Sequence[Ref], inputs: Inputs) -> dict[Ref, np.ndarray]:
        """The values, as further outputs of the model."""
        called = self._called(graph)
        found = _arrays(self.file.prepare(self.way, [called[ref] for ref in refs]).run(self._fed(inputs)))
        return {ref: found[called[ref]] for ref in refs}

    def _called(self, graph: Graph) -> dict[Ref, str]:
        """The values that it has, and what it calls them."""
        named = self.file.named(self.module.graph)
        left = left_by(self.module, graph)
        return {ref: named[str(now)] for ref, now in left.items() if str(now) in named}

    def _fed(self, inputs: Inputs) -> dict[str, Value]:
        """The inputs under the file's names: the same ones, or one after the other; raises DataError."""
        names = [*self.file.inputs]
        if len(names) != len(inputs):
            message = f"{self.name} has {counted(len(names), 'input')}, the network {len(inputs)}"
            raise DataError("NS701", message, ANOTHER)
        ours = names if {*names} == inputs.keys() else [*inputs]
        for theirs, name in zip(names, ours, strict=True):
            if (shape := self.file.inputs[theirs].shape) and not fits(inputs[name].shape, shape):
                raise self._another_size(name, inputs[name].shape, shape)
        return {theirs: inputs[name] for theirs, name in zip(names, ours, strict=True)}

    def _another_size(self, name: str, ours: Sequence[int], theirs: tuple[int | str | None, ...]) -> DataError:
        """What is said of an input that a file takes in another size: the option that gives the network the same."""
        text = f"the input '{name}' of the network is {dims(tuple(ours))}, {self.name} expects {dims(theirs)}"
        known = len(ours) == len(theirs) and all(isinstance(size, int) for size in theirs[1:])
        several = f"{name}=" if len(self.file.inputs) > 1 else ""
        return DataError(
            "NS701", text, f"--input {several}{dims(theirs[1:])} gives the network this size" if known else ""
        )


@dataclass(slots=True)
class _Memory:
    """What a subject gave for some inputs."""

    inputs: Inputs | None = None
    outputs: dict[str, np.ndarray] | None = None
    values: dict[Ref, np.ndarray] = field(default_factory=dict)
    left: int = REMEMBERED


@dataclass(frozen=True, slots=True)
class Remembering(Subject):
    """A subject that others are compared with in turn: it is run once, as far as its values fit in memory."""

    subject: Subject
    memory: _Memory = field(default_factory=_Memory)

    @classmethod
    def of(cls, subject: Subject) -> Remembering:
        """The same as a subject, which is asked again for the same inputs."""
        return cls(subject.name, subject.way, subject.dtype, subject.exact, subject)

    def known(self, graph: Graph) -> list[Ref]:
        """The values of the graph that the subject can show."""
        return self.subject.known(graph)

    def outputs(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Its outputs by name; raises MissingError, UsageError, DataError."""
        memory = self._memory(inputs)
        if memory.outputs is None:
            memory.outputs = self.subject.outputs(inputs)
        return memory.outputs

    def values(self, graph: Graph, refs: Sequence[Ref], inputs: Inputs) -> dict[Ref, np.ndarray]:
        """These of the values that it knows, of one graph."""
        known = self._memory(inputs).values
        further = [ref for ref in refs if ref not in known]
        found = self.subject.values(graph, further, inputs) if further else {}
        given = {ref: known[ref] if ref in known else found[ref] for ref in refs}
        for ref, value in found.items():
            if value.nbytes <= self.memory.left:
                known[ref] = value
                self.memory.left -= value.nbytes
        return given

    def _memory(self, inputs: Inputs) -> _Memory:
        memory = self.memory
        if memory.inputs is not inputs:
            memory.inputs, memory.outputs, memory.left = inputs, None, REMEMBERED
            memory.values.clear()
        return memory


FACTORS = 0.9, 64.0
"""What a channel of a value in int8 may be scaled by, so that channels of one scale have like ranges."""
ALIKE = 0.9
"""The correlation from which on a channel is one that was scaled."""


@dataclass(frozen=True, slots=True)
class Unscaled(Subject):
    """A subject in int8, whose values are compared without the factors that channels were given for their ranges."""

    subject: Subject
    right: Subject
    """The one that it is compared with."""

    @classmethod
    def of(cls, subject: Subject, right: Subject) -> Unscaled:
        """The same as a subject, of which channels may be scaled against those of another."""
        return cls(subject.name, subject.way, subject.dtype, subject.exact, subject, right)

    def known(self, graph: Graph) -> list[Ref]:
        """The values of the graph that the subject can show."""
        return self.subject.known(graph)

    def outputs(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Its outputs by name, which are not scaled; raises MissingError, UsageError, DataError."""
        return self.subject.outputs(inputs)

    def values(self, graph: Graph, refs: Sequence[Ref], inputs: Inputs) -> dict[Ref, np.ndarray]:
        """The values; those of outputs as they are, the others without their factors."""
        found, right = self.subject.values(graph, refs, inputs), self.right.values(graph, refs, inputs)
        ends = {output.ref for output in graph.outputs.values()}
        return {ref: value if ref in ends else unscaled(value, right[ref]) for ref, value in found.items()}


def unscaled(value: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A value whose channels are divided by the factor that they have against another, where they are like those."""
    if value.shape != right.shape or value.ndim < 2 or not np.isfinite(value).all() or not np.isfinite(right).all():
        return value
    axes = tuple(axis for axis in range(value.ndim) if axis != 1)
    sums = [
        (one * other).sum(axes, dtype=np.float64) for one, other in ((value, right), (right, right), (value, value))
    ]
    both, theirs, ours = sums
    with np.errstate(all="ignore"):
        factor, alike = both / theirs, both / np.sqrt(theirs * ours)
    least, most = FACTORS
    scaled = (alike >= ALIKE) & (factor >= least) & (factor <= most)
    factor = np.where(scaled, factor, 1).astype(np.float32)
    divided: np.ndarray = value / factor.reshape([-1 if axis == 1 else 1 for axis in range(value.ndim)])
    return divided


def left_by(module: Module, graph: Graph) -> dict[Ref, Ref]:
    """The values of a graph that a module made of it has too, and what they are called in that, by what its steps say.

    A step has its value still where its op, attributes, weights and shapes are the same, and it reads the same values
    or what stands for values that are gone. One that others were folded into has the value of the last of them, where
    that is computed of all the others: of branches that became one step, none is what that gives.
    """
    if graph is module.graph:
        return {ref: ref for ref in values(graph)}
    left: dict[Ref, Ref] = {}
    order = {path: i for i, path in enumerate(graph.nodes)}
    before, after = graph.nodes, module.graph.nodes
    for path, now in after.items():
        if now.op == "input":
            continue
        if now.folded:
            members = [step for step in (path, *now.folded) if step in order]
            last = max(members, key=order.__getitem__, default=None)
            if last is not None and before[last].shapes == now.shapes and _chain(members, last, before, after):
                left[Ref(last)] = Ref(path)
        elif path in before and _same(before[path], now, after) and not _computed(now, module):
            left |= {Ref(path, i): Ref(path, i) for i in range(len(now.shapes))}
    return left


def _chain(members: Collection[str], last: str, before: Mapping[str, Node], after: Mapping[str, Node]) -> bool:
    """Whether a step was computed of all these, by way of them and of steps that are gone."""
    seen, todo = {last}, [last]
    while todo:
        for ref in before[todo.pop()].inputs:
            if ref.node not in seen and (ref.node in members or ref.node not in after):
                seen.add(ref.node)
                todo.append(ref.node)
    return seen.issuperset(members)


def _same(old: Node, now: Node, after: Mapping[str, Node]) -> bool:
    """Whether a step computes what it did, of the same values or of those that stand for values that are gone."""
    if now is old:
        return True
    moved = any(new != ref and ref.node in after for ref, new in zip(old.inputs, now.inputs, strict=False))
    return not moved and replace(now, inputs=old.inputs) == old


def _computed(node: Node, module: Module) -> bool:
    return any(key in module.computed for key, _, _ in node.tensors())


def _arrays(found: Mapping[str, Value]) -> dict[str, np.ndarray]:
    """Outputs that are arrays; raises DataError for another."""
    for name, value in found.items():
        if not isinstance(value, np.ndarray):
            raise DataError(
                "NS703",
                f"the output '{name}' is not an array: it cannot be compared",
                "end the file at the arrays before it",
            )
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
