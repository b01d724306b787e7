"""The syntax tree: what the reader makes of a spec, and that nobody else reads YAML."""

from __future__ import annotations

import ast as python
from pathlib import Path

import pytest

import netspec.expressions.expression
from netspec.diagnostics.errors import Reporter
from netspec.elaborate.compiled import compile_variant
from netspec.elaborate.configuration import Configuration
from netspec.elaborate.document import elaborate
from netspec.expressions.ast import BinOp
from netspec.expressions.identifiers import LANGUAGE
from netspec.syntax.ast import Each, Error, Expression, For, ListNode, Literal, MapNode, PathNode, Paths, Unevaluable
from netspec.syntax.document import Document
from netspec.syntax.keywords import BRANCH_KEYS, GROUPS, KEYWORDS, MISPLACED
from netspec.syntax.library import Found, find
from netspec.syntax.names import words_in
from netspec.syntax.reader import read_document
from netspec.syntax.steps import Group, Join, NoAction, OpCall, Step, Tee

ROOT = Path(__file__).parent.parent
HEAD = "netspec: 1\nname: t\ninput: [3, 8, 8]\nbody:\n"


def document_of(body: str, head: str = HEAD) -> tuple[Document, list[str]]:
    reporter = Reporter()
    found = read_document(Found(Path("t.yaml"), data=(head + body).encode(), shown="t.yaml"), reporter)
    assert found is not None
    return found, [d.code for d in reporter.sorted()]


def step_of(text: str) -> Step:
    document, codes = document_of(text)
    assert not codes
    return document.body[-1]


def test_arguments_are_typed_and_expressions_parsed() -> None:
    step = step_of("  - stem = conv: {out: =w * 2, kernel: 3, bias: false, init: {weight: [zeros, '1']}}\n")
    action = step.action
    assert isinstance(action, OpCall) and action.op == "conv" and isinstance(action.args, MapNode)
    out, kernel, bias, init = (action.args.get(name) for name in ("out", "kernel", "bias", "init"))
    assert isinstance(out, Expression) and isinstance(out.expr.tree, BinOp)
    assert isinstance(kernel, Literal) and kernel.value == 3
    assert isinstance(bias, Literal) and bias.value is False
    assert isinstance(init, MapNode) and isinstance(listed := init.get("weight"), ListNode)
    assert [(item.value, item.quoted) for item in listed.items if isinstance(item, Literal)] == [
        ("zeros", False),
        ("1", True),
    ]
    assert (step.span.line, step.span.col, step.head.col) == (5, 12, 5)
    assert step.template is not None and step.template.written("") == "stem"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("  - relu\n", OpCall),
        ("  - do: [relu]\n", Group),
        ("  - tee: [relu]\n", Tee),
        ("  - add: [[relu], []]\n", Join),
        ("  - add:\n    from: [input, input]\n", Join),
    ],
)
def test_an_action_has_a_kind(text: str, kind: type) -> None:
    assert isinstance(step_of(text).action, kind)


def test_loops_conditions_and_sources() -> None:
    step = step_of("  - x{k} = conv: [=n, 1]\n    for: {'k, n': [[1, 8], [2, 16]]}\n    repeat: 2\n    when: k > 0\n")
    assert isinstance(step.loop, For) and step.loop.rows.variables == ("k", "n")
    assert isinstance(step.loop.rows.over, ListNode) and step.loop.repeat is not None
    assert isinstance(step.loop.repeat.count, Expression) and step.loop.repeat.count.count == 2
    assert isinstance(step.when, Expression) and step.template is not None and step.template.names == {"k"}
    joined = step_of("  - a{1 + 1} = relu\n  - add:\n    from: ['a{2}', input]\n")
    assert isinstance(joined.source, Paths) and isinstance(first := joined.source.items[0], PathNode)
    assert not first.template.is_plain
    each = step_of("  - split: 3\n    each: 2\n")
    assert isinstance(each.loop, Each)


# What cannot be read is an error node at its place, reported once; what is around it is read.
@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("  - relu:\n    when: true\n    from: input\n", "NS113", "when"),
        ("  - relu:\n    repeat: [1]\n", "NS110", "loop"),
        ("  - relu:\n    for: {in: 2}\n", "NS205", "loop"),
        ("  - train = relu\n", "NS205", "name"),
        ("  - relu:\n    share: [1]\n", "NS110", "share"),
    ],
)
def test_a_part_that_cannot_be_read_is_an_error_node(text: str, code: str, part: str) -> None:
    document, codes = document_of(text + "  - relu\n")
    wrong, right = document.body
    assert codes == [code] and wrong.failed and not right.failed
    assert isinstance(getattr(wrong, part), Error) and not isinstance(wrong.action, NoAction)


def test_a_step_of_two_ops_has_no_action() -> None:
    document, codes = document_of("  - conv: [8, 1]\n    relu:\n  - relu\n")
    assert codes == ["NS111"]
    action = document.body[0].action
    assert isinstance(action, NoAction) and {"conv", "relu"} <= set(words_in(action.written))


def test_a_wrong_expression_is_an_error_where_it_is_evaluated() -> None:
    document, codes = document_of("  - relu:\n    when: false\n  - conv: ['=8 +', 1]\n")
    assert not codes  # reading reports none: the step might not be run
    action = document.body[1].action
    assert isinstance(action, OpCall) and isinstance(action.args, ListNode)
    wrong = action.args.items[0]
    assert isinstance(wrong, Unevaluable) and wrong.error().code == "NS301"
    reporter = Reporter()
    with pytest.raises(Exception, match="NS301"):
        compile_variant(document, reporter=reporter)


def test_elaboration_parses_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """All expressions, names and paths of a document are parsed when it is read."""
    document = read_document(find("googlenet"), Reporter())
    assert document is not None

    def parse(*_: object) -> None:
        raise AssertionError("text is parsed again")

    monkeypatch.setattr(netspec.expressions.expression, "parse", parse)
    monkeypatch.setattr(netspec.expressions.expression, "parse_parts", parse)
    graph = elaborate(document, Configuration(), Reporter())
    assert graph is not None and len(graph) > 100


def test_nobody_but_the_reader_sees_the_yaml_tree() -> None:
    """Outside of netspec/syntax no module imports the nodes of the located tree, nor the parser of YAML."""
    seen = []
    for path in [*ROOT.glob("netspec/**/*.py"), *ROOT.glob("backends/**/*.py")]:
        if path.parent.name == "syntax":
            continue
        for node in python.walk(python.parse(path.read_text("utf-8"))):
            if isinstance(node, python.ImportFrom) and node.module == "netspec.syntax.tree":
                seen += [(path.name, alias.name) for alias in node.names]
    assert [found for found in seen if found[1] not in ("ScalarValue", "Plain")] == []


def test_no_step_can_have_the_name_of_a_keyword() -> None:
    """The words of the language, which no name may be, are listed below the syntax: they hold all keywords."""
    assert {*KEYWORDS, *BRANCH_KEYS, *GROUPS} <= LANGUAGE
    assert all(rule.keyword in KEYWORDS for rule in MISPLACED)
