"""What a pass is: a function of a module, with what is known of it next to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from importlib import import_module
from typing import Literal

from netspec.diagnostics.errors import UsageError
from netspec.ir.graph import GraphError
from netspec.ir.module import Module


class Stage(Enum):
    """Which graph a pass takes."""

    TRAINING = "training"
    """The graph that is trained; what comes of it is trained, drawn and loaded: its weights keep keys and numbers."""
    INFERENCE = "inference"
    """The graph that is run; its weights may be computed of others, and it is not trained afterwards."""


Level = Literal[0, 1, 2]
"""How much a network is rewritten to run faster: not at all, by what is exact, by what needs less work as well."""

Need = Literal["float32", "fixed"]
"""What a pass may be for alone: a network that computes in float32, or one of a fixed height and width."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A function of a module."""

    name: str
    run: Callable[..., Module]
    """Of a module; of one that is `placed` also of the paths below which it may change steps, None for all."""
    stage: Stage
    named: bool
    """Whether it runs where a variant or an option names it, rather than always."""
    keeps: bool = True
    """Whether the module afterwards computes what it did before."""
    level: Level = 0
    """The lowest of the levels from 1 on that it is part of; 0 for one that runs by its name, or by a profile."""
    placed: bool = False
    """Whether it takes the paths of the places where it may change steps."""
    needs: tuple[Need, ...] = ()
    """What it is for alone: no level has it elsewhere."""
    only: frozenset[str] | None = None
    """These paths; None for all places."""

    @property
    def profiled(self) -> bool:
        """Whether it is for runtimes where a measurement has shown that it pays, and so in no level."""
        return self.placed and not self.level

    def serves(self, dtype: str, dynamic: bool = False) -> bool:
        """Whether it is for networks that compute in this type, with a free height and width where `dynamic`."""
        return not ("float32" in self.needs and dtype != "float32" or "fixed" in self.needs and dynamic)

    @property
    def texts(self) -> list[str]:
        """As `--pass` takes it: its name, or `NAME@PATH` for each of its places."""
        return [self.name] if self.only is None else [f"{self.name}@{path}" for path in sorted(self.only)]

    @property
    def doc(self) -> str:
        """The first sentence of its docstring."""
        return inspect.cleandoc(self.run.__doc__ or "").split("\n\n")[0].replace("\n", " ")

    def __reduce__(self) -> tuple[Callable[..., Pass], tuple[str, str, frozenset[str] | None]]:
        """How it is pickled: by its name in its module, where the pass stands in place of its function."""
        return _found, (self.run.__module__, self.run.__name__, self.only)

    def at(self, paths: Iterable[str]) -> Pass:
        """The same at steps of these paths, or below these scopes, alone; raises UsageError."""
        if not self.placed:
            raise UsageError(
                f"the pass '{self.name}' has no places", f"it changes all of a network: --pass {self.name}"
            )
        return replace(self, only=frozenset(paths) | (self.only or frozenset()))

    def __call__(self, module: Module) -> Module:
        """The module after the pass, which is proved; raises ShapeMismatch, and GraphError with the pass's name."""
        try:
            after: Module = self.run(module, self.only) if self.placed else self.run(module)
            return after.check(module)
        except GraphError as e:
            raise GraphError(f"the pass '{self.name}': {e}") from e


def _found(module: str, name: str, only: frozenset[str] | None) -> Pass:
    found: Pass = getattr(import_module(module), name)
    return replace(found, only=only)


def graph_pass(
    *,
    stage: Stage,
    named: bool,
    keeps: bool = True,
    level: Level = 0,
    placed: bool = False,
    needs: tuple[Need, ...] = (),
) -> Callable[[Callable[..., Module]], Pass]:
    """Makes a function the pass of its name."""

    def made(run: Callable[..., Module]) -> Pass:
        return Pass(run.__name__, run, stage, named, keeps, level, placed, needs)

    return made


def within(path: str, only: Collection[str] | None) -> bool:
    """Whether a step is one of these, or below a scope of these paths; of None every one is.

    What it costs does not grow with the paths where these are a set: the scopes around the step are looked up.
    """
    if only is None or path in only:
        return True
    while (end := path.rfind(".")) >= 0:
        path = path[:end]
        if path in only:
            return True
    return False
