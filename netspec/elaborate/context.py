"""What steps run in, what a step calls, and the elaborator through which steps run steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netspec.elaborate.places import LoopWeights, Site, Where
from netspec.elaborate.state import Elaboration
from netspec.elaborate.symbols import CallFrame, SymbolTable, Tensors
from netspec.elaborate.values import Bound, Env
from netspec.syntax.ast import ValueNode
from netspec.syntax.steps import Step


class Elaborator(ABC):
    """Runs steps: groups, branches, loops and blocks all come back to it for the steps that they hold."""

    def __init__(self, state: Elaboration) -> None:
        self.state = state

    @abstractmethod
    def run(self, steps: Sequence[Step], ctx: Context, running: Tensors) -> Tensors:
        """Runs steps one after the other; the result of the last is the value."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a list of steps runs in."""

    elaborator: Elaborator
    frame: CallFrame
    values: Mapping[str, Bound]
    symbols: SymbolTable
    where: Where
    loops: tuple[LoopWeights, ...] = ()
    counting: bool = False
    """Whether a loop around counts with `i`."""

    @property
    def state(self) -> Elaboration:
        """What is made and reported so far."""
        return self.elaborator.state

    def run(self, steps: Sequence[Step], running: Tensors) -> Tensors:
        """Runs steps here."""
        return self.elaborator.run(steps, self, running)

    def env(self, entering: Tensors | None = None) -> Env:
        """What an expression can see here."""
        return Env(self.state, self.frame, self.values, self.symbols, entering)

    def site(self, where: Where, step: Step) -> Site:
        """The place of what a step makes here."""
        return Site(where, self.frame, step.span, step.doc)

    def inside(self, where: Where, symbols: SymbolTable | None = None) -> Context:
        """The context of a scope opened here."""
        symbols = symbols or SymbolTable(self.symbols)
        return Context(self.elaborator, self.frame, self.values, symbols, where, self.loops, self.counting)

    def having(self, values: Mapping[str, Bound]) -> Context:
        """The context with further values."""
        return replace(self, values={**self.values, **values})


@dataclass(frozen=True, slots=True)
class Call:
    """A step that calls an op, a block or a network: what enters it, and what it gives as arguments."""

    step: Step
    ctx: Context
    where: Where
    entering: Tensors
    args: ValueNode | None
    env: Env
    """Where the arguments are evaluated: that of the step, or of the parameter that holds the block with them."""

    @property
    def site(self) -> Site:
        """The place of what it makes."""
        return self.ctx.site(self.where, self.step)
