"""The rules that map the keys of foreign checkpoints to the paths of a spec."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from netspec.diagnostics.errors import Reporter, SemanticError, Span, did_you_mean
from netspec.expressions.expression import Template, parse_template
from netspec.expressions.values import Value
from netspec.syntax.published import rules_tree
from netspec.syntax.tree import Map, Scalar, Seq, Tree

KEYS = ("from", "to", "reshape")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """`{from: "features.{n}.{t}", to: "conv{n - 3}.{t}"}`: a placeholder is one word."""

    pattern: re.Pattern[str]
    to: Template | None
    """None drops the tensor."""
    reshape: bool
    span: Span

    start: str = ""
    """The text of `from`."""
    target: str = ""
    """The text of `to`."""

    def apply(self, key: str, values: Mapping[str, Value]) -> str | None:
        """The path for a key that the pattern matched, by its placeholders and the values; raises SemanticError."""
        found = self.pattern.fullmatch(key)
        assert found is not None
        return self.fill(found.groupdict(), values)

    def fill(self, placeholders: Mapping[str, str], values: Mapping[str, Value]) -> str | None:
        """The path for the values of the placeholders, None where the tensor is dropped; raises SemanticError."""
        words = {
            k: int(v) if v.isdigit() and (v == "0" or v[0] != "0") and len(v) < 10 else v
            for k, v in placeholders.items()
        }
        return None if self.to is None else self.to.fill(_Words({**values, **words}))


class _Words:
    """The environment of a rule's target: its placeholders, and what the params and `let` of the document are."""

    def __init__(self, words: Mapping[str, Value]) -> None:
        self.words = words

    def value(self, name: str) -> Value:
        return self.words[name]

    def names(self) -> Iterable[str]:
        return self.words

    def tensor(self, path: str, attribute: str) -> Value:
        raise SemanticError("NS203", f"a rule reads no tensors: '{path}.{attribute}' is none of its placeholders")

    def tick(self, units: int = 1) -> None:
        pass  # a rule has no loops


@dataclass(frozen=True, slots=True, eq=False)
class RuleSets:
    """The rule sets of a document by source, as they are written: what they may read depends on the variant."""

    sources: tuple[tuple[str, Tree], ...]


def names_read(checkpoints: RuleSets) -> set[str]:
    """The names in the targets of the rules: placeholders of `from`, and values of the document."""
    found: set[str] = set()
    for _, said in checkpoints.sources:
        listed = rules_tree(said)
        for item in listed.items if isinstance(listed, Seq) else ():
            target = item.get("to") if isinstance(item, Map) else None
            if isinstance(target, Scalar):
                with suppress(SemanticError):  # which is reported where the rules are read
                    found |= parse_template(target.text, target.at).names
    return found


def rules_of(checkpoints: RuleSets | None, reporter: Reporter, values: Collection[str] = ()) -> dict[str, list[Rule]]:
    """The rule sets by source, which may read `values`; errors in them go to the reporter."""
    sources = checkpoints.sources if checkpoints is not None else ()
    return {
        source: _listed(listed, reporter, values)
        for source, said in sources
        if (listed := rules_tree(said)) is not None
    }


def rules_in(tree: Tree, name: str, reporter: Reporter, values: Collection[str] = ()) -> dict[str, list[Rule]]:
    """The rule sets of a file: a list of rules, sources as under `checkpoints`, or a mapping with `checkpoints`."""
    if isinstance(tree, Map) and isinstance(inner := tree.get("checkpoints"), Map):
        tree = inner
    if not isinstance(tree, Map):
        return {name: _listed(tree, reporter, values, strict=True)}
    found = {}
    for source, said in tree.entries:
        listed = rules_tree(said)
        if listed is None and isinstance(said, Map) and said.get("weights") is None:
            listed = said  # neither rules nor published weights
        if listed is not None:
            found[source.text] = _listed(listed, reporter, values, strict=True)
    return found


def _listed(tree: Tree, reporter: Reporter, values: Collection[str], strict: bool = False) -> list[Rule]:
    """The rules of a list; `strict` where no schema has been held against it."""
    found = []
    if strict and not isinstance(tree, Seq):
        reporter.error("NS110", "rules are a list: - {from: ..., to: ...}", tree.span)
    for item in tree.items if isinstance(tree, Seq) else ():
        if isinstance(item, Map):
            try:
                found.append(_rule(item, values))
            except SemanticError as e:
                reporter.error(e.code, e.message, e.span, e.help)
        elif strict:
            reporter.error("NS110", "a rule is {from: ..., to: ...}", item.span)
    return found


def _rule(tree: Map, values: Collection[str]) -> Rule:
    for key, _ in tree.entries:
        if key.text not in KEYS:
            raise SemanticError("NS111", f"a rule has no key '{key.text[:60]}'", key.span, did_you_mean(key.text, KEYS))
    source, target = tree.get("from"), tree.get("to")
    if not isinstance(source, Scalar) or not isinstance(target, Scalar):
        raise SemanticError("NS110", "a rule is {from: ..., to: ...}", tree.span)
    pattern, names = _pattern(source)
    to = None if target.value is None else parse_template(target.text, target.at)
    unknown = sorted(to.names - {*names, *values}) if to is not None else []
    if unknown:
        raise SemanticError(
            "NS202",
            f"there is no placeholder '{unknown[0]}' in `from`",
            target.span,
            did_you_mean(unknown[0], [*names, *values]),
        )
    reshape = tree.get("reshape")
    return Rule(
        pattern, to, isinstance(reshape, Scalar) and reshape.value is True, source.span, source.text, target.text
    )


def _pattern(source: Scalar) -> tuple[re.Pattern[str], list[str]]:
    """What a `from` matches, and its placeholders; raises SemanticError.

    Each dotted part is matched by itself and has at most two placeholders, which bounds the time of a comparison.
    """
    names: list[str] = []
    for placeholder in _PLACEHOLDER.finditer(source.text):
        if placeholder[1] in names:
            raise SemanticError(
                "NS204",
                f"the placeholder '{placeholder[1]}' is a duplicate",
                source.at(*placeholder.span()),
                "give each placeholder its own name",
            )
        names.append(placeholder[1])
    parts = []
    for part in source.text.split("."):
        pieces = _PLACEHOLDER.split(part)  # text, placeholder, text, placeholder, text
        if any("{" in p or "}" in p for p in pieces[::2]) or any(p[0].isdigit() for p in pieces[1::2]):
            raise SemanticError("NS301", "a placeholder of `from` is a name in braces: {n}", source.span)
        if len(pieces) > 5 or "" in pieces[2:-1:2]:
            raise SemanticError(
                "NS301", "a part of `from` has at most two placeholders, with text between them", source.span
            )
        words = [f"(?P<{p}>[A-Za-z0-9_]+)" if i % 2 else re.escape(p) for i, p in enumerate(pieces)]
        parts.append(rf"(?>{''.join(words)}(?=\.|\Z))")
    return re.compile(r"\.".join(parts)), names


def check_rules(checkpoints: RuleSets, reporter: Reporter, values: Collection[str] = ()) -> None:
    """Reports errors in the rules, without a checkpoint; they may read `values`."""
    rules_of(checkpoints, reporter, values)
