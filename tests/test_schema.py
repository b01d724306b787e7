"""The keywords of the schema that are read in a quicker way find what jsonschema's own find."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from netspec.diagnostics.errors import Reporter, Source, SpecError
from netspec.syntax import schema
from netspec.syntax.tree import plain
from netspec.syntax.yaml_reader import parse

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

pytest.importorskip("resource")  # which Windows has not

import fuzz  # noqa: E402


def plain_of(text: bytes) -> Any:
    """The tree of a text as dicts and lists; None where there is none."""
    try:
        tree = parse(Source("a.yaml", text.decode("utf-8", "replace")), Reporter())
    except SpecError:
        return None
    return plain(tree) if tree is not None else None


def found(validator: Any, tree: Any) -> list[tuple[list[str], str, str]]:
    return sorted((list(map(str, e.absolute_path)), e.validator, e.message) for e in validator.iter_errors(tree))


def test_over_all_specs_and_mutated_ones() -> None:
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    theirs = extend(Draft202012Validator, type_checker=checker)(schema.document_schema(types=False))
    inputs = fuzz.Inputs(5)
    texts = [*inputs.texts, *(inputs[n] for n in range(200))]
    trees = [tree for tree in map(plain_of, texts) if tree is not None]
    errors = 0
    for tree in trees:
        expected = found(theirs, tree)
        assert found(schema._validator(), tree) == expected, tree
        errors += len(expected)
    assert len(trees) > 200 and errors > 50
