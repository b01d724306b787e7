"""What a pass is: a function of a module, with what is known of it next to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from netspec.ir.graph import GraphError
from netspec.ir.module import Module


class Stage(Enum):
    """Which graph a pass takes."""

    TRAINING = "training"
    """The graph that is trained; what comes of it is trained, drawn and loaded: its weights keep keys and numbers."""
    INFERENCE = "inference"
    """The graph that is run; its weights may be computed of others, and it is not trained afterwards."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A function of a module."""

    name: str
    run: Callable[[Module], Module]
    stage: Stage
    named: bool
    """Whether it runs where a variant or an option names it, rather than always."""
    keeps: bool = True
    """Whether the module afterwards computes what it did before."""

    @property
    def doc(self) -> str:
        """The first sentence of its docstring."""
        return inspect.cleandoc(self.run.__doc__ or "").split("\n\n")[0].replace("\n", " ")

    def __call__(self, module: Module) -> Module:
        """The module after the pass, which is proved; raises ShapeMismatch, and GraphError with the pass's name."""
        try:
            return self.run(module).check(module)
        except GraphError as e:
            raise GraphError(f"the pass '{self.name}': {e}") from e


REGISTERED: list[Pass] = []
"""The passes whose files were imported, in order."""


def graph_pass(*, stage: Stage, named: bool, keeps: bool = True) -> Callable[[Callable[[Module], Module]], Pass]:
    """Registers a function as the pass of its name."""

    def register(run: Callable[[Module], Module]) -> Pass:
        REGISTERED.append(Pass(run.__name__, run, stage, named, keeps))
        return REGISTERED[-1]

    return register
