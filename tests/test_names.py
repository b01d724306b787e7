"""What a name is: every name of a spec, written or computed, is checked where it is made."""

from __future__ import annotations

import copy
import keyword
import pickle
from pathlib import Path as File

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from netspec.cli.main import cli
from netspec.diagnostics.errors import Diagnostic, Reporter
from netspec.expressions.identifiers import BadName, Kind, Path, from_file_name, why_not
from netspec.ir.graph import Graph, Node, Output, Ref, Scope
from netspec.ir.text import from_text, to_text
from netspec.network import load

CASES = File(__file__).parent / "cases"
HEAD = "netspec: 1\nname: net\n"
NO_NAMES = [
    "a b",
    "a;b",
    "{x}",
    "a.b",
    "",
    "a-b",
    "é",
    "a\\nb",
    "a'b",
    'a\\"b',
    "self)",
    "../a",
    "a\\u202eb",
    "x" * 201,
    "__init__",
]

# Every position of a spec in which a name stands; {} is where it is written.
POSITIONS = {
    "step": 'input: [3, 8, 8]\nbody: [{{"{} = conv": [4, 1]}}]\n',
    "step of else": 'input: [3, 8, 8]\nbody: [{{relu: , when: false, else: [{{"{} = conv": [4, 1]}}]}}]\n',
    "branch": 'input: [3, 8, 8]\nbody: [{{add: {{"{}": [relu], b: []}}}}]\n',
    "input": 'input: {{"{}": [3, 8, 8]}}\nbody: [relu]\n',
    "output": 'input: [3, 8, 8]\nbody: [a = relu]\noutputs: {{"{}": a}}\n',
    "loop variable of for": 'input: [3, 8, 8]\nbody: [{{relu: , for: {{"{}": 2}}}}]\n',
    "second loop variable": 'input: [3, 8, 8]\nbody: [{{relu: , for: {{"a, {}": [[1, 2]]}}}}]\n',
    "loop variable of each": 'input: [3, 8, 8]\nbody: [{{b = relu: , each: {{"{}": 2}}}}, {{add: , from: b}}]\n',
    "loop variable of a branch": 'input: [3, 8, 8]\nbody: [{{add: {{b: {{do: [relu], each: {{"{}": 2}}}}}}}}]\n',
    "parameter": 'params: {{"{}": 3}}\ninput: [3, 8, 8]\nbody: [relu]\n',
    "let": 'let: {{"{}": 3}}\ninput: [3, 8, 8]\nbody: [relu]\n',
    "variant": 'input: [3, 8, 8]\nvariants: {{"{}": {{}}}}\nbody: [relu]\n',
    "block": 'blocks: {{"{}": {{body: [relu]}}}}\n',
    "parameter of a block": 'blocks: {{b: {{params: {{"{}": 3}}, body: [relu]}}}}\n',
    "let of a block": 'blocks: {{b: {{let: {{"{}": 3}}, body: [relu]}}}}\n',
    "input of a block": 'blocks: {{b: {{inputs: ["{}", c], body: [{{relu: , from: c}}]}}}}\n',
    "symbolic size": 'input: {{a: {{shape: ["{}", 3, 8, 8]}}}}\nbody: [relu]\n',
    "computed step": 'let: {{w: "{}"}}\ninput: [3, 8, 8]\nbody: [{{"a{{w}} = conv": [4, 1]}}]\n',
    "computed branch": 'let: {{w: "{}"}}\ninput: [3, 8, 8]\nbody: [{{add: {{"a{{w}}": [relu], b: []}}}}]\n',
    "step of a loop": 'input: [3, 8, 8]\nbody: [{{"a{{w}} = conv": [4, 1], for: {{w: ["{}"]}}}}]\n',
    "step of each": 'input: [3, 8, 8]\nbody: [{{"a{{w}} = relu": , each: {{w: [b, "{0}"]}}}}, '
    '{{add: , from: [ab, "a{0}"]}}]\n',
    "branch of each": 'input: [3, 8, 8]\nbody: [{{add: {{"a{{w}}": {{do: [relu], each: {{w: [b, "{}"]}}}}}}}}]\n',
    "argument of a block": "input: [3, 8, 8]\n"
    'blocks: {{b: {{params: {{w: str}}, body: [{{"a{{w}} = conv": [4, 1]}}]}}}}\n'
    'body: [{{b: "{}"}}]\n',
}
# Where it comes after a letter it may be empty, or begin with __.
AFTER_A_LETTER = {
    "computed step",
    "computed branch",
    "step of a loop",
    "step of each",
    "branch of each",
    "argument of a block",
}


def diagnostics(text: str, folder: File, name: str = "net.yaml") -> list[Diagnostic]:
    """What check says of a text, blocks included."""
    from netspec.check.check_file import check_file

    path = folder / name
    path.write_text(text, encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter)
    return [d for d in reporter.sorted() if d.severity == "error"]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.quick(8)
def test_nothing_else_is_a_name(position: str, tmp_path: File) -> None:
    for text in NO_NAMES:
        if text in ("", "__init__") and position in AFTER_A_LETTER:
            continue
        found = diagnostics(HEAD + POSITIONS[position].format(text), tmp_path)
        assert found, f"{text!r} as {position}"
        assert {d.code for d in found} & {"NS205", "NS202"}, f"{text!r} as {position}: {found}"
        assert all(d.span is not None for d in found)


@pytest.mark.parametrize("position", POSITIONS)
def test_a_good_name_is_accepted_in_that_position(position: str, tmp_path: File) -> None:
    found = diagnostics(HEAD + POSITIONS[position].format("good_1"), tmp_path)
    assert not found, found


@pytest.mark.parametrize("name", ["my-net", "1x1", "class", "a b", "x\n    import os", "net'; import os", "x", "日本"])
def test_a_document_is_named_after_its_file(name: str, tmp_path: File) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text("netspec: 1\ninput: [3, 8, 8]\nbody: [conv: [5, 1]]\n")
    network = load(path)
    assert network.name.isidentifier() and network.name.isascii() and not keyword.iskeyword(network.name)
    assert any(d.severity == "note" and f"'{network.name}'" in d.message for d in network.warnings)
    assert network.to_torch()(torch.zeros(1, 3, 8, 8)).shape == (1, 5, 8, 8)


def test_a_file_of_a_good_name_needs_no_note(tmp_path: File) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("netspec: 1\ninput: [3, 8, 8]\nbody: [conv: [5, 1]]\n")
    assert not load(path).warnings


@given(st.text(max_size=30))
def test_a_name_from_a_file_name_is_a_name(stem: str) -> None:
    name = from_file_name(stem)
    assert not why_not(name, Kind.DOCUMENT)
    assert name.isidentifier() and name.isascii()


@given(st.text(max_size=20), st.sampled_from(Kind))
def test_names_are_ascii_words(text: str, kind: Kind) -> None:
    if not why_not(text, kind):
        assert text.isascii() and text.replace(".", "").replace("_", "0").isalnum()


@pytest.mark.parametrize("text", ["a b", "a..b", ".a", "a.", "a\n", "a.forward", "__init__", 'a"', "a.class"])
def test_a_path_is_made_of_names_alone(text: str) -> None:
    with pytest.raises(BadName):
        Path(text)
    graph = build_relu()
    node = next(iter(graph.nodes.values()))
    for make in (
        lambda: Node(text, node.op, node.inputs, node.attrs, node.result, node.weights_at),
        lambda: Node(node.path, node.op, node.inputs, node.attrs, node.result, text),
        lambda: Scope(text, "group", ""),
        lambda: Scope("a", "group", text),
        lambda: Graph(graph.name, graph.nodes, {text: Output(Ref(node.path))}),
    ):
        with pytest.raises(BadName):
            make()


def test_a_path_stays_one_through_copies() -> None:
    path = Path("a.b").child("c")
    for other in (pickle.loads(pickle.dumps(path)), copy.deepcopy(path), Path(path)):
        assert other == "a.b.c" and type(other) is Path
    assert Path() == "" and Path().child("a") == "a"


def build_relu() -> Graph:
    return load(CASES / "my-net.yaml").graph


def test_the_text_form_gives_checked_paths() -> None:
    graph = from_text(to_text(build_relu()))
    assert all(type(n.path) is Path and type(n.weights_at) is Path for n in graph.nodes.values())


CODES = {
    "computed_name_runs_code": (6, 8),
    "keyword_from_placeholder": (5, 5),
    "loop_variable_no_name": (6, 12),
    "input_named_placeholder": (3, 9),
    "malformed_placeholder": (5, 11),
}


@pytest.mark.parametrize("case", CODES)
def test_cases(case: str, tmp_path: File) -> None:
    (found,) = diagnostics((CASES / f"{case}.yaml").read_text(), tmp_path)
    assert found.span is not None
    assert (found.span.line, found.span.col) == CODES[case]
    assert found.code == ("NS301" if case == "malformed_placeholder" else "NS205")


COMMANDS = (
    "check",
    "summary",
    "draw -o x.svg",
    "plot params -o x.svg",
    "plot pareto -o x.svg",
    "explain",
    "compile --to json",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.quick(3)
def test_every_command_says_a_derived_name(command: str, tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, *rest = command.split()
    what = [rest.pop(0)] if name == "plot" else []
    done = CliRunner().invoke(cli, [name, *what, str(CASES / "my-net.yaml"), *rest])
    assert done.exit_code == 0, done.output
    assert "note[NS205]" in done.stderr and "'my_net'" in done.stderr
