"""Which network of a document is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

InputSize = Sequence[int] | Mapping[str, Sequence[int]]
"""What is asked for in place of the input's own size: of the only input, or of some by name."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A variant, values of params, and sizes of inputs; what is left out is as the document has it."""

    variant: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    """Values of params: texts as on a command line, or Python values."""
    input: InputSize | None = None
    declared_input: bool = False
    """Whether the document's own input counts, whatever the variant says."""
