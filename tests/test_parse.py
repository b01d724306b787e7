"""The reader of YAML: places, budgets, and what specs do not have."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.diagnostics.errors import Reporter, Source, UsageError
from netspec.syntax.tree import Map, Scalar, Seq
from netspec.syntax.values import plain
from netspec.syntax.yaml_reader import parse, read


def tree_of(text: str) -> tuple[Map | None, list[str]]:
    reporter = Reporter()
    return parse(Source("t.yaml", text), reporter), [d.code for d in reporter.sorted()]


def value_of(text: str) -> object:
    tree, codes = tree_of(f"v: {text}")
    assert tree is not None and not codes
    return plain(tree)["v"]


# YAML 1.2 core schema with decimal numbers: https://yaml.org/spec/1.2.2/#103-core-schema
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("+4", 4),
        ("0", 0),
        ("8.0", 8.0),
        ("1e9", 1e9),
        ("1e-5", 1e-5),
        (".5", 0.5),
        ("true", True),
        ("false", False),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("True", "True"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value and type(found) is type(value)


def test_places_are_those_of_the_file() -> None:
    tree, _ = tree_of("a: 1\nlist:\n  - x: '=b + c'\n  - \"\\u0041=d\"\n")
    assert tree is not None
    listed = tree.get("list")
    assert isinstance(listed, Seq) and isinstance(listed.items[0], Map)
    quoted = listed.items[0].get("x")
    assert isinstance(quoted, Scalar)
    assert (quoted.span.line, quoted.span.col) == (3, 8)
    assert (quoted.at(1, 2).line, quoted.at(1, 2).col) == (3, 10)  # the b
    escaped = listed.items[1]
    assert isinstance(escaped, Scalar) and escaped.text == "A=d"
    assert escaped.at(2, 3).col == 13  # the d, behind six characters of escape


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("a: 1\na: 2\nb: 3\nb: 4", ["NS103", "NS103"]),
        ("a: !!int 3", ["NS104"]),
        ("a: !x 3", ["NS104"]),
        ("a: ! 3", ["NS104"]),
        ("<<: {a: 1}\nb: 2", ["NS104"]),
        ("%YAML 1.2\n---\na: 1", ["NS104"]),
        ("a: 1\n---\nb: 2", ["NS104"]),
        ("a: &x [*x]", ["NS104"]),
        ("? [1, 2]\n: 3", ["NS104"]),
        ("a: *nothing", ["NS102"]),
        ("a: [1, 2", ["NS102"]),
        ("a: 'open", ["NS102"]),
        ("- 1", ["NS110"]),
        ("", ["NS110"]),
        ("a: \x07", ["NS101"]),
        ("a: b\rc: d", ["NS101"]),
        ("a: \u2028", ["NS101"]),
        ("a: \x85", ["NS101"]),
        ("a: 1e999", ["NS303"]),
        ("a: 99999999999999999999", ["NS303"]),
        ("a: " + "9" * 10_000, ["NS303"]),
    ],
)
def test_refused(text: str, codes: list[str]) -> None:
    assert tree_of(text)[1] == codes


def test_crlf_and_bom_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    reporter = Reporter()
    tree = read(path, reporter)
    assert tree is not None and plain(tree) == {"a": 1, "b": 2} and not reporter.failed


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read(tmp_path / "nothing.yaml", Reporter())
    with pytest.raises(UsageError):
        read(tmp_path, Reporter())
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    reporter = Reporter()
    assert read(tmp_path / "latin.yaml", reporter) is None
    assert [(d.code, d.span and (d.span.line, d.span.col)) for d in reporter.sorted()] == [("NS101", (1, 4))]
    (tmp_path / "large.yaml").write_bytes(b"#" * (4 * 2**20 + 1))
    reporter = Reporter()
    assert read(tmp_path / "large.yaml", reporter) is None and reporter.sorted()[0].code == "NS105"


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 1_000_000,
        "a: " + "{b: " * 500_000,
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 9) + "]\n" for i in range(1, 9)),
    ],
)
def test_bombs_end_soon(text: str) -> None:
    started = time.monotonic()
    tree, codes = tree_of(text)
    assert tree is None and codes == ["NS105"]
    assert time.monotonic() - started < 30  # the bombs take minutes or kill the process without budgets


@given(st.text(max_size=200))
def test_any_text_gives_a_tree_or_findings(text: str) -> None:
    tree, codes = tree_of(text)
    assert (tree is None) <= bool(codes)
