"""Blocks that are one numbered block after another, as a loop: the layers of DenseNet's dense blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netspec_torch.classes import Body, Member
from netspec_torch.rows import Arg

FEWEST = 3


@dataclass(frozen=True, slots=True)
class Loop:
    """Members of one class whose names count upwards, each called with what the one before it gives."""

    stem: str
    """Of their names, `denselayer`."""
    start: int
    """The number of the first."""
    first: Member
    counter: Member
    """How many there are, and by how much each argument grows, as the arguments of a layer."""

    def growth(self, parameter: str) -> int:
        """By how much an argument is more for each member than for the one before it."""
        return next((int(str(a.value)) for a in self.counter.args if a.key == f"{parameter}_step"), 0)


def loop_of(body: Body) -> Loop | None:
    """The loop that a body is; its inner classes have their parameters already."""
    members = body.members
    matches = [re.fullmatch(r"([A-Za-z_]+)(\d+)", member.name) for member in members]
    if len(members) < FEWEST or not all(matches) or len(body.parameters) != 1:
        return None
    names = [(m[1], int(m[2])) for m in matches if m]
    stem, start = names[0]
    if [f"{stem}{start + i}" for i in range(len(members))] != [member.name for member in members]:
        return None
    calls = [(f"self.{member.name}({{0}})", (i,), (i + 1,)) for i, member in enumerate(members)]
    if [(step.text, step.reads, step.made) for step in body.steps] != calls or body.results != (len(members),):
        return None
    inner = [member.body for member in members]
    if inner[0] is None or any(other is None or other.group is not inner[0].group for other in inner):
        return None
    steps: list[Arg] = []
    for name, value in inner[0].values.items():
        column = [other.values[name] for other in inner if other]
        if all(type(v) is type(value) and v == value for v in column):
            continue
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in column):
            return None
        numbers = [int(str(v)) for v in column]
        step = numbers[1] - numbers[0]
        if step <= 0 or numbers != [numbers[0] + i * step for i in range(len(numbers))]:
            return None
        steps.append(Arg(f"{name}_step", step))
    return Loop(stem, start, members[0], Member("layer", args=(Arg("count", len(members)), *steps)))
