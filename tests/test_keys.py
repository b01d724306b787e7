"""The keys of the state dicts that people have: those of each family are in tests/data/keys.txt."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import sampled
from shipped_networks import documents

from netspec.elaborate.compiled import compile_variant

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from keys import recorded, section  # noqa: E402 - of this repository's tools

FIRST = {next(iter(d.variants), d.name): d for d in documents()}


def test_every_family_is_in_the_file() -> None:
    assert set(recorded()) == set(FIRST)


@pytest.mark.parametrize("name", sampled(FIRST, 1))
def test_the_keys_are_those_that_checkpoints_have(name: str) -> None:
    graph = compile_variant(FIRST[name], next(iter(FIRST[name].variants), None)).graph
    assert section(name, graph) == recorded()[name], "where this is meant: tools/dev keys --write"
