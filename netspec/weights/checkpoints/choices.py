"""What is asked of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


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
    """Whether it is of the network as its spec has it, or of one used as a block; what does not fit is drawn."""

    @property
    def partial(self) -> bool:
        """Whether some weights do not come from the checkpoint."""
        return self.layers is not None or bool(self.exclude) or self.adapt
