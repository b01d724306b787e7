"""The text form of a graph: one line a node, scope and output; it reads back to an equal graph.

graph "tiny" "A tiny network"
scope "stem" block {"block": "conv_relu", "args": {"out": 8}}
input = input() {"shape": ["N", 3, 8, 8]} : N x 3 x 8 x 8
stem.conv = conv(input) {"kernel": [3, 3], ...} : N x 8 x 8 x 8
output "logits" = stem.conv
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import get_args

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, GraphError, Node, Output, Ref, Scope, ScopeKind
from netspec.ops import OpError, Shape, Tensor, lookup
from netspec.ops.base import freeze

_NODE = re.compile(r"(\S+) = (\w+)\(([^)]*)\) (\{.*\}) : (.+)\Z")
_SCOPE = re.compile(r"scope (\".*?\") (\w+) (\{.*\})\Z")
_OUTPUT = re.compile(r"output (\".*?\") = (\S+) (\{.*\})\Z")
_KINDS: dict[str, ScopeKind] = {kind: kind for kind in get_args(ScopeKind)}


def to_text(graph: Graph) -> str:
    """The graph as text."""
    lines = [f"graph {_json(graph.name)} {_json(graph.title)}"]
    for s in graph.scopes.values():
        more: dict[str, object] = {"block": s.block} if s.block else {}
        more |= {"args": dict(s.args)} if s.args else {}
        more |= {"weights_at": s.weights_at} if s.weights_at != s.path else {}
        more |= {"title": s.title} if s.title else {}
        lines.append(f"scope {_json(s.path)} {s.kind} {_json(more)}")
    for n in graph.nodes.values():
        attrs = dict(n.attrs)
        attrs |= {"@weights_at": n.weights_at} if n.weights_at != n.path else {}
        attrs |= {"@init": dict(n.init)} if n.init else {}
        attrs |= {"@title": n.title} if n.title else {}
        shapes = ", ".join(" x ".join(map(str, shape)) for shape in n.shapes)
        lines.append(f"{n.path} = {n.op}({', '.join(map(str, n.inputs))}) {_json(attrs)} : {shapes}")
    for name, o in graph.outputs.items():
        extra = {"loss_weight": o.loss_weight} if o.loss_weight is not None else {}
        extra |= {"training_only": True} if o.training_only else {}
        lines.append(f"output {_json(name)} = {o.ref} {_json(extra)}")
    return "\n".join(lines) + "\n"


def from_text(text: str) -> Graph:
    """The graph that to_text() printed; raises GraphError for a text that does not fit."""
    try:
        return _from_lines(text.splitlines())
    except GraphError:
        raise
    except (OpError, ValueError, TypeError, LookupError, AttributeError) as e:  # values of other types than it printed
        raise GraphError(f"not the text of a graph: {e or type(e).__name__}"[:500]) from None


def _from_lines(lines: list[str]) -> Graph:
    name = title = ""
    nodes: dict[str, Node] = {}
    scopes: list[Scope] = []
    outputs: dict[str, Output] = {}
    for line in lines:
        if line.startswith("graph "):
            decoder = json.JSONDecoder()
            name, end = decoder.raw_decode(line[6:])
            title = json.loads(line[6 + end :])
            if not isinstance(title, str):
                raise GraphError(f"the title is not a string: {title!r}"[:80])
        elif match := _SCOPE.match(line):
            scopes.append(_scope(match))
        elif match := _OUTPUT.match(line):
            extra = json.loads(match[3])
            outputs[json.loads(match[1])] = Output(
                Ref.parse(match[2]), extra.get("loss_weight"), extra.get("training_only", False)
            )
        elif match := _NODE.match(line):
            node = _node(match, nodes)
            nodes[node.path] = node
        elif line.strip():
            raise GraphError(f"not a line of a graph: {line[:80]}")
    return Graph(name, nodes, outputs, scopes, title).check()


def _scope(match: re.Match[str]) -> Scope:
    path, kind, more = json.loads(match[1]), _KINDS.get(match[2]), json.loads(match[3])
    if kind is None:
        raise GraphError(f"{path}: there is no kind of scope '{match[2]}', there are {', '.join(_KINDS)}")
    args = {k: freeze(v) for k, v in more.get("args", {}).items()}
    return Scope(path, kind, more.get("weights_at", path), more.get("block", ""), args, title=more.get("title", ""))


def _node(match: re.Match[str], nodes: Mapping[str, Node]) -> Node:
    path, op_name = Path(match[1]), match[2]
    inputs = tuple(Ref.parse(t.strip()) for t in match[3].split(",") if t.strip())
    attrs = {k: freeze(v) for k, v in json.loads(match[4]).items()}
    weights_at, init = Path(attrs.pop("@weights_at", path)), attrs.pop("@init", {})
    title = attrs.pop("@title", "")
    op = lookup(op_name)
    if op is None or any(r.node not in nodes for r in inputs):
        raise GraphError(f"{path}: an unknown op or operand")
    result = op.infer([Tensor(nodes[r.node].shapes[r.out]) for r in inputs], attrs)
    if [_dims(s) for s in match[5].split(", ")] != [tuple(map(str, s)) for s in result.shapes]:
        raise GraphError(f"{path}: the shape {match[5]} differs from the rule of {op_name}")
    return Node(path, op_name, inputs, result.attrs, result, weights_at, init, title=title)


def _dims(text: str) -> Shape:
    return tuple(text.split(" x "))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)
