"""Units as the rows of a configuration table: stages, and in these a line for each size of the map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netspec.ir.graph import Graph
from netspec.ir.titles import titles
from netspec.ops import OPS
from netspec.reports.configuration.units import Size, Unit


@dataclass(frozen=True, slots=True)
class Line:
    """Units of a stage that follow each other at one size: a row of the table."""

    size: Size
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step with all its lines; or iterations of a loop that have one size."""

    key: str
    """What the same stage of another network has."""
    label: str
    titled: bool
    lines: tuple[Line, ...]
    first: str = ""
    last: str = ""
    """What a reader calls the first and the last of several iterations; `label` for a stage that is one step."""

    @property
    def pools(self) -> bool:
        """Whether no layer of it has weights."""
        return all(unit.pools for line in self.lines for unit in line.units)


def stages_of(graph: Graph, units: Sequence[Unit]) -> list[Stage]:
    """The stages of a network in order, a pooling in the stage that follows at its size unless it has a title."""
    named = titles(graph)
    found: list[Stage] = []
    for unit in units:
        stage, line = _key(unit, found), Line(unit.size, (unit,))
        if found and found[-1].key == stage:
            found[-1] = _with(found[-1], line)
        else:
            found.append(Stage(stage, "", unit.stage in named, (line,)))
    return _labelled(_merged(found), named)


def by_size(stages: Sequence[Stage]) -> list[Stage]:
    """The same with all lines of a size, as long as they follow each other, in one stage without a name."""
    found: list[Stage] = []
    for line in (line for stage in stages for line in stage.lines):
        if found and found[-1].lines[0].size == line.size:
            found[-1] = _with(found[-1], line)
        else:
            found.append(Stage("x".join(map(str, line.size)), "", True, (line,)))
    return found


def _key(unit: Unit, before: Sequence[Stage]) -> str:
    """The path of its stage; of the iterations of a loop at one size one path with the number of that size."""
    loop, _, index = unit.stage.rpartition(".")
    if not index.isdigit() or unit.stage != unit.path:
        return unit.stage
    same = [stage.key for stage in before if stage.key.rpartition("#")[0] == loop]
    if same and same[-1] == before[-1].key and before[-1].lines[-1].size == unit.size:
        return same[-1]
    return f"{loop}#{len(same)}"


def _with(stage: Stage, line: Line) -> Stage:
    """A stage and a line more, or more in its last line, at the same size."""
    last = stage.lines[-1]
    if last.size == line.size:
        return replace(stage, lines=(*stage.lines[:-1], Line(last.size, last.units + line.units)))
    return replace(stage, lines=(*stage.lines, line))


def _merged(stages: Sequence[Stage]) -> list[Stage]:
    """Stages without weights in the one next to them that has their size: a pooling in what follows, others before."""
    found: list[Stage] = []
    for stage in stages:
        before = found[-1] if found else None
        size = stage.lines[0].size
        if before is not None and not stage.titled and stage.pools and not _resamples(stage):
            if before.lines[-1].size == size:
                found[-1] = _with(before, stage.lines[0])
                continue
        if before is not None and before.pools and not before.titled and before.lines[-1].size == size:
            if len(before.lines) == 1 and _resamples(before):
                lines = (Line(size, before.lines[0].units + stage.lines[0].units), *stage.lines[1:])
                found[-1] = replace(stage, lines=lines)
                continue
        found.append(stage)
    return found


def _resamples(stage: Stage) -> bool:
    """Whether it is a pooling, and no normalisation or softmax."""
    return any(OPS[node.op].kind == "pool" for line in stage.lines for unit in line.units for node in unit.nodes)


def _labelled(stages: Sequence[Stage], named: Mapping[str, str]) -> list[Stage]:
    """Stages with what a reader calls them."""
    labels = unique_labels([_path(stage)[0] for stage in stages], named)
    return [_called(stage, label, _path(stage)[1]) for stage, label in zip(stages, labels, strict=True)]


def _called(stage: Stage, label: str, run: str) -> Stage:
    """A stage with a label, which ends with what a run of iterations is called by."""
    if not run:
        return replace(stage, label=label, first=label, last=label)
    first = label.removesuffix(f" to {run}")
    return replace(stage, label=label, first=first, last=f"{first.rpartition('.')[0]}.{run}".lstrip("."))


def _path(stage: Stage) -> tuple[str, str]:
    """The path of a stage; of several iterations `unit.3 to 4`, and the number of the last."""
    path, _, run = stage.key.partition("#")
    if not run:
        return path, ""
    paths = [u.path for line in stage.lines for u in line.units if u.path.rpartition(".")[0] == path]
    last = paths[-1].rpartition(".")[2]
    return (paths[0], "") if len(paths) == 1 else (f"{paths[0]} to {last}", last)


def unique_labels(paths: Sequence[str], named: Mapping[str, str]) -> list[str]:
    """What a reader calls steps: by their titles, or the ends of their paths as far as these tell them apart."""
    words = [_in_words(path, named) for path in paths]
    ends = Counter(tuple(own[-i:]) for own in words for i in range(1, len(own) + 1))
    lengths = [next((i for i in range(1, len(own)) if ends[tuple(own[-i:])] == 1), len(own)) for own in words]
    return [".".join(own[-length:]) for own, length in zip(words, lengths, strict=True)]


def _in_words(path: str, named: Mapping[str, str]) -> list[str]:
    """The names of a path with titles in their place, an index together with what it belongs to: `unit.3`."""
    names = path.split(".")
    words: list[str] = []
    for i, name in enumerate(names):
        word = named.get(".".join(names[: i + 1]), name)
        if words and name.partition(" ")[0].isdigit() and word == name:
            words[-1] += f".{name}"
        else:
            words.append(word)
    return words
