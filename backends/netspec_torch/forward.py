"""The lines of one `forward`: what each step is called with, and the names of what it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netspec.ir.graph import Graph, Ref
from netspec.ir.scope_tree import Region
from netspec_torch.classes import Line, Step
from netspec_torch.merging import ADDED
from netspec_torch.quote import identifier, is_identifier, string

MANY = 6
"""So many values of one step have names of their own; of more, each is told by its number."""


class Forward:
    """The steps of a body, and then its lines: names are chosen when all readers are known."""

    def __init__(self, graph: Graph, region: Region, titles: Mapping[str, str], by_name: bool) -> None:
        self.graph, self.region, self.titles, self.by_name = graph, region, titles, by_name
        self.names: dict[Ref, str] = {}
        self.used = {"x"}
        self.steps: list[tuple[list[Ref], list[Ref], str]] = []
        """What each line makes, what it reads, and its text over {0}, {1}, ..."""
        self.lines: list[Line] = []
        self.places: dict[int, int] = {}
        """The line of a step, by its number."""
        self.holder: Ref | None = None
        """The value that is called x."""
        self.short = self.fresh("y")
        """The name of a value that the next step alone reads, where x is kept."""

    def bind(self, refs: Sequence[Ref], names: Sequence[str]) -> None:
        """Names what enters."""
        for ref, name in zip(refs, names, strict=True):
            self.names[ref] = name
            self.used.add(name)

    def fresh(self, name: str) -> str:
        """A local name that is not taken."""
        unique = identifier(name, self.used)
        self.used.add(unique)
        return unique

    def write(
        self, results: Sequence[Ref], mark: int | None = None, early: Sequence[tuple[str, Ref]] | None = None
    ) -> None:
        """The lines: a value is called x where the x before it is not read again."""
        last: dict[Ref, int] = {ref: len(self.steps) for ref in results}
        for index, (_, reads, _) in enumerate(self.steps):
            for ref in reads:
                last[ref] = max(last.get(ref, -1), index)
        self.holder = next((r for r, n in self.names.items() if n == "x"), None)
        for index, (made, _, _) in enumerate(self.steps):
            if index == mark and early is not None:
                self._early(early)
            follows = self.steps[index + 1][1] if index + 1 < len(self.steps) else list(results[:1])
            free = self.holder is None or last.get(self.holder, -1) <= index
            takes_x = len(made) == 1 and free and follows[:1] == made and index + 1 != mark
            passes = len(made) == 1 and follows == made and last.get(made[0]) == index + 1 < len(self.steps)
            self._step(index, "x" if takes_x else self.short if passes else "")
        if mark == len(self.steps) and early is not None:
            self._early(early)

    def _step(self, index: int, name: str) -> None:
        """The line of a step, which names what it gives: as it is told, or after the step."""
        made, reads, text = self.steps[index]
        names = tuple(self.names[ref] for ref in reads)
        shape = self.graph.shape(made[0])
        if text == ADDED and is_identifier(names[0]):
            self.names[made[0]] = names[0]
            self.holder = made[0] if self.holder == reads[0] else self.holder
            self._line(index, Line(f"{names[0]} += {names[1]}", shape, "", names))
            return
        filled = re.sub(r"\{(\d+)\}", lambda m: names[int(m[1])], text.replace(" += ", " + "))
        if name:
            self.names[made[0]] = name
            self.holder = made[0] if name == "x" else self.holder
        elif len(made) > MANY:
            name = self.fresh(self._first(made[0]))
            self.names |= {ref: f"{name}[{i}]" for i, ref in enumerate(made)}
            self._line(index, Line(f"{name} = {filled}"))
            return
        else:
            self.names |= {ref: self.fresh(self._short(ref)) for ref in made}
        if len(made) > 1 or filled != self.names[made[0]]:
            line = f"{', '.join(self.names[r] for r in made)} = {filled}"
            self._line(index, Line(line, shape, self._title(filled), names))

    def _line(self, index: int, line: Line) -> None:
        self.places[index] = len(self.lines)
        self.lines.append(line)

    def numbered(self, inputs: Sequence[Ref]) -> list[Step]:
        """The steps with values by number, once their lines are written."""
        numbers = {ref: i for i, ref in enumerate(inputs)}
        found = []
        for index, (made, reads, text) in enumerate(self.steps):
            read = tuple(numbers[ref] for ref in reads)
            numbers |= {ref: len(numbers) + i for i, ref in enumerate(made)}
            name = self.region.relative(made[0].node).rpartition(".")[2]
            found.append(Step(text, read, tuple(numbers[ref] for ref in made), name, self.places.get(index)))
        self.numbers = numbers
        return found

    def filled(self, outputs: Sequence[tuple[str, Ref]]) -> str:
        """One output is a tensor unless all are asked for by name, several are a dict."""
        if len(outputs) == 1 and not self.by_name:
            return self.names[outputs[0][1]]
        return "{" + ", ".join(f"{string(name)}: {self.names[ref]}" for name, ref in outputs) + "}"

    def _early(self, early: Sequence[tuple[str, Ref]]) -> None:
        self.lines.append(Line("if not self.training:"))
        self.lines.append(Line(f"    return {self.filled(early)}"))

    def _title(self, call: str) -> str:
        """The title of what a line calls, `conv2_x` of `self.layer1(x)`."""
        name = call.partition("(")[0].removeprefix("self.")
        return self.titles.get(f"{self.region.path}.{name}" if self.region.path else name, "")

    def _first(self, ref: Ref) -> str:
        """The step or branch directly below this class that made a value."""
        return self.region.relative(ref.node).split(".")[0]

    def _short(self, ref: Ref) -> str:
        """A short name for a value."""
        several = ref.out or len(self.graph.nodes[ref.node].shapes) > 1
        return self._first(ref) + (f"_{ref.out}" if several else "")
