"""The validator of structure finds what jsonschema finds, at the same nodes, over all specs and many mutated ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from netspec.errors import Reporter, Source, SpecError
from netspec.parse import Map, Scalar, Tree, parse, plain
from netspec.schema import document_schema
from netspec.validate import Violation, compiled

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import fuzz  # noqa: E402

SCHEMA = document_schema(types=False)


def theirs() -> Any:
    """A validator for which an integer is an int alone, neither 3.0 nor a bool."""
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: type(v) is int)
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=checker)(SCHEMA)


def at(tree: Tree, path: Any) -> tuple[Tree, Scalar | None]:
    """The node at a path of keys and indices, and the key that it stands under."""
    key = None
    for part in path:
        if isinstance(tree, Map):
            key, tree = next((k, v) for k, v in tree.entries if k.text == part)
        else:
            key, tree = None, tree.items[part]  # type: ignore[union-attr]
    return tree, key


def compare(text: str) -> int:
    """Asserts that both find the same in a text; gives how much that is."""
    try:
        tree = parse(Source("a.yaml", text), Reporter())
    except SpecError:
        return 0
    if tree is None:
        return 0
    found: list[Violation] = []
    compiled(SCHEMA)(tree, None, found)
    ours = {(id(v.node), id(v.key), v.keyword) for v in found}
    expected = set()
    for error in theirs().iter_errors(plain(tree)):
        node, key = at(tree, error.absolute_path)
        if error.validator == "const" or (error.validator == "type" and "const" in error.schema):
            continue  # 1.0 is 1 for JSON, and is refused by the type; here both refuse it
        expected.add((id(node), id(key), error.validator))
    assert {o for o in ours if o[2] != "const" and not (o[2] == "type" and version(tree) == o[0])} == expected, text
    return len(expected)


def version(tree: Map) -> int:
    """The id of the node of `netspec:`."""
    return id(tree.get("netspec"))


@pytest.mark.parametrize("folder", ["specs", "tests/good", "tests/bad", "tests/cases", "tests/corpus"])
def test_all_specs(folder: str) -> None:
    texts = [p.read_text(encoding="utf-8") for p in (fuzz.ROOT / folder).rglob("*.yaml")]
    found = [compare(text) for text in texts]
    assert texts and (sum(found) > 3 if folder == "tests/bad" else True)


def test_mutated_specs() -> None:
    inputs = fuzz.Inputs(11)
    found = [compare(inputs[n].decode("utf-8", "replace")) for n in range(300)]
    assert sum(1 for n in found if n) > 60


@pytest.mark.parametrize(
    "text",
    [
        "1", "[]", "{}", "netspec: 1.0", "netspec: true", "netspec: '1'", "body: [{}]", "body: [{1: 2}]", "body: [[]]",
        "body: [{a = conv: [1]}]", "body: [{a = b = conv: {x: 1}}]", "body: [{'conv\n': {x: 1}}]",
        "body: [{'=conv': 3}]",
        "body: ['']", "params: {a: null}", "params: {a: {type: x}}", "expect: {receptive_field: {value: x}}",
        "expect: {receptive_field: {a: []}}", "expect: {params: [1, {}]}", "use: [1]", "blocks: {a: {body: []}}",
        "body: [{relu: [1]}]", "body: [{relu: 1, each: {}}]", "body: [{add: {a: {x: 1}, b: 2.5, c: true, d: null}}]",
    ],
)
def test_each_keyword(text: str) -> None:
    compare(text)
    compare(f"netspec: 1\n{text}" if not text.startswith("netspec") and ":" in text else text)
