"""The syntax tree of a body: steps, what they do, and the branches of joins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from netspec.diagnostics.errors import Span
from netspec.expressions.expression import Template
from netspec.expressions.name_pattern import ANYTHING, NamePattern
from netspec.syntax.ast import Computed, Each, Error, Loop, MapNode, Path, ShareLoop, ShareWith, Source, ValueNode


@dataclass(frozen=True, slots=True, eq=False)
class OpCall:
    """`op: arguments`: of an op, a block, or a parameter that holds one."""

    op: str
    args: ValueNode | None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """`do: [...]`."""

    steps: tuple[Step, ...]
    op: str = "do"


@dataclass(frozen=True, slots=True, eq=False)
class Tee:
    """`tee: [...]`: what enters goes on next to it."""

    steps: tuple[Step, ...]
    op: str = "tee"


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """`concat`, `add`, `mul`, `mean` or `max` of branches, or of the values of `from`."""

    op: str
    branches: tuple[Branch, ...]
    by_name: bool
    """Whether the branches are written with names."""
    misplaced: Error | None = None
    """The keywords among them."""
    args: MapNode | None = None
    """Attributes of the join, which stand next to the branches."""


@dataclass(frozen=True, slots=True, eq=False)
class NoAction:
    """What cannot be read as the op of a step and its arguments, which is reported."""

    op: str = ""
    args: ValueNode | None = None
    """Its arguments, where these can be read."""
    written: ValueNode | None = None
    """What is written and cannot be read: it is not looked at for errors, and it may read any name in it."""


Action: TypeAlias = OpCall | Group | Tee | Join | NoAction
Made: TypeAlias = "str | NamePattern"
"""The name of what is made, or what its names look like."""


def _made(name: Template | Error | None, counted: str) -> Made:
    if isinstance(name, Template):
        return name.written("") if name.is_plain else name.pattern
    return counted or ANYTHING


@dataclass(eq=False, slots=True, kw_only=True)
class Step:
    """One step of a body."""

    action: Action
    name: Template | Error | None = None
    counted: str = ""
    """The name that it has when none is written: `conv_2`."""
    span: Span
    """Where the op is written."""
    head: Span
    """Where `name = op` is written."""
    source: Source | None = None
    when: Computed | None = None
    only_if: Computed | None = None
    loop: Loop | Error | None = None
    share: ShareLoop | ShareWith | Error | None = None
    orelse: tuple[Step, ...] | Error = ()
    doc: str = ""
    title: Template | Error | None = None
    """What its paper calls it; one that cannot be read is left out, which is reported."""
    broken: bool = field(init=False)
    """Whether a step or branch of it cannot be read."""
    failed: bool = field(init=False)
    """Whether it cannot be read: its value and its names are error values."""

    def __post_init__(self) -> None:
        action = self.action
        parts = (self.name, self.source, self.when, self.only_if, self.loop, self.share, self.orelse)
        self.failed = isinstance(action, NoAction) or any(isinstance(part, Error) for part in parts)
        self.failed = self.failed or (isinstance(action, Join) and action.misplaced is not None)
        if isinstance(action, (Group, Tee)):
            self.broken = not action.steps or any(step.failed for step in action.steps)
        else:
            self.broken = isinstance(action, Join) and any(branch.failed for branch in action.branches)

    @property
    def op(self) -> str:
        """The name of its op."""
        return self.action.op

    @property
    def template(self) -> Template | None:
        """Its written name, where that can be read."""
        return None if isinstance(self.name, Error) else self.name

    @property
    def makes(self) -> list[Made]:
        """The names that it makes in the scope around it, or what they look like; ANYTHING where nobody can know."""
        found = [_made(self.name, self.counted)]
        if isinstance(self.action, Join) and self.name is None:
            found += [branch.makes for branch in self.action.branches]
            found += [ANYTHING] * self.failed
        return found

    @property
    def conditions(self) -> Iterator[Computed]:
        """Its conditions."""
        return (part for part in (self.when, self.only_if) if part is not None)

    @property
    def inner(self) -> tuple[Step, ...]:
        """The steps of a group or tee, and those of `else`."""
        steps = self.action.steps if isinstance(self.action, (Group, Tee)) else ()
        return steps if isinstance(self.orelse, Error) else (*steps, *self.orelse)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Of a join."""
        return self.action.branches if isinstance(self.action, Join) else ()


@dataclass(eq=False, slots=True, kw_only=True)
class Branch:
    """One branch of a join."""

    span: Span
    name: Template | Error | None
    counted: str
    """Its number, in a list of branches."""
    steps: tuple[Step, ...] = ()
    path: Path | None = None
    """Of a branch that is a path."""
    source: Source | None = None
    only_if: Computed | None = None
    loop: Each | None = None
    failed: bool = False
    """Whether it cannot be read, which is reported already."""
    written: ValueNode | None = None
    """What is written in one that cannot be read."""
    siblings: Siblings | None = None
    """The branches of its join."""

    @property
    def broken(self) -> bool:
        """Whether a step of it cannot be read."""
        return any(step.failed for step in self.steps)

    @property
    def template(self) -> Template | None:
        """Its written name, where that can be read."""
        return None if isinstance(self.name, Error) else self.name

    @property
    def makes(self) -> Made:
        """The name that it makes, or what its names look like."""
        return _made(self.name, self.counted)

    def beside(self, name: str) -> Branch | None:
        """Another branch of the join that has this name, or a step of it: branches do not see each other."""
        found = self.siblings.index.get(name, ()) if self.siblings is not None else ()
        return next((branch for branch in found if branch is not self), None)


class Siblings:
    """The branches of a join."""

    def __init__(self, branches: tuple[Branch, ...]) -> None:
        self.branches = branches

    @cached_property
    def failed(self) -> bool:
        """Whether one of them cannot be read."""
        return any(branch.failed for branch in self.branches)

    @cached_property
    def index(self) -> dict[str, list[Branch]]:
        """By name, the branches that have it, or a step of it; made when the first unknown name is looked for."""
        found: dict[str, list[Branch]] = {}
        for branch in self.branches:
            made = {branch.makes, *(name for step in branch.steps for name in step.makes)}
            for name in made:
                if isinstance(name, str):
                    found.setdefault(name, []).append(branch)
        return found
