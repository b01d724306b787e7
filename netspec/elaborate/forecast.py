"""At least how many nodes steps make, seen without running them, so that a loop that is too long is refused at once."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.elaborate.budget import MAX_CALLS
from netspec.ops import OPS
from netspec.syntax.keywords import JOINS
from netspec.syntax.reader import Document
from netspec.syntax.step_reader import BlockDecl, Branch, Step
from netspec.syntax.tree import Map, Scalar, Seq, Tree

CONDITIONS = ("when", "only_if")


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
        if any(word in step.keywords for word in CONDITIONS):
            return 0
        return _iterations(step.keywords) * self.iteration(step, home, hidden)

    def iteration(self, step: Step | Branch, home: Document, hidden: Iterable[str]) -> int:
        """At least how many nodes one iteration makes; a condition may leave out any iteration."""
        if any(word in step.keywords for word in CONDITIONS):
            return 0
        if isinstance(step, Branch):
            return self.steps(step.steps, home, hidden)
        if step.op in ("do", "tee"):
            return self.steps(step.steps, home, hidden)
        if step.op in JOINS:  # a join of one branch makes no node of its own
            return sum(_iterations(b.keywords) * self.iteration(b, home, hidden) for b in step.branches)
        if step.op in hidden:
            return 0
        target = home.callable(step.op)
        if isinstance(target, BlockDecl):
            return self.block(target)
        return int(target is None and step.op in OPS)

    def block(self, decl: BlockDecl) -> int:
        """At least how many nodes a call of a block makes; of one that calls itself, what it makes beside that."""
        if self.depth == MAX_CALLS:
            return 0
        if decl not in self.blocks:
            self.blocks[decl] = 0
            self.depth += 1
            self.blocks[decl] = self.steps(decl.body, decl.home, [p.name for p in decl.params])
            self.depth -= 1
        return self.blocks[decl]


def _iterations(keywords: dict[str, Tree]) -> int:
    """The iterations as far as they are written as numbers and lists; 0 where they are computed."""
    count = 1
    for word in ("repeat", "for", "each"):
        tree = keywords.get(word)
        if isinstance(tree, Map) and len(tree.entries) == 1:
            tree = tree.entries[0][1]
        if isinstance(tree, Scalar):
            count *= max(0, tree.value) if type(tree.value) is int else 0
        elif tree is not None:
            count *= len(tree.items) if isinstance(tree, Seq) else 0
    return count
