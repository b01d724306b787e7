"""At least how many nodes steps make, seen without running them, so that a loop that is too long is refused at once."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.elaborate.budget import MAX_CALLS
from netspec.ops import OPS
from netspec.syntax.ast import Computed, Error, Expression, ListNode, Loop, loop_counts, loop_rows
from netspec.syntax.document import BlockDecl, Document
from netspec.syntax.steps import Branch, Group, Join, Step, Tee


class Forecast:
    """Lower bounds for the steps of files; each block is looked at once."""

    def __init__(self) -> None:
        self.blocks: dict[BlockDecl, int] = {}
        self.depth = 0

    def steps(self, steps: Iterable[Step], home: Document, hidden: Iterable[str] = ()) -> int:
        """At least how many nodes a list of steps makes; a name in `hidden` is a parameter and may be any block."""
        return sum(self.step(s, home, hidden) for s in steps)

    def step(self, step: Step, home: Document, hidden: Iterable[str]) -> int:
        """At least how many nodes a step makes, with its loops."""
        if step.when is not None or step.only_if is not None:
            return 0
        return _iterations(step.loop) * self.iteration(step, home, hidden)

    def iteration(self, step: Step | Branch, home: Document, hidden: Iterable[str]) -> int:
        """At least how many nodes one iteration makes; a condition may leave out any iteration."""
        if step.only_if is not None or (isinstance(step, Step) and step.when is not None):
            return 0
        action = step if isinstance(step, Branch) else step.action
        if isinstance(action, (Branch, Group, Tee)):
            return self.steps(action.steps, home, hidden)
        if isinstance(action, Join):  # a join of one branch makes no node of its own
            return sum(_iterations(b.loop) * self.iteration(b, home, hidden) for b in action.branches)
        if action.op in hidden:
            return 0
        target = home.callable(action.op)
        if isinstance(target, BlockDecl):
            return self.block(target)
        return int(target is None and action.op in OPS)

    def block(self, decl: BlockDecl) -> int:
        """At least how many nodes a call of a block makes; of one that calls itself, what it makes next to that."""
        if self.depth == MAX_CALLS:
            return 0
        if decl not in self.blocks:
            self.blocks[decl] = 0
            self.depth += 1
            self.blocks[decl] = self.steps(decl.body, decl.home, [p.name for p in decl.params])
            self.depth -= 1
        return self.blocks[decl]


def _iterations(loop: Loop | Error | None) -> int:
    """The iterations as far as they are written as numbers and lists; 0 where they are computed."""
    count = 1
    for number in loop_counts(loop):
        count *= _count(number)
    if (rows := loop_rows(loop)) is not None:
        count *= _count(rows.over)
    return count


def _count(over: ListNode | Computed) -> int:
    if isinstance(over, ListNode):
        return len(over.items)
    return over.count if isinstance(over, Expression) else 0
