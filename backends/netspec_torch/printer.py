"""Prints classes as source."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from pathlib import Path
from typing import TypeAlias

from netspec.analysis.cost import totals
from netspec.ir.graph import Graph
from netspec_torch.classes import Line, Member, Repeated
from netspec_torch.groups import FIRST, Group
from netspec_torch.layout import WIDTH, Expr, after, call, collection, flat, lines, repeated, statement
from netspec_torch.options import WeightsFile
from netspec_torch.quote import comment, docstring, identifier, is_identifier, literal, string


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
    constants = [*_loss_weights(graph), *_frozen(network)]
    classes.append(Class(network, [(graph.title or graph.name).strip()], constants, _features(network)))
    code = "\n\n".join("\n".join(c.code) for c in classes)
    used = _names(code)
    helpers = _helpers(used, known)
    counts = totals(graph.nodes.values())
    outputs = ", ".join(f"{name} ({', '.join(map(str, graph.shape(o.ref)))})" for name, o in graph.outputs.items())
    inputs = ", ".join(f"{n.path} ({', '.join(map(str, n.shape))})" for n in graph.inputs)
    said = f"{inputs} -> {outputs}; {counts.params:,} parameters, {counts.macs:,} multiply-accumulates."
    head = docstring(
        [
            (graph.title or graph.name).strip(),
            "",
            *textwrap.wrap(said, WIDTH),
            f"Written by netspec {version}; it needs PyTorch alone."
            + " The weights are in a file next to this one:" * bool(weights),
            *(["    model = load()"] if weights else []),
        ]
    )
    imports = ["import hashlib", "import os"] if weights else []
    imports += ["from collections import OrderedDict"] if "chain" in used else []
    imports += [""] if imports else []
    functional = ["import torch.nn.functional as F"] if "F" in used or re.search(r"\bF\.", "".join(helpers)) else []
    loading = [_load(network.name, weights)] if weights else []
    plain = "torch" in used or re.search(r"\btorch\.(?!nn\b)", "".join([*helpers, *loading]))
    imports += ["import torch"] if plain else []
    top = "\n".join([*head, "", *imports, *functional, "from torch import nn"])
    parts = [top, *helpers, *(c.text() for c in classes), *loading]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


FROZEN = """\
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)

    def train(self, mode=True):
        \"""What is frozen stays in eval mode: no statistics change, nothing is dropped.\"""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self""".splitlines()
LOAD = """\
def load(path=None):
    \"""The network with its weights, in eval mode; a file of others is refused.\"""
    if path is None:
{path}
    expected = {digest}
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
        if digest.hexdigest() != expected:
            raise ValueError(f"{{path}} does not hold the weights of {{__file__}}")
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
    path = f"path = os.path.join(os.path.dirname(os.path.realpath(__file__)), {name})"
    path = "\n".join(statement(path, 8))
    layout = ".to(memory_format=torch.channels_last)" if weights.channels_last else ""
    state = STATES[Path(weights.name).suffix]
    return LOAD.format(path=path, digest=digest, network=network, state=state, layout=layout)


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
    given = ", ".join(f"{string(name)}: {literal(w)}" for name, w in weights.items())
    return statement(f"self.loss_weights = {{{given}}}", 8)


def _frozen(network: Group) -> list[str]:
    """The names of what is not trained."""
    if len(network.frozen) < 2:
        return [f"        self.frozen = {literal(tuple(network.frozen))}"] if network.frozen else []
    return lines(collection("(", [string(name) for name in network.frozen], ")"), 8, "self.frozen = ")


def _features(network: Group) -> list[str]:
    """The channels and strides of what a network gives, where these are values of its steps."""
    found = network.features
    channels = [f"{string(name)}: {feature.channels}" for name, feature in found.items()]
    strides = [f"{string(name)}: {literal(feature.stride)}" for name, feature in found.items()]
    said = {"channels": channels, "strides": strides} if found else {}
    return [line for name, items in said.items() for line in lines(collection("{", items, "}"), 4, f"{name} = ")]


def _doc(group: Group) -> list[str]:
    """The docstring of a class: what the spec says, and where it stands."""
    bodies = sorted(group.bodies, key=lambda body: body.order)
    scope, places = bodies[0].region.scope, [body.region.path for body in bodies]
    shown = ", ".join(places[:4]) + (f", ... ({len(places)} in all)" if len(places) > 4 else "")
    first = f"{scope.doc.rstrip('. ')}." if scope.doc else f"The block {scope.block}."
    called = f"; first called at {scope.span}" if scope.span else ""
    return [first, "", f"Here as {shown}{called}."]


@dataclass(eq=False)
class Class:
    """The source of one class: its docstring holds text of the spec, its code what the compiler wrote."""

    group: Group
    doc: list[str]
    constants: Sequence[str] = ()
    attributes: Sequence[str] = ()
    code: list[str] = field(init=False)

    def __post_init__(self) -> None:
        group, body = self.group, self.group.full
        numbers = {id(leaf): i for i, leaf in enumerate(body.leaves())}
        parameters = [f"{p}={literal(group.defaults[p])}" if p in group.defaults else p for p in group.parameters]
        self.code = [*self.attributes, ""] if self.attributes else []
        self.code += lines(call("def __init__", ["self", *parameters]), 4, "", ":")
        self.code += ["        super().__init__()", *self.constants]
        if body.loop is not None:
            self.code += _looped(body.loop, group)
            return
        for name, member in _nested(body.members).items():
            self.code += _register(name, member, group, numbers)
        self.code += [f"        self.{name} = {said}" for name, said in dict(map(_flag, group.flags.values())).items()]
        self.code += FROZEN if group.frozen else []
        returns = f" -> {body.returns}" if body.returns else ""
        self.code += ["", *lines(call("def forward", ["self", *body.parameters]), 4, "", f"{returns}:")]
        for i, line in enumerate(body.lines):
            shown, note = _conditional(line, i, group), _comment(line, group.lines(i))
            for text in shown:
                indent = 8 + len(text) - len(text.lstrip())
                self.code += statement(text.lstrip(), indent, note if text is shown[-1] else "")

    def text(self) -> str:
        """The whole class."""
        shown = [line for part in self.doc for line in textwrap.wrap(part, WIDTH - 7) or [""]]
        base = "nn.Module" if self.group.full.loop is None else "nn.Sequential"
        return "\n".join([f"class {self.group.name}({base}):", *docstring(shown, 4), "", *self.code]) + "\n"


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
    if isinstance(member, Member) and any(f"{name}.{item.name}" in group.optional for item in member.items or ()):
        return _step_by_step(member, group, numbers)
    value = _value(member, group, numbers)
    if not is_identifier(name):
        return lines(call("self.add_module", [string(name), value]), 8)
    if name in group.optional:
        head = [f"        self.{name} = None", f"        if {group.optional[name]}:"]
        return [*head, *lines(value, 12, f"self.{name} = ")]
    return lines(value, 8, f"self.{name} = ")


def _looped(loop: Repeated, group: Group) -> list[str]:
    """The lines that register the members of a loop."""
    i = identifier("i", {*group.parameters, *group.taken})
    count = group.lifted.get((1, "count")) or literal(loop.counter.given()["count"])
    number = f"{{{i} + {loop.start}}}" if loop.start else f"{{{i}}}"
    growth = {
        name: group.lifted.get((1, f"{name}_step")) or literal(step)
        for name in loop.first.given()
        if (step := loop.growth(name))
    }
    made = _constructor(loop.first, group, 0, {name: f" + {step} * {i}" for name, step in growth.items()})
    return [
        f"        for {i} in range({count}):",
        *lines(call("self.add_module", [f'f"{loop.stem}{number}"', made]), 12),
    ]


def _step_by_step(member: Member, group: Group, numbers: dict[int, int]) -> list[str]:
    """A sequence of which some instances lack a step."""
    steps = identifier("steps", {*group.parameters, *group.taken})
    items = [(item, group.optional.get(f"{member.name}.{item.name}")) for item in member.items or ()]
    first = [item for item, _ in takewhile(lambda pair: not pair[1], items)]
    given = [after(f"{string(item.name)}: ", _value(item, group, numbers)) for item in first]
    shown = lines(collection("{", given, "}"), 8, f"{steps} = ")
    for item, condition in items[len(first) :]:
        shown += [f"        if {condition}:"] if condition else []
        value = _value(item, group, numbers)
        shown += lines(value, 12 if condition else 8, f"{steps}[{string(item.name)}] = ")
    return [*shown, f"        self.{member.name} = chain(**{steps})"]


def _flag(flag: tuple[str, str]) -> tuple[str, str]:
    """An attribute and what it is set to: the parameter of its name, or the condition itself."""
    name, condition = flag
    return name, name if condition == f"not {name}" else condition


def _conditional(line: Line, number: int, group: Group) -> list[str]:
    """A line of `forward` that some instances may lack: what it reads stands there for what it gives."""
    target, _, value = line.text.partition(" = ")
    stand, condition = line.reads[0] if line.reads else "", ""
    if number in group.flags:
        name, condition = group.flags[number]
        condition = f"not self.{name}" if condition == f"not {name}" else f"self.{name}"
    elif (name := value.removeprefix("self.").partition("(")[0]) in group.optional and value.startswith("self."):
        if target != stand:
            return [f"{target} = {stand} if self.{name} is None else {value}"]
        condition = f"self.{name} is not None"
    if not condition:
        return [line.text]
    if not value or target == stand:
        return [f"if {condition}:", f"    {line.text}"]
    return [f"{target} = {value} if {condition} else {stand}"]


def _value(member: Member | Nested, group: Group, numbers: dict[int, int]) -> Expr:
    """The constructor of a member."""
    if isinstance(member, dict):
        entries = [after(f"{string(k)}: ", _value(v, group, numbers)) for k, v in member.items()]
        return call("nn.ModuleDict", [collection("{", entries, "}", len(entries) > 2)])
    if member.items is None:
        return _constructor(member, group, numbers[id(member)])
    parts = {m.name: _value(m, group, numbers) for m in member.items}
    if list(parts) == [str(i) for i in range(len(parts))]:
        shown = _runs([*parts.values()])
        return call("nn.Sequential", shown, len(shown) > 2)
    if all(map(is_identifier, parts)):
        return call("chain", [after(f"{name}=", part) for name, part in parts.items()], len(parts) > 2)
    pairs = [after(f"{string(name)}: ", part) for name, part in parts.items()]
    return call("chain", [collection("**{", pairs, "}", len(parts) > 2)])


def _runs(parts: Sequence[Expr]) -> list[Expr]:
    """Three and more that are alike, one after another, as one that is repeated."""
    found: list[Expr] = []
    for _, group in groupby(parts, flat):
        run = list(group)
        found += run if len(run) < 3 else [repeated(run[0], str(len(run)))]
    return found


def _constructor(leaf: Member, group: Group, number: int, more: Mapping[str, str] | None = None) -> Expr:
    """A layer or an instance with its arguments; what differs between instances is a parameter."""

    def value(key: str, default: object) -> str:
        return (group.lifted.get((number, key)) or literal(default)) + (more or {}).get(key, "")

    if leaf.body is not None:
        assert leaf.body.group is not None
        inner = leaf.body.group
        shown = [(p, value(p, leaf.body.values[p])) for p in inner.parameters]
        placed = inner.parameters[: next((i for i, p in enumerate(inner.parameters) if p not in FIRST), None)]
        return call(
            inner.name,
            [
                text if p in placed else f"{p}={text}"
                for p, text in shown
                if p not in inner.defaults or text != literal(inner.defaults[p])
            ],
        )
    given = []
    for arg in leaf.args:
        text = value(arg.key, arg.value)
        if arg.positional:
            given.append(text)
        elif (number, arg.key) in group.lifted or arg.value != arg.default:
            given.append(f"{arg.key}={text}")
    return call(leaf.cls, given)


def _comment(line: Line, same: Sequence[Line]) -> str:
    """The title of what a line calls and the shape that it makes; where instances differ a size is a letter."""
    if line.shape is None:
        return ""
    letters = "NCHW" if len(line.shape) == 4 else "NF"
    dims = []
    for i, dim in enumerate(line.shape):
        equal = all(
            other.shape is not None and len(other.shape) == len(line.shape) and other.shape[i] == dim for other in same
        )
        dims.append(str(dim) if equal or i >= len(letters) else letters[i])
    shape = comment(", ".join(dims))
    title = f"{line.title}: " if all(other.title == line.title for other in same) and line.title else ""
    return f"# {comment(title)}({shape})"
