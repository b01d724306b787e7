"""Classes of blocks: instances of one structure share a class, and what differs becomes its parameters.

Instances that lack a step share it too, where the parameters say which: a shortcut where the shape changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.analysis.features import Feature
from netspec.expressions.identifiers import MODULE_ATTRIBUTES
from netspec_torch.classes import Body, Line, Member
from netspec_torch.columns import ABSENT, NOTHING, Known, keys, same
from netspec_torch.loops import loop_of
from netspec_torch.merging import Alignment, align, itself
from netspec_torch.quote import identifier, literal

FIRST = ("in_channels", "out")
"""The parameters that stand first and are given by their place, as in nn.Conv2d."""
TAKEN = ("in_channels", "num_features")
"""What a layer takes, which is what something else gives."""
MOST_FORMS = 8


@dataclass(eq=False)
class Group:
    """A class with its instances."""

    forms: list[tuple[Body, Alignment, list[Body]]]
    """Bodies of one structure each, the fullest first: the first of them, where its parts are in that one, and all."""
    taken: set[str]
    """Names of the classes of the file, which no parameter may hide."""
    name: str = ""
    lifted: dict[tuple[int, str], str] = field(default_factory=dict)
    """(number of the leaf, argument) -> parameter or expression of it."""
    parameters: list[str] = field(default_factory=list)
    defaults: dict[str, object] = field(default_factory=dict)
    """Of parameters that need not be given."""
    channels: set[str] = field(default_factory=set)
    """The parameters that are numbers of channels."""
    features: Mapping[str, Feature] = field(default_factory=dict)
    """Of a network whose outputs are values of steps."""
    frozen: list[str] = field(default_factory=list)
    """The modules that are not trained, of the class of the network."""
    known: Known = field(default_factory=Known)
    """What has been called by which name."""
    optional: dict[str, str] = field(default_factory=dict)
    """The condition under which a member is there."""
    flags: dict[int, tuple[str, str]] = field(default_factory=dict)
    """The number of a line that some instances lack -> an attribute that says so, and the condition."""

    @property
    def full(self) -> Body:
        """The body that is printed."""
        return self.forms[0][0]

    @property
    def bodies(self) -> list[Body]:
        """All instances, those of a structure together."""
        return [body for _, _, bodies in self.forms for body in bodies]

    def rows(self) -> Iterator[tuple[Body, list[Member | None]]]:
        """Each instance with its leaves in the places of the full body's."""
        for _, alignment, bodies in self.forms:
            for body in bodies:
                leaves = body.leaves()
                yield body, [leaves[i] if i is not None else None for i in alignment.leaves]

    def lines(self, number: int) -> list[Line]:
        """A line of `forward` in all instances that have it."""
        places = ((alignment.lines[number], bodies) for _, alignment, bodies in self.forms)
        return [body.lines[place] for place, bodies in places if place is not None for body in bodies]

    # Parameters

    def lift(self) -> bool:
        """Makes parameters of the arguments in which the instances differ; inner classes are lifted already.

        False where an instance that lacks a layer would need a value for it, or nothing says which instances do.
        """
        self.lifted, self.parameters, self.defaults = {}, [], {}
        for body in self.bodies:
            body.values, body.group = {}, self
        columns = self._columns()
        known = self.known = self._known(columns)
        for partial in (False, True):
            for order, ((number, key), column) in enumerate(columns.items()):
                present = [v for v in column if v is not ABSENT]
                if (len(present) < len(column)) != partial:
                    continue
                if all(same(v, present[0]) for v in present):
                    if partial and key in TAKEN and (taken := known.parameters.find(keys(column))):
                        self.lifted[number, key] = taken
                    continue
                found = known.texts.get(keys(column)) or known.halves.find(keys(column))
                found = found or (self._partial(number, key, column) if partial else self._named(number, key, column))
                if not found:
                    return False
                self.lifted[number, key] = found
                known.called(order, column, found)
        leaves = self.full.leaves()
        self.channels = {text for (number, key), text in self.lifted.items() if key in leaves[number].channels()}
        if not self._conditions():
            return False
        self._choose_defaults()
        first = [p for p in FIRST if p in self.parameters and p not in self.defaults]
        others = [p for p in self.parameters if p not in first]
        self.parameters = sorted([*first, *others], key=lambda p: p in self.defaults)
        return True

    def _columns(self) -> dict[tuple[int, str], list[object]]:
        """The values of each argument of each leaf in all instances."""
        rows = list(self.rows())
        columns: dict[tuple[int, str], list[object]] = {}
        for number, leaf in enumerate(self.full.leaves()):
            given = [leaves[number].given() if leaves[number] else None for _, leaves in rows]  # type: ignore[union-attr]
            for key in leaf.given():
                columns[number, key] = [ABSENT if values is None else values[key] for values in given]
        return columns

    def _known(self, columns: Mapping[tuple[int, str], list[object]]) -> Known:
        """What is known before anything has a name: the block's own parameters, and what makes channels."""
        known = Known(set(self.taken))
        for order, param in enumerate(self.bodies[0].region.scope.args):
            given = [_flat(body.region.scope.args.get(param, ABSENT)) for body in self.bodies]
            if ABSENT not in given:
                known.own.add(order, keys(given), param)
        for order, ((number, key), column) in enumerate(columns.items()):
            if key in ("out", "out_channels"):
                known.makers.add(order, keys(column), (number, key))
        return known

    def _named(self, number: int, key: str, column: Sequence[object]) -> str:
        """A parameter for a column: the block's own where it explains it, in_channels and so many, or the layer's."""
        name = self.known.own.find(keys(column))
        if not name and all(b.in_channels == v and v is not None for b, v in zip(self.bodies, column, strict=True)):
            name = "in_channels"
        if not name:
            if key in TAKEN and (sum_ := self._more_channels(column)):
                return sum_
            name = self._after_layer(*(self.known.makers.find(keys(column)) or (number, key)))
        return self._add(name, column)

    def _more_channels(self, column: Sequence[object]) -> str:
        """`in_channels + 32` where that is what the layer takes in each instance; empty elsewhere."""
        before = [body.in_channels for body in self.bodies]
        more = {b - a for a, b in zip(before, column, strict=True) if isinstance(a, int) and isinstance(b, int)}
        if None in before or len(more) != 1 or (count := more.pop()) <= 0:
            return ""
        known = self.known.texts.get(keys(before)) or self.known.parameters.find(keys(before))
        return f"{known or self._add('in_channels', before)} + {literal(count)}"

    def _after_layer(self, number: int, key: str) -> str:
        """The name of a parameter: the argument of a layer, after the layer where others have such a one."""
        leaves = self.full.leaves()
        if key not in FIRST and sum(key in leaf.given() for leaf in leaves) == 1:
            return key
        base = "_".join(s for s in leaves[number].name.split(".") if not s.isdigit()) or "layer"
        return f"{base}_{key}"

    def _add(self, name: str, column: Sequence[object]) -> str:
        """A new parameter with a value for each instance."""
        unique = identifier(name, self.known.names)
        self.parameters.append(unique)
        self.known.add(unique, column)
        for body, value in zip(self.bodies, column, strict=True):
            body.values[unique] = value
        return unique

    def _partial(self, number: int, key: str, column: Sequence[object]) -> str:
        """The parameter for a layer that some instances lack: one that is there, one of the block, or None for those.

        One parameter at most is None where its layer is not there.
        """
        mine = self.known.columns.get(key)
        if mine and all(v in (NOTHING, k) for k, v in zip(mine, keys(column), strict=True)):
            return key
        if found := self.known.parameters.find(keys(column)):
            return found
        before = [body.in_channels for body in self.bodies]
        if None not in before and all(v is ABSENT or v == b for b, v in zip(before, column, strict=True)):
            return self._add("in_channels", before)
        own = self.known.own.find(keys(column))
        if own:
            return self._add(own, [_flat(body.region.scope.args[own]) for body in self.bodies])
        if None in column or any(None in body.values.values() for body in self.bodies):
            return ""
        return self._add(self._after_layer(number, key), [None if v is ABSENT else v for v in column])

    def _choose_defaults(self) -> None:
        """Gives a parameter the default of the layers that take it, or a switch False, where an instance has it."""
        leaves = self.full.leaves()
        known: dict[str, list[object]] = {}
        for (number, key), text in self.lifted.items():
            known.setdefault(text, []).append(leaves[number].defaults().get(key, ABSENT))
        for name in self.parameters:
            found = known.get(name, [ABSENT])
            if any(body.values[name] is None for body in self.bodies):
                self.defaults[name] = None
                continue
            if all(isinstance(body.values[name], bool) for body in self.bodies) and found == [ABSENT]:
                found = [False]
            usual = all(same(f, found[0]) for f in found) and isinstance(found[0], bool | int | float)
            if usual and any(same(body.values[name], found[0]) for body in self.bodies):
                self.defaults[name] = found[0]

    # What some instances lack

    def _conditions(self) -> bool:
        """Finds the condition of each part that some instances lack; False where the parameters do not say it."""
        self.optional, self.flags = {}, {}
        names = {name for _, alignment, _ in self.forms for name in alignment.members}
        for name in sorted(names):
            there = [name not in a.members for _, a, bodies in self.forms for _ in bodies]
            condition = self._is_given(there) or self._condition(there)
            if not condition:
                return False
            self.optional[name] = condition
        calls = {f"self.{name}(" for name in names}
        for number, line in enumerate(self.full.lines if self.full.loop is None else ()):
            there = [number not in a.skipped for _, a, bodies in self.forms for _ in bodies]
            if all(there) or any(call in line.text for call in calls):
                continue
            condition = self._condition(there)
            if not condition:
                return False
            self.flags[number] = (self._flag(number, condition), condition)
        return True

    def _is_given(self, there: Sequence[bool]) -> str:
        """The parameter that is None for all instances but these; empty without one."""
        for name in self.parameters:
            if [body.values[name] is not None for body in self.bodies] == list(there):
                return f"{name} is not None"
        return ""

    def _flag(self, number: int, condition: str) -> str:
        """The name of an attribute that says whether a line is there."""
        step = next(step for step in self.full.steps if step.line == number)
        name = condition.removeprefix("not ")
        known = (
            MODULE_ATTRIBUTES
            | {member.name.split(".")[0] for member in self.full.members}
            | {f for f, _ in self.flags.values()}
        )
        return identifier(name if name in self.parameters else step.name, known)

    def _condition(self, there: Sequence[bool]) -> str:
        """An expression of parameters that is true for these instances alone; empty where none is simple enough."""
        values = {name: [body.values[name] for body in self.bodies] for name in self.parameters}
        for text, found in _expressions(values, self.channels):
            if found == list(there):
                return text
        for param, first in self.bodies[0].region.scope.args.items():
            column = [_flat(body.region.scope.args.get(param)) for body in self.bodies]
            if not isinstance(first, bool | int | float | str) or param in self.parameters:
                continue
            if isinstance(first, bool) and [*map(bool, column)] in (list(there), [not t for t in there]):
                name = self._add(param, column)
                return name if bool(column[0]) == there[0] else f"not {name}"
            without = [v for v, t in zip(column, there, strict=True) if not t]
            plain = isinstance(first, str) or without[0] in (0, 1)
            if plain and [v != without[0] for v in column] == list(there):
                return f"{self._add(param, column)} != {literal(without[0])}"
        return ""


def _expressions(values: Mapping[str, Sequence[object]], channels: Collection[str]) -> Iterator[tuple[str, list[bool]]]:
    """Conditions over parameters, with their truth for each instance, the likeliest first."""
    for name, column in values.items():
        if all(isinstance(v, bool) for v in column):
            yield name, [bool(v) for v in column]
            yield f"not {name}", [not v for v in column]
    stride, before = values.get("stride"), values.get("in_channels", ())
    pairs = [("out", values["out"])] if "out" in values else []
    pairs += [(name, column) for name, column in values.items() if name in channels and name not in FIRST]
    for name, column in pairs if before else []:
        differs = [a != b for a, b in zip(before, column, strict=True)]
        if stride is not None and name == "out":
            either = [s != 1 or d for s, d in zip(stride, differs, strict=True)]
            yield f"stride != 1 or in_channels != {name}", either
            yield f"stride == 1 and in_channels == {name}", [not e for e in either]
        yield f"in_channels != {name}", differs
        yield f"in_channels == {name}", [not d for d in differs]
    if stride is not None:
        yield "stride != 1", [s != 1 for s in stride]
        yield "stride == 1", [s == 1 for s in stride]


def grouped(bodies: Sequence[Body], taken: set[str]) -> list[Group]:
    """The classes of bodies, innermost first, lifted and without names."""
    levels: dict[int, list[Body]] = {}
    for order, body in enumerate(bodies):
        body.order = order
        levels.setdefault(body.height(), []).append(body)
    found: list[Group] = []
    for _, level in sorted(levels.items()):
        forms: dict[tuple[object, ...], list[Body]] = {}
        for body in level:
            body.loop = loop_of(body)
            forms.setdefault(body.key(), []).append(body)
        found += _merged(list(forms.values()), taken)
    return found


def _merged(forms: Sequence[list[Body]], taken: set[str]) -> list[Group]:
    """The groups of one level, those of a block as one where its parameters say what each lacks."""
    by_block: dict[str, list[Group]] = {}
    first = {id(bodies[0]): i for i, bodies in enumerate(forms)}
    for bodies in sorted(forms, key=lambda bodies: -len(bodies[0].leaves()) - len(bodies[0].steps)):
        groups = by_block.setdefault(bodies[0].region.scope.block, [])
        for i, group in enumerate(groups[:MOST_FORMS]):
            alignment = align(group.full, bodies[0])
            wider = Group([*group.forms, (bodies[0], alignment, bodies)], taken) if alignment else None
            if wider is not None and wider.lift():
                groups[i] = wider
                break
            group.lift()
        else:
            groups.append(Group([(bodies[0], itself(bodies[0]), bodies)], taken))
            groups[-1].lift()
    found = [group for groups in by_block.values() for group in groups]
    return sorted(found, key=lambda group: min(first[id(bodies[0])] for _, _, bodies in group.forms))


def _flat(value: object) -> object:
    """A pair of equal numbers as one, as arguments are written."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return tuple(value) if isinstance(value, list) else value
