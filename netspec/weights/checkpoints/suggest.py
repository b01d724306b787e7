"""Rules to write for tensors whose names are others: found by their shapes, their numbers and similar words."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

from netspec.diagnostics.errors import Reporter, Source
from netspec.expressions.values import Value
from netspec.syntax.rules import Rule, rules_in
from netspec.syntax.yaml_reader import parse_any
from netspec.weights.checkpoints.account import Account, Layer, RuleSet, Target, account
from netspec.weights.checkpoints.adapt import Adapted, adapted
from netspec.weights.checkpoints.stored import Stored

Signature = frozenset[tuple[str, tuple[int, ...]]]
"""The tensors of a layer: what each is called, and its shape."""
Numbers = tuple[str, ...]
Ranks = Mapping[str, int]
_NUMBER = re.compile(r"(\d+)")
_WORD = re.compile(r"[a-z]+|\d+")
_ALIKE = {
    "convolution": "conv",
    "norm": "bn",
    "batchnorm": "bn",
    "linear": "fc",
    "classifier": "fc",
    "head": "fc",
    "dense": "fc",
    "downsample": "skip",
    "shortcut": "skip",
    "proj": "skip",
    "projection": "skip",
    "identity": "skip",
    "dw": "depthwise",
    "layer": "stage",
    "block": "stage",
    "features": "stage",
}
_SETS = 8
_NEARLY = 10
"""A set of rules that leaves one of so many tensors is the file's."""
_TENSORS = 4000
"""The most tensors that rules are looked for; of so many others nobody has renamed a few."""


@dataclass(frozen=True, eq=False)
class Group:
    """The layers, or tensors, whose names differ in numbers alone: `layer#.#.conv#`."""

    texts: tuple[str, ...]
    """What stands around the numbers."""
    members: Mapping[Numbers, Signature]

    def name(self, numbers: Numbers) -> str:
        """The name of a member."""
        return "".join(itertools.chain(*itertools.zip_longest(self.texts, numbers, fillvalue="")))

    @cached_property
    def kinds(self) -> Counter[Signature]:
        """How often it has which tensors."""
        return Counter(self.members.values())

    @cached_property
    def parts(self) -> list[Group]:
        """The parts that have the same number at one place, and single layers."""
        return list(_split(self))

    @cached_property
    def words(self) -> str:
        """What it is called, without numbers, for comparing."""
        found = _WORD.findall("#".join(self.texts).lower())
        return " ".join(_ALIKE.get(w, w) for w in found)


Source_ = tuple[int | None, int, str]
"""How a number of the network's name is made: the number of the file's name and what is added, or a text."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Layers of the file, and the layers of the network that they are."""

    file: Group
    network: Group
    sources: tuple[Source_, ...]
    pairs: Mapping[Numbers, Numbers]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Lines of rules, and what is left when they come first."""

    lines: tuple[str, ...]
    left: Account


def suggest(sets: Sequence[RuleSet], target: Target, tensors: Mapping[str, Stored], best: Account) -> Suggestion | None:
    """Suggests rules, each tried, that give unused tensors of a checkpoint to the weights that lack one.

    The fewest that load it, next to one of the sets; None where none do more than the set that fits best, which alone
    is looked at where it leaves few tensors.
    """
    if best.problems * _NEARLY <= len(target.shapes):
        sets = [rules for rules in sets if account(rules, target, tensors).problems == best.problems]
    found = [
        s
        for rules in sets[:_SETS]
        if (s := _suggest(rules, target, tensors)) is not None and s.left.problems < best.problems
    ]
    return min(found, key=lambda s: (s.left.problems, len(s.lines)), default=None)


def _suggest(rules: RuleSet, target: Target, tensors: Mapping[str, Stored]) -> Suggestion | None:
    found = account(rules, target, tensors)
    keys = {k: tensors[k] for k in found.unexpected} | {m.key: m.tensor for m in found.misshapen}
    paths = {p: target.shapes[p] for p in [*found.missing, *(m.path for m in found.misshapen)]}
    paths |= {p: shape for p, shape in target.spare.items() if shape and p not in found.aside}
    if not keys or not paths or len(keys) > _TENSORS:
        return None
    shapes = {k: t.shape for k, t in keys.items() if t.floating}
    lines: list[str] = []
    for layer in rules.layers:
        if not layer.prefix and not layer.path:
            for changed in adapted(layer.rules, layer.values, shapes, paths, found.keys.values() - keys.keys()):
                lines.append(_adapted_line(changed))
                for key, path in changed.paths.items():
                    del shapes[key], paths[path]
    for whole in (False, True):  # layers first, then single tensors, whose own names differ too
        ranks = _ranks(shapes, whole), _ranks(paths, whole)
        for pairing in _pairings(_groups(shapes, whole), _groups(paths, whole), ranks):
            lines += _lines(pairing, tensors, "" if whole else ".{t}")
            for numbers, others in pairing.pairs.items():
                _take(shapes, pairing.file.name(numbers), whole)
                _take(paths, pairing.network.name(others), whole)
    if not lines:
        return None
    left = account(with_rules([rules], lines)[0], target, tensors)
    return Suggestion(tuple(lines), left) if left.problems < found.problems else None


def with_rules(sets: Sequence[RuleSet], lines: Sequence[str]) -> list[RuleSet]:
    """The sets, each with rules that come first."""
    found = []
    for rules in sets:
        values = next((la.values for la in rules.layers if not la.path), {})
        first = Layer("", "", _parsed(lines, values), values)
        found.append(RuleSet(rules.source, (first, *rules.layers), rules.home))
    return found


def _take(shapes: dict[str, tuple[int, ...]], name: str, whole: bool) -> None:
    for key in [name] if whole else [k for k in shapes if k.rpartition(".")[0] == name]:
        shapes.pop(key)


def _parsed(lines: Sequence[str], values: Mapping[str, Value]) -> list[Rule]:
    tree = parse_any(Source("rules", "\n".join(lines)), Reporter())
    return rules_in(tree, "rules", Reporter(), values)["rules"] if tree is not None else []


def _groups(shapes: Mapping[str, tuple[int, ...]], whole: bool) -> list[Group]:
    """Layers (or, as a whole, tensors) by what is around the numbers in their names, in the order of the file."""
    layers: dict[str, set[tuple[str, tuple[int, ...]]]] = {}
    for key, shape in shapes.items():
        layer, _, tensor = (key, "", "") if whole else key.rpartition(".")
        layers.setdefault(layer, set()).add((tensor, shape))
    found: dict[tuple[str, ...], dict[Numbers, Signature]] = {}
    for layer, signature in layers.items():
        parts = _NUMBER.split(layer)
        found.setdefault(tuple(parts[::2]), {})[tuple(parts[1::2])] = frozenset(signature)
    return [Group(texts, members) for texts, members in found.items()]


def _pairings(files: Sequence[Group], networks: Sequence[Group], ranks: tuple[Ranks, Ranks]) -> list[Pairing]:
    """The best pairings one after the other: those of the most layers, of the most similar words, in order."""
    done: list[Pairing] = []
    cache: dict[tuple[Group, Group], Pairing | None] = {}
    friends: dict[str, set[str]] = {}
    files, networks = list(files), list(networks)
    while files and networks:
        best = max(
            _candidates(files, networks, ranks, cache),
            key=lambda c: (c[0][0] + _known(c[1], friends), *c[0]),
            default=None,
        )
        if best is None:
            break
        _, pairing = best
        done.append(pairing)
        for numbers, others in pairing.pairs.items():
            friends.setdefault(_first(pairing.file, numbers), set()).add(_first(pairing.network, others))
        files = _without(files, pairing.file.texts, set(pairing.pairs))
        networks = _without(networks, pairing.network.texts, set(pairing.pairs.values()))
    return done


def _first(group: Group, numbers: Numbers) -> str:
    return group.name(numbers).partition(".")[0]


def _known(pairing: Pairing, friends: Mapping[str, set[str]]) -> float:
    """Whether layers with the same first words have been paired, for a pairing; or others have, against it."""
    numbers, others = next(iter(pairing.pairs.items()))
    known = friends.get(_first(pairing.file, numbers))
    return 0 if known is None else 0.5 if _first(pairing.network, others) in known else -0.5


def _ranks(shapes: Mapping[str, tuple[int, ...]], whole: bool) -> Ranks:
    """The place of each layer (or, as a whole, tensor) among all."""
    layers = dict.fromkeys(key if whole else key.rpartition(".")[0] for key in shapes)
    return {layer: rank for rank, layer in enumerate(layers)}


def _without(groups: Sequence[Group], texts: tuple[str, ...], gone: set[Numbers]) -> list[Group]:
    left = [
        Group(g.texts, {n: s for n, s in g.members.items() if n not in gone}) if g.texts == texts else g for g in groups
    ]
    return [g for g in left if g.members]


def _candidates(
    files: Sequence[Group],
    networks: Sequence[Group],
    ranks: tuple[Ranks, Ranks],
    cache: dict[tuple[Group, Group], Pairing | None],
) -> Iterator[tuple[tuple[float, ...], Pairing]]:
    """Pairings of whole groups; where there are none, of the parts of groups that share a number."""
    found = False
    for split in (False, True):
        if found:
            return
        for file in files:
            parts = file.parts if split else [file]
            for part, network in itertools.product(parts, networks):
                if (part, network) not in cache:
                    cache[part, network] = _fit(part, network)
                pairing = cache[part, network]
                if pairing is not None:
                    found = True
                    same = sum(s[0] is not None and s[1] == 0 for s in pairing.sources)
                    whole = len(part.members) == len(network.members)
                    yield (
                        (
                            _similar(file.words, network.words) + 0.5 * whole,
                            len(part.members),
                            same,
                            -_apart(pairing, ranks),
                        ),
                        pairing,
                    )


def _apart(pairing: Pairing, ranks: tuple[Ranks, Ranks]) -> float:
    """How far the first layers are from each other, each by its place among all."""
    numbers, others = next(iter(pairing.pairs.items()))
    one, other = (
        r[name] / len(r)
        for r, name in zip(ranks, (pairing.file.name(numbers), pairing.network.name(others)), strict=True)
    )
    return round(abs(one - other), 6)


@lru_cache(maxsize=100_000)
def _similar(left: str, right: str) -> float:
    """How alike words are, 0 to 1, by those that they share and by their letters."""
    a, b = set(left.split()), set(right.split())
    shared = len(a & b) / max(1, min(len(a), len(b)))
    return round(shared / 2 + SequenceMatcher(None, left, right, autojunk=False).ratio() / 2, 3)


def _split(group: Group) -> Iterator[Group]:
    for at in range(len(group.texts)):
        values = {n[at] for n in group.members if at < len(n)}
        if 1 < len(values) < len(group.members):
            for value in sorted(values, key=lambda v: (len(v), v)):
                yield Group(group.texts, {n: s for n, s in group.members.items() if n[at] == value})
    if len(group.members) > 1:
        for numbers, signature in group.members.items():
            yield Group(group.texts, {numbers: signature})


def _fit(file: Group, network: Group) -> Pairing | None:
    """How the numbers of the network's names follow from those of the file's, so that all shapes agree."""
    if not file.kinds <= network.kinds:
        return None
    places = range(max(len(n) for n in network.members))
    options = [_sources(file, network, at) for at in places]
    for sources in itertools.islice(itertools.product(*options), 500):
        pairs = {numbers: tuple(_made(source, numbers) for source in sources) for numbers in file.members}
        if len(set(pairs.values())) == len(pairs) and all(
            network.members.get(other) == file.members[numbers] for numbers, other in pairs.items()
        ):
            return Pairing(file, network, sources, pairs)
    return None


def _sources(file: Group, network: Group, at: int) -> list[Source_]:
    """What the number at a place can be: one of the file's, that and a constant, a constant; likely ones first."""
    values = {n[at] for n in network.members}
    length = len(next(iter(file.members)))
    found: list[tuple[tuple[float, ...], Source_]] = []
    for i in range(length):
        own = {n[i] for n in file.members}
        steps = {0}
        if all(v == str(int(v)) for v in own | values):
            steps.add(min(map(int, values)) - min(map(int, own)))
        for step in steps:
            made = {_made((i, step, ""), n) for n in file.members}
            if made <= values:
                found.append(
                    ((len(made) > 1, step == 0, -abs((length - i) - (len(network.texts) - 1 - at))), (i, step, ""))
                )
    found.sort(key=lambda f: f[0], reverse=True)
    texts = sorted(values, key=lambda v: (len(v), v))[:12]
    return [source for _, source in found[:4]] + [(None, 0, text) for text in texts]


def _made(source: Source_, numbers: Numbers) -> str:
    at, step, text = source
    if at is None:
        return text
    return numbers[at] if not step else str(int(numbers[at]) + step)


def _lines(pairing: Pairing, tensors: Mapping[str, Stored], end: str) -> list[str]:
    """One rule with a placeholder for each number that varies, or a rule a layer where that would take others too."""
    file, network = pairing.file, pairing.network
    used = [at for at in range(len(next(iter(pairing.pairs)))) if len({n[at] for n in pairing.pairs}) > 1]
    first = next(iter(pairing.pairs))
    placeholders = {at: "abcdefgh"[i] for i, at in enumerate(used[:8])}
    start = file.name(tuple(f"{{{placeholders[at]}}}" if at in placeholders else n for at, n in enumerate(first)))
    made = network.name(
        tuple(
            f"{{{placeholders[at]}{f' {step:+d}'.replace('+', '+ ').replace('-', '- ') if step else ''}}}"
            if at in placeholders
            else _made((at, step, text), first)
            for at, step, text in pairing.sources
        )
    )
    line = rule_of(start + end, made + end)
    rules = _parsed([line], {})
    names = {file.name(n) for n in pairing.pairs}
    if rules and all((k.rpartition(".")[0] if end else k) in names for k in tensors if rules[0].pattern.fullmatch(k)):
        return [line]
    return [
        rule_of(file.name(n) + end, network.name(other) + end)
        for n, other in pairing.pairs.items()
        if not {"{", "}"} & set(file.name(n))
    ]


def _adapted_line(rule: Adapted) -> str:
    """A changed rule; that of a single layer is written with its names."""
    layers = {(key.rpartition(".")[0], path.rpartition(".")[0]) for key, path in rule.paths.items()}
    same = all(key.rpartition(".")[2] == path.rpartition(".")[2] for key, path in rule.paths.items())
    if len(layers) == 1 and same:
        ((layer, path),) = layers
        return rule_of(f"{layer}.{{t}}", f"{path}.{{t}}", rule.reshape)
    return rule_of(rule.start, rule.target, rule.reshape)


def rule_of(start: str, to: str, reshape: bool = False) -> str:
    """A rule as a line of YAML."""
    return f"- {{from: {json.dumps(start)}, to: {json.dumps(to)}{', reshape: true' if reshape else ''}}}"
