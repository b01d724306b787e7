"""Prints classes as source."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from netspec.analysis.cost import totals
from netspec.ir.graph import Graph
from netspec_torch.classes import Body, Group, Line, Member
from netspec_torch.options import WeightsFile
from netspec_torch.quote import comment, docstring, is_identifier, literal, string

WIDTH = 120


def call_of(name: str) -> str:
    """How forward reaches a member: self.a.b, or getattr (which TorchScript knows) where a name begins with a digit."""
    found = "self"
    for part in name.split("."):
        found = f"{found}.{part}" if is_identifier(part) else f"getattr({found}, {string(part)})"
    return found


def render(
    graph: Graph,
    groups: Sequence[Group],
    network: Group,
    version: str,
    weights: WeightsFile | None,
    known: Mapping[str, str],
) -> str:
    """The whole file: imports, helpers that are used, classes innermost first, the network."""
    classes = [Class(g, _doc(g)) for g in groups]
    frozen = [f"    frozen = {literal(tuple(network.frozen))}"] if network.frozen else []
    classes.append(Class(network, [graph.title or graph.name], [*_loss_weights(graph), *frozen]))
    code = "\n\n".join("\n".join(c.code) for c in classes)
    used = _names(code)
    helpers = _helpers(used, known)
    counts = totals(graph.nodes.values())
    outputs = ", ".join(f"{name} ({', '.join(map(str, graph.shape(o.ref)))})" for name, o in graph.outputs.items())
    inputs = ", ".join(f"{n.path} ({', '.join(map(str, n.shape))})" for n in graph.inputs)
    head = docstring(
        [
            graph.title or graph.name,
            "",
            f"{inputs} -> {outputs}; {counts.params:,} parameters, {counts.macs:,} multiply-accumulates.",
            f"Written by netspec {version}; it needs PyTorch alone."
            + " The weights are in a file next to this one:" * bool(weights),
            *(["    model = load()"] if weights else []),
        ]
    )
    imports = ["import hashlib", "import os"] if weights else []
    imports += ["from collections import OrderedDict"] if "OrderedDict" in used else []
    imports += [""] if imports else []
    functional = ["import torch.nn.functional as F"] if "F" in used or re.search(r"\bF\.", "".join(helpers)) else []
    top = "\n".join([*head, "", *imports, "import torch", *functional, "from torch import nn"])
    loading = [_load(network.name, weights)] if weights else []
    parts = [top, *helpers, *(c.text() for c in classes), *loading]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


FROZEN = """\
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)

    def train(self, mode=True):
        \"""Frozen parts stay in eval mode: their statistics do not change, and nothing in them is dropped.\"""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self""".splitlines()
LOAD = """\
def load(path=None):
    \"""The network with its weights, in eval mode; another file than the one written with this source is refused.\"""
    if path is None:
        path = os.path.join(os.path.dirname(os.path.realpath(__file__)), {name})
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
        if digest.hexdigest() != {digest}:
            raise ValueError(f"{{path}} does not hold the weights that were written with {{__file__}}")
        {state}
    model = {network}()
    model.load_state_dict(state)
    return model.eval(){layout}
"""
STATES = {
    ".pth": """file.seek(0)
        state = torch.load(file, map_location="cpu", weights_only=True)""",
    ".safetensors": """from safetensors.torch import load_file

        state = load_file(path)""",
}


def _load(network: str, weights: WeightsFile) -> str:
    """The function that makes the network with the weights next to the file."""
    name, digest = string(weights.name), string(weights.sha256)
    layout = ".to(memory_format=torch.channels_last)" if weights.channels_last else ""
    state = STATES[Path(weights.name).suffix]
    return LOAD.format(name=name, digest=digest, network=network, state=state, layout=layout)


def _names(code: str) -> set[str]:
    """The names that the methods of classes read; texts and comments, which hold words of the spec, name nothing."""
    return {node.id for node in ast.walk(ast.parse(f"class _:\n{code}")) if isinstance(node, ast.Name)}


def _helpers(names: Set[str], known: Mapping[str, str]) -> list[str]:
    """The helpers that the code uses, and those that these use, which stand before them."""
    found: dict[str, str] = {}
    used = [name for name in known if name in names]
    for name in used:
        text = known[name]
        found |= {} if name in found else {name: text}
        used += [n for n in known if n not in used and re.search(rf"\b{n}\b", text)]
    return list(reversed(found.values()))


def _loss_weights(graph: Graph) -> list[str]:
    """What each loss counts in training, where there are auxiliary heads."""
    if not any(output.training_only for output in graph.outputs.values()):
        return []
    weights = {name: 1.0 if o.loss_weight is None else o.loss_weight for name, o in graph.outputs.items()}
    return [f"    loss_weights = {{{', '.join(f'{string(name)}: {literal(w)}' for name, w in weights.items())}}}"]


def _doc(group: Group) -> list[str]:
    """The docstring of a class: what the spec says, and where it stands."""
    scope = group.bodies[0].region.scope
    places = [b.region.path for b in group.bodies]
    shown = ", ".join(places[:4]) + (f", ... ({len(places)} in all)" if len(places) > 4 else "")
    first = f"{scope.doc}." if scope.doc else f"The block {scope.block}."
    called = f"; first called at {scope.span}" if scope.span else ""
    return [first, "", f"Here as {shown}{called}."]


@dataclass(eq=False)
class Class:
    """The source of one class: its docstring holds text of the spec, its code what the compiler wrote."""

    group: Group
    doc: list[str]
    constants: Sequence[str] = ()
    code: list[str] = field(init=False)

    def __post_init__(self) -> None:
        group, body = self.group, self.group.bodies[0]
        numbers = {id(leaf): i for i, leaf in enumerate(group.leaves(body))}
        parameters = "".join(f", {p}" for p in group.parameters)
        self.code = [*self.constants, *([""] if self.constants else [])]
        self.code += [*_wrapped(f"    def __init__(self{parameters}):"), "        super().__init__()"]
        for name, member in _nested(body.members).items():
            self.code += _register(name, member, group, numbers)
        if group.frozen:
            self.code += FROZEN
        returns = f" -> {body.returns}" if body.returns else ""
        self.code += ["", f"    def forward(self, {body.parameters}){returns}:"]
        for i, line in enumerate(body.lines):
            self.code.append(f"        {_commented(line, [b.lines[i] for b in group.bodies])}")

    def text(self) -> str:
        """The whole class."""
        shown = [line for part in self.doc for line in textwrap.wrap(part, WIDTH - 10) or [""]]
        return "\n".join([f"class {self.group.name}(nn.Module):", *docstring(shown, 4), "", *self.code]) + "\n"


def _wrapped(line: str) -> list[str]:
    """A long signature over several lines."""
    if len(line) <= WIDTH:
        return [line]
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * 17, break_long_words=False)


Nested: TypeAlias = "dict[str, Member | Nested]"


def _nested(members: Sequence[Member]) -> Nested:
    """Groups members by the first part of their dotted names; several with the same first part become a ModuleDict."""
    found: Nested = {}
    for member in members:
        *path, last = member.name.split(".")
        place = found
        for part in path:
            inner = place.setdefault(part, {})
            assert isinstance(inner, dict), f"{member.name} lies in a layer"
            place = inner
        place[last] = member
    return found


def _register(name: str, member: Member | Nested, group: Group, numbers: dict[int, int]) -> list[str]:
    """The lines that register one member."""
    left, right, indent = (
        (f"self.{name} = ", "", 8) if is_identifier(name) else (f"self.add_module({string(name)}, ", ")", 8)
    )
    value = _value(member, group, numbers, indent)
    return (" " * indent + left + value + right).split("\n")


def _value(member: Member | Nested, group: Group, numbers: dict[int, int], indent: int) -> str:
    """The constructor of a member, over several lines where it is long."""
    if isinstance(member, dict):
        entries = [f"{string(k)}: {_value(v, group, numbers, indent + 4)}" for k, v in member.items()]
        return _broken("nn.ModuleDict({", entries, "})", indent)
    if member.items is not None:
        parts = [(m.name, _value(m, group, numbers, indent + 4)) for m in member.items]
        if [n for n, _ in parts] == [str(i) for i in range(len(parts))]:
            return _broken("nn.Sequential(", [v for _, v in parts], ")", indent)
        return _broken("nn.Sequential(OrderedDict([", [f"({string(n)}, {v})" for n, v in parts], "]))", indent)
    return _constructor(member, group, numbers[id(member)])


def _broken(start: str, parts: list[str], end: str, indent: int) -> str:
    flat = start + ", ".join(parts) + end
    if len(flat) + indent <= 88 and "\n" not in flat and len(parts) < 3:
        return flat
    pad = " " * (indent + 4)
    return start + "\n" + "".join(f"{pad}{part},\n" for part in parts) + " " * indent + end


def _constructor(leaf: Member, group: Group, number: int) -> str:
    """A layer or an instance with its arguments; what differs between instances is a parameter."""

    def value(key: str, default: object) -> str:
        return group.lifted.get((number, key)) or literal(default)

    if leaf.body is not None:
        assert leaf.body.group is not None
        inner = leaf.body.group
        return f"{inner.name}({', '.join(f'{p}={value(p, leaf.body.values[p])}' for p in inner.parameters)})"
    shown = []
    for arg in leaf.args:
        text = value(arg.key, arg.value)
        if arg.positional:
            shown.append(text)
        elif (number, arg.key) in group.lifted or arg.value != arg.default:
            shown.append(f"{arg.key}={text}")
    return f"{leaf.cls}({', '.join(shown)})"


def _commented(line: Line, same: Sequence[Line]) -> str:
    """A line with the title of what it calls and the shape that it makes; where instances differ a size is a letter."""
    if line.shape is None:
        return line.text
    letters = "NCHW" if len(line.shape) == 4 else "NF"
    dims = []
    for i, dim in enumerate(line.shape):
        equal = all(
            other.shape is not None and len(other.shape) == len(line.shape) and other.shape[i] == dim for other in same
        )
        dims.append(str(dim) if equal or i >= len(letters) else letters[i])
    shape = comment(", ".join(dims))
    title = f"{line.title}: " if all(other.title == line.title for other in same) and line.title else ""
    return f"{line.text}  # {comment(title)}({shape})"


__all__ = ["Body", "call_of", "render"]
