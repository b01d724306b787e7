"""Which network of a document is meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.ir.graph import Node

InputSize = Sequence[int] | Mapping[str, Sequence[int]]
"""What is asked for in place of the input's own size: of the only input, or of some by name."""


def larger(inputs: Iterable[Node], rows: int, columns: int) -> InputSize:
    """The sizes of inputs with so many rows and columns more; what is no map keeps its size."""
    maps = {str(node.path): [int(size) for size in node.shape[1:]] for node in inputs if len(node.shape) == 4}
    return {name: [c, h + rows, w + columns] for name, (c, h, w) in maps.items()}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A variant, values of params, and sizes of inputs; what is left out is as the document has it."""

    variant: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    """Values of params: texts as on a command line, or Python values."""
    input: InputSize | None = None
    declared_input: bool = False
    """Whether the document's own input counts, whatever the variant says."""
