"""What a set of rules makes of the tensors of a file: which of them the network takes, and what does not fit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from netspec.diagnostics.errors import SemanticError
from netspec.expressions.values import Value
from netspec.ir.graph import Graph
from netspec.syntax.rules import Rule
from netspec.weights.checkpoints.stored import Stored

IGNORED = "num_batches_tracked"
FEW = 4
"""The most layers that a file may lack for an option that draws them; without more it is another network's."""
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a network takes: its keys and their shapes, and keys that may be in a file and are not taken."""

    name: str
    shapes: Mapping[str, Shape]
    spare: Mapping[str, Shape] = field(default_factory=dict)
    """Of keys that may be in a file and are not taken; empty where any shape may be there."""
    excluded: Mapping[str, Shape] = field(default_factory=dict)
    """Of the network's keys that are drawn, as it was asked for; they are spare too."""

    @classmethod
    def of(cls, graph: Graph, training: Graph | None = None, only: Collection[str] | None = None) -> Target:
        """All tensors of a graph, or `only` some; those that only `training` has (auxiliary heads) may be in a file."""
        shapes = _shapes(graph)
        spare = {k: s for k, s in _shapes(training).items() if k not in shapes} if training is not None else {}
        target = cls(graph.name, shapes, spare)
        return target if only is None else target.without({k for k in shapes if k not in only})

    def with_spare(self, keys: Collection[str]) -> Target:
        """The same, where these keys may be in the file too."""
        return replace(self, spare={**dict.fromkeys((k for k in keys if k not in self.shapes), ()), **self.spare})

    def like(self, account: Account, keys: Collection[str]) -> Target:
        """The same with the shapes that a file has for some keys, if it has weights of as many axes for them."""
        others = {
            one.path: one.tensor.shape
            for one in account.misshapen
            if one.path in keys and one.tensor.floating and len(one.tensor.shape) == len(one.expected)
        }
        return replace(self, shapes={**self.shapes, **others})

    def without(self, keys: Collection[str]) -> Target:
        """The same, where these keys are not taken."""
        left = {k: s for k, s in self.shapes.items() if k not in keys}
        excluded = {k: s for k, s in self.shapes.items() if k in keys}
        return replace(
            self, shapes=left, spare={**self.spare, **dict.fromkeys(keys, ())}, excluded={**self.excluded, **excluded}
        )


def _shapes(graph: Graph) -> dict[str, Shape]:
    return {key: tuple(map(int, shape)) for key, (shape, _, _) in graph.tensors().items()}


class Layer(NamedTuple):
    """Rules of one network, for the tensors below a prefix of the file, which are mapped below a path."""

    prefix: str
    path: str
    rules: Sequence[Rule]
    values: Mapping[str, Value]

    def apply(self, key: str) -> tuple[str | None, bool] | None:
        """The path of a key (None: dropped), and whether it may be reshaped; None where no rule is for it."""
        if not key.startswith(self.prefix):
            return None
        inner = key[len(self.prefix) :]
        rule = next((r for r in self.rules if r.pattern.fullmatch(inner)), None)
        if rule is None:
            return None
        path = rule.apply(inner, self.values)
        return (None if path is None else self.path + path), rule.reshape


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that are tried together: the first that is for a key counts; a key without one keeps its name."""

    source: str
    layers: tuple[Layer, ...] = ()
    home: str = ""
    """A path that stands before the names that no rule is for."""

    def apply(self, key: str) -> tuple[str | None, bool]:
        """The path of a key (None: dropped), and whether it may be reshaped; raises SemanticError."""
        for layer in self.layers:
            found = layer.apply(key)
            if found is not None:
                return found
        return self.home + key, False


class Misshapen(NamedTuple):
    """A tensor that has a place and does not fit it."""

    key: str
    path: str
    tensor: Stored
    expected: Shape

    def __str__(self) -> str:
        if not self.tensor.floating:
            return f"{self.key}: {self.tensor.dtype} in the file, a network's weights are floating-point"
        return f"{self.key}: {shown(self.tensor.shape)} in the file, {shown(self.expected)} in the network"


@dataclass(slots=True)
class Account:
    """What a rule set maps of a checkpoint: the weights it finds, and what is missing or left over."""

    source: str
    found: dict[str, Stored] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """The key in the file of each path."""
    unexpected: dict[str, str] = field(default_factory=dict)
    """Keys that no tensor of the network has, with what was made of them."""
    misshapen: list[Misshapen] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    aside: set[str] = field(default_factory=set)
    """The spare ones that are in the file."""
    left: list[str] = field(default_factory=list)
    """Keys that stand in the file for excluded layers, by other names."""
    instead: list[str] = field(default_factory=list)
    """The excluded layers for which they stand."""

    @property
    def problems(self) -> int:
        """How many tensors do not fit."""
        return len(self.unexpected) + len(self.misshapen) + len(self.missing) + len(self.twice)


def account(rules: RuleSet, target: Target, tensors: Mapping[str, Stored]) -> Account:
    """Every tensor of the file and of the network, by one rule set."""
    result = Account(rules.source)
    for key, tensor in tensors.items():
        if key.rpartition(".")[2] == IGNORED:
            continue
        try:
            path, reshape = rules.apply(key)
        except SemanticError as e:
            result.unexpected[key] = f"{key} ({e})"
            continue
        if path is None:
            continue
        if path in target.spare:
            result.aside.add(path)
            continue
        expected = target.shapes.get(path)
        if expected is None:
            result.unexpected[key] = key if path == key else f"{key} (as {path})"
        elif path in result.found:
            result.twice.append(f"{key} (as {path})")
        else:
            result.found[path], result.keys[path] = tensor, key
            same = tensor.shape == expected or (reshape and math.prod(tensor.shape) == math.prod(expected))
            if not tensor.floating or not same:
                result.misshapen.append(Misshapen(key, path, tensor, expected))
    result.missing = [path for path in target.shapes if path not in result.found]
    if result.unexpected and len(result.unexpected) == result.problems:
        _leave(result, target, tensors)
    return result


def _leave(result: Account, target: Target, tensors: Mapping[str, Stored]) -> None:
    """Takes what is unexpected as excluded layers by other names, where it is tensor for tensor what those have."""
    absent = {path: shape for path, shape in target.excluded.items() if path not in result.aside}
    layers = list(dict.fromkeys(path.rpartition(".")[0] for path in absent))
    theirs = Counter((key.rpartition(".")[2], len(tensors[key].shape)) for key in result.unexpected)
    if len(layers) <= FEW and theirs == Counter((p.rpartition(".")[2], len(s)) for p, s in absent.items()):
        result.left, result.instead, result.unexpected = list(result.unexpected), layers, {}


def shown(shape: Sequence[int]) -> str:
    """A shape as messages have it."""
    return "x".join(map(str, shape)) or "scalar"
