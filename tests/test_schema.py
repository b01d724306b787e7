"""The published JSON Schema: it refuses what the reader refuses, and accepts every spec that compiles."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from netspec.check.check_file import check_file
from netspec.diagnostics.codes import CODES
from netspec.diagnostics.errors import Diagnostic, NetspecError, Reporter, Source
from netspec.syntax.keywords import LANGUAGE_VERSION
from netspec.syntax.library import Found, specs_root
from netspec.syntax.reader import read_document
from netspec.syntax.schema import document_schema, published
from netspec.syntax.values import plain
from netspec.syntax.yaml_reader import parse

HERE = Path(__file__).parent
SHIPPED = sorted(specs_root().rglob("*.yaml"))
GOOD = sorted((HERE / "good").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))

STRUCTURAL = ("NS110", "NS111", "NS112", "NS113", "NS205")
OTHER = {
    "NS101": "characters, before there is a tree",
    "NS102": "YAML, before there is a tree",
    "NS103": "YAML, before there is a tree",
    "NS104": "YAML, before there is a tree",
    "NS105": "limits of a whole file",
    "NS201": "needs the blocks of the file and of what it uses",
    "NS202": "needs the params and loops around",
    "NS203": "needs the steps before",
    "NS204": "needs the other names",
    "NS206": "needs the params of a block or document; those of ops are in the schema",
    "NS207": "needs the libraries",
    "NS208": "needs the other files or variants",
    "NS209": "needs what reads a name",
    "NS301": "the grammar of expressions nests, which no pattern can say",
    "NS302": "needs the values of params",
    "NS303": "needs values",
    "NS304": "needs values",
    "NS305": "needs the params of a block, or the other forms of the arguments of an op",
    "NS306": "needs the params",
    "NS307": "needs the values of params",
    "NS401": "needs shapes",
    "NS402": "needs shapes",
    "NS403": "needs the graph",
    "NS404": "limits of a graph",
    "NS405": "needs the graph",
    "NS406": "needs shapes",
    "NS501": "needs the graph",
    "NS502": "needs the graph",
    "NS503": "needs the graph",
}
"""The codes of errors that are not structural, with what they need beside the one place where they stand."""


@pytest.fixture(scope="module")
def schema() -> Draft7Validator:
    Draft7Validator.check_schema(document_schema())
    return Draft7Validator(document_schema())


def accepts(schema: Draft7Validator, text: str) -> bool | None:
    """Whether the schema accepts a text; None where it has no tree."""
    try:
        tree = parse(Source("a.yaml", text), reporter := Reporter())
    except NetspecError:
        return None
    return schema.is_valid(plain(tree)) if tree is not None and not reporter.failed else None


def read(text: bytes) -> list[Diagnostic]:
    """The errors of reading a text."""
    reporter = Reporter()
    try:
        read_document(Found(HERE / "cases" / "a.yaml", data=text, shown="a.yaml"), reporter)
    except NetspecError:
        pass
    return [d for d in reporter.sorted() if d.severity == "error" and d.span and d.span.file == "a.yaml"]


def test_every_code_of_a_spec_is_structural_or_says_why_not() -> None:
    of_specs = {code for code in CODES if code < "NS600"}
    assert of_specs == {*STRUCTURAL, *OTHER}


@pytest.mark.parametrize("path", [*SHIPPED, *GOOD], ids=lambda p: p.stem)
@pytest.mark.quick(12)
def test_accepts_what_compiles(path: Path, schema: Draft7Validator) -> None:
    errors = list(schema.iter_errors(plain(parse(Source(path.name, path.read_text("utf-8")), Reporter()))))  # type: ignore[arg-type]
    assert not errors, [(list(e.absolute_path), e.message) for e in errors]


@pytest.mark.parametrize(
    "path",
    [p for p in BAD if any(f"E[{code}]" in p.read_text("utf-8") for code in STRUCTURAL)],
    ids=lambda p: p.stem,
)
def test_refuses_every_structural_error_by_itself(path: Path, schema: Draft7Validator) -> None:
    """Where the rest of the file is right, each line with such an error is wrong when all the others are deleted."""
    lines = path.read_text("utf-8").splitlines()
    marked = {n for n, line in enumerate(lines) if re.search(r"# E\[NS\d+\]", line)}
    structural = [n for n in marked if any(f"E[{code}]" in lines[n] for code in STRUCTURAL)]
    without = "\n".join(line for k, line in enumerate(lines) if k not in marked)
    assert accepts(schema, "\n".join(lines)) is False
    if accepts(schema, without):
        for n in structural:
            alone = "\n".join(line for k, line in enumerate(lines) if k == n or k not in marked)
            assert accepts(schema, alone) is False, lines[n]


@pytest.mark.slow
def test_agrees_with_the_reader_over_mutated_specs(schema: Draft7Validator) -> None:
    """It refuses what the reader calls structurally wrong, and nothing in which `check` finds no error."""
    sys.path.insert(0, str(HERE.parent / "tools"))
    pytest.importorskip("resource")  # which Windows has not
    import fuzz

    inputs = fuzz.Inputs(5)
    refused = structural = trees = 0
    for n in range(600):
        accepted = accepts(schema, inputs[n].decode("utf-8", "replace"))
        if accepted is None:
            continue
        trees += 1
        found = [d for d in read(inputs[n]) if d.code in STRUCTURAL]
        structural += bool(found)
        assert not (found and accepted), (n, found[0])
        if not accepted:
            refused += 1
            assert found or any_error(inputs[n]), (n, "the schema alone refuses this")
    assert trees > 200 and structural > 30 and refused >= structural


def any_error(text: bytes) -> bool:
    """Whether `check` finds an error in a text."""
    reporter = Reporter()
    try:
        check_file(Found(HERE / "cases" / "a.yaml", data=text, shown="a.yaml"), reporter, max_nodes=3_000)
    except NetspecError:
        return True
    return reporter.failed


def test_the_published_file_is_the_schema() -> None:
    text = (specs_root() / "netspec.schema.json").read_text("utf-8")
    assert text == published(), "write it anew: tools/dev docs"
    assert document_schema()["$id"] == f"urn:netspec:schema:{LANGUAGE_VERSION}"
    assert document_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_spec_names_the_schema(path: Path) -> None:
    """The language server takes the first of such comments, wherever it stands."""
    (name,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", path.read_text("utf-8"), re.M)
    assert (path.parent / name).resolve() == specs_root().resolve() / "netspec.schema.json"
