"""A graph that did not come from a spec, in its text form or made in Python, writes no code into the source either."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from conformance import CASES, one_op
from hostile import CODE
from test_hostile_texts import skeleton

from netspec.backend import get
from netspec.ir.graph import Graph, GraphError
from netspec.ir.text import from_text, to_text

EVIL = f"1); {CODE}; (1"
OTHER = (EVIL, [EVIL, EVIL], {"a": EVIL}, None, -1, 1.5, True, [1], [[1]], 2**70)
GRAPHS = {op: one_op(op, attrs, shapes) for op, attrs, shapes, _ in CASES}
TEXT = to_text(GRAPHS["conv"])


def read(text: str) -> Graph | None:
    """The graph of a text; None where it is refused."""
    try:
        return from_text(text)
    except GraphError:
        return None


def harmless(graph: Graph) -> bool:
    """Whether nothing of a text is code in the source of a graph."""
    return "__import__" not in skeleton(get("torch").source(graph))


def with_value(text: str, name: str, value: object) -> str:
    """A text form in which an attribute has another value, wherever it stands."""

    def other(found: re.Match[str]) -> str:
        attrs = json.loads(found[0])
        return json.dumps(attrs | {name: value} if name in attrs else attrs)

    return re.sub(r"\{.*\}", other, text)


@pytest.mark.parametrize("op", GRAPHS)
@pytest.mark.quick(15)
def test_no_attribute_of_a_text_form_is_code(op: str) -> None:
    text = to_text(GRAPHS[op])
    assert read(text) is not None
    names = {n for line in text.splitlines() if (f := re.search(r"\{.*\}", line)) for n in json.loads(f[0])}
    for name in names:
        assert read(with_value(text, name, EVIL)) is None, f"{name} is a text"
        for value in OTHER:
            graph = read(with_value(text, name, value))
            assert graph is None or harmless(graph), (name, value)


@pytest.mark.parametrize("op, attrs, shapes", [c[:3] for c in CASES], ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
@pytest.mark.quick(16)
def test_no_attribute_of_a_node_is_code(op: str, attrs: dict[str, Any], shapes: Any) -> None:
    """The emitter quotes what it is given, whatever the rules of the ops would say of it."""
    graph = one_op(op, attrs, shapes)
    step = graph.nodes["step"]
    for name, given in step.attrs.items():
        for value in (EVIL, (EVIL,) * len(given) if isinstance(given, tuple) else EVIL):
            hostile = replace(step, attrs={**step.attrs, name: value})
            try:
                source = get("torch").source(Graph("one", {**graph.nodes, "step": hostile}, graph.outputs))
            except (LookupError, TypeError, ValueError):
                continue
            assert "__import__" not in skeleton(source), (name, value)


LINES = [
    'graph "one" 5',
    'graph 5 ""',
    "graph",
    'scope "step" block {"args": 5}',
    'scope "step" block {"args": {"a b": 1}}',
    'scope "a b" group {}',
    'scope "none" group {}',
    'output "a b" = step {}',
    'output "y" = none {}',
    'output "y" = step#7 {}',
    'output "y" = step#-1 {}',
    'output "y" = step#x {}',
    "y = relu(step#1) {} : N x 4 x 4 x 4",
    "y = relu(step#-1) {} : N x 4 x 4 x 4",
    "y = relu(step, step) {} : N x 4 x 4 x 4",
    "y = relu() {} : N",
    'y = relu(step) {"none": 1} : N x 4 x 4 x 4',
    "y = conv(x0) {} : N",
    "y = relu(x0) {broken} : N",
    'y = input() {"shape": 5} : 5',
    'y = input() {"shape": ["a b", 3]} : a b x 3',
    'y = input() {"shape": [[1]]} : 1',
    'y = relu(x0) {"@weights_at": 5} : N x 6 x 11 x 9',
    "step.inner = relu(x0) {} : N x 6 x 11 x 9",
    "step.weight = relu(x0) {} : N x 6 x 11 x 9",
    "evil",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_does_not_fit_is_an_error_of_the_graph(line: str) -> None:
    assert read(TEXT) is not None
    with pytest.raises(GraphError):
        from_text(TEXT + line + "\n")
