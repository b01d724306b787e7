"""What is asked of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypedDict

from netspec.diagnostics.errors import check_options


class CheckpointChoices(TypedDict, total=False):
    """What of a checkpoint is taken, and how its names are read."""

    layers: Sequence[str] | None
    """Patterns of steps (`layer1`, `layer*.0`): their weights alone are taken, all others are seeded."""
    exclude: Sequence[str]
    """Patterns of steps whose weights are not taken."""
    checkpoint_key: str
    """Which of the mappings of the file, or which prefix of its names."""
    rules: str | Path
    """A file of rules, which come before those of the spec."""
    adapt: bool
    """Whether the file is of the network with other classes or another input, or of one used as a block: what follows
    from these and does not fit is drawn, and the first convolution is made for another number of input channels."""


class ModuleChoices(CheckpointChoices, total=False):
    """The same, and what of the module is not trained."""

    freeze: Sequence[str]
    """Patterns of steps that are frozen."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What of a checkpoint is taken, and how its names are read."""

    layers: Sequence[str] | None = None
    """The steps whose weights come from the checkpoint; None: all."""
    exclude: Sequence[str] = ()
    """The steps whose weights do not."""
    key: str | None = None
    """Which of the mappings of the file, or which prefix of its names."""
    rules: Path | None = None
    """A file of rules, which come before those of the spec."""

    adapt: bool = False
    """Whether it may be of other classes or another input, or of a network used as a block; the rest is drawn."""

    @classmethod
    def of(cls, given: CheckpointChoices) -> Self:
        """What keywords of Python ask for; raises UsageError for one that there is not."""
        check_options(given, CheckpointChoices.__annotations__, "the choice of weights", OF_OTHERS)
        rules = given.get("rules")
        return cls(
            given.get("layers"),
            given.get("exclude", ()),
            given.get("checkpoint_key"),
            Path(rules) if rules else None,
            given.get("adapt", False),
        )

    @property
    def partial(self) -> bool:
        """Whether some weights do not come from the checkpoint."""
        return self.layers is not None or bool(self.exclude) or self.adapt


OF_OTHERS = ("weights", "seed", "training", "freeze", "passes", "level", "profile", *CheckpointChoices.__annotations__)
"""What functions that take weights are asked for, not all of them for each."""
