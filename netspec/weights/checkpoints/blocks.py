"""A checkpoint of a network that is used as a block in another: a classifier, of which a segmenter has the backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.diagnostics.errors import DataError, Reporter
from netspec.elaborate.compiled import Compiled
from netspec.weights.checkpoints.account import RuleSet, Target
from netspec.weights.checkpoints.choose import Choice, choose
from netspec.weights.checkpoints.sets import inner_networks
from netspec.weights.checkpoints.stored import State


@dataclass(frozen=True, slots=True)
class OfBlock:
    """The tensors of a file that are those of a block."""

    path: str
    name: str
    """Of the network that is used as a block."""
    choice: Choice
    notes: list[str]
    target: Target
    """The weights of the block."""

    @property
    def text(self) -> str:
        """What is said of it, and of what the block does not have."""
        left = dict.fromkeys(path.rpartition(".")[0] for path in sorted(self.choice.account.aside))
        more = f"; left of the file: {', '.join(left)}" if left else ""
        return f"the weights of {self.name} are those of {self.path}{more}"


def of_block(
    network: Compiled, states: Sequence[State], target: Target, sets: Sequence[RuleSet], key: str | None
) -> OfBlock | None:
    """The block of a network that a file is of, all of whose weights it has; None where there is none.

    Raises DataError where there are several.
    """
    found: dict[str, OfBlock] = {}
    outermost_first = sorted(inner_networks(network, Reporter()), key=lambda inner: inner.path.count("."))
    for inner in outermost_first:
        own = {path for path in target.shapes if path.startswith(inner.path)}
        if not own or inner.path.startswith(tuple(found)):
            continue
        part = target.without(target.shapes.keys() - own)
        try:
            choice, notes = choose(states, part, sets, key)
        except DataError:  # several sets of tensors fit it: --checkpoint-key names one
            continue
        if not choice.account.problems:
            found[inner.path] = OfBlock(inner.path[:-1], inner.name, choice, notes, part)
    if len(found) > 1:
        names = [block.path for block in found.values()]
        help = f"say which: {' or '.join(f'--adapt --layers {name}' for name in names)}"
        raise DataError(
            "NS602", f"the checkpoint is of {len(found)} parts of '{target.name}': {', '.join(names)}", help
        )
    return next(iter(found.values()), None)
