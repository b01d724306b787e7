"""The rule sets that are tried for a network: none, its document's, those of networks in it, and those of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from netspec.diagnostics.errors import Reporter, Source, SpecError, UsageError
from netspec.elaborate.compiled import Compiled, compile_variant
from netspec.elaborate.document import values_of
from netspec.expressions.values import Value
from netspec.files.pipes import MAX_BYTES
from netspec.syntax.document import Document
from netspec.syntax.rules import Rule, rules_in, rules_of
from netspec.syntax.yaml_reader import parse_any
from netspec.weights.checkpoints.account import Layer, RuleSet
from netspec.weights.checkpoints.stored import reading

OWN = "its own names"
RULES = "--rules takes a YAML file of rules, as `checkpoints:` of a spec has them"


class Inner(NamedTuple):
    """A network that is used as a block: the prefix of its weights, its name, its rules by source, its values."""

    path: str
    name: str
    rules: Mapping[str, Sequence[Rule]]
    values: Mapping[str, Value]
    document: Document
    settings: Mapping[str, object]

    def keys(self) -> set[str]:
        """The keys of the whole network, of which `until` may have taken a part."""
        try:
            return {self.path + key for key in compile_variant(self.document, None, self.settings).graph.tensors()}
        except (UsageError, SpecError):  # a block as an argument has no text to be set by
            return set()


def rule_sets(network: Compiled, file: Path | None = None) -> list[RuleSet]:
    """The sets to try in order; those of a file come before each of the others; raises SpecError, UsageError."""
    reporter = Reporter()
    values = _values(network.document, network.variant, network.settings)
    own = {OWN: (), **rules_of(network.document.checkpoints, reporter, values)}
    given = {"": ()} if file is None else rules_file(file, reporter, values)
    inner = inner_networks(network, reporter)
    reporter.check()
    found = []
    for first, before in given.items():
        start = (Layer("", "", before, values),) if before else ()
        for source, rules in own.items():
            layers = (*start, *((Layer("", "", rules, values),) if rules else ()))
            found.append(RuleSet(_joined(first, source), layers))
        for name, more in _combined(inner):
            found += [
                RuleSet(
                    _joined(first, name if source == OWN else f"{source}, {name}"),
                    (*start, *((Layer("", "", rules, values),) if rules else ()), *more),
                )
                for source, rules in own.items()
            ]
        for part in inner:
            found.append(RuleSet(_joined(first, f"the names of {part.name}"), start, part.path))
            found += [
                RuleSet(
                    _joined(first, f"{source} of {part.name}"),
                    (*start, Layer("", part.path, rules, part.values)),
                    part.path,
                )
                for source, rules in part.rules.items()
            ]
    return found


def _joined(first: str, source: str) -> str:
    return f"{first} and {source}" if first else source


def _combined(inner: Sequence[Inner]) -> Iterator[tuple[str, tuple[Layer, ...]]]:
    """The rules of all inner networks together, below their prefixes, source by source."""
    names = dict.fromkeys(f"{source} of {part.name}" for part in inner for source in part.rules)
    for number, name in enumerate(names):
        layers = []
        for part in inner:
            rules = dict(zip((f"{s} of {part.name}" for s in part.rules), part.rules.values(), strict=True))
            chosen = rules.get(name) or next(iter(list(rules.values())[number:] or rules.values()), None)
            if chosen:
                layers.append(Layer(part.path, part.path, chosen, part.values))
        yield name, tuple(layers)


def rules_file(path: Path, reporter: Reporter, values: Mapping[str, Value]) -> dict[str, list[Rule]]:
    """The rule sets of a file by source; errors in it go to the reporter; raises UsageError."""
    with reading(path) as f:
        data = f.read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path} is larger than 4 MiB", RULES)
        tree = parse_any(Source(str(path), data.decode("utf-8-sig")), reporter)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8", RULES) from None
    if tree is None:
        reporter.check()
        raise UsageError(f"{path} has no rules", '- {from: "features.{n}.{t}", to: "conv{n}.{t}"}')
    found = rules_in(tree, str(path), reporter, values)
    reporter.check()
    return found


def inner_networks(network: Compiled, reporter: Reporter) -> list[Inner]:
    """The networks that are used as blocks, the innermost first; errors in their rules go to the reporter."""
    return sorted(_inner(network, reporter), key=lambda i: -i.path.count("."))


def _inner(network: Compiled, reporter: Reporter) -> Iterator[Inner]:
    documents: dict[str, Document] = {}
    _used(network.document, documents, set())
    for scope in network.whole.scopes.values():
        document = documents.get(scope.block) if scope.kind == "block" else None
        if document is None or set(scope.args) != {p.name for p in document.params}:
            continue
        if scope.weights_at == scope.path and document is not network.document:
            settings = {name: list(v) if isinstance(v, tuple) else v for name, v in scope.args.items()}
            values = _values(document, None, settings)
            rules = rules_of(document.checkpoints, reporter, values)
            yield Inner(f"{scope.path}.", document.name, rules, values, document, settings)


def _used(document: Document, found: dict[str, Document], seen: set[int]) -> None:
    """Every network that a document can use as a block, by name."""
    if id(document) in seen:
        return
    seen.add(id(document))
    for name, what in document.used.items():
        if isinstance(what, Document):
            found.setdefault(name, what)
            _used(what, found, seen)
        else:
            _used(what.home, found, seen)


def _values(document: Document, variant: str | None, settings: Mapping[str, object]) -> dict[str, Value]:
    """What rules may read: the params and `let` of the document."""
    try:
        values = values_of(document, variant, settings)
    except (UsageError, SpecError):  # of a network in a network: a block as an argument has no text to be set by
        values = dict(settings)
    return {name: value for name, value in values.items() if isinstance(value, (int, float, str, list))}
