"""What is said of a checkpoint that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspec.checkpoints.account import Account, RuleSet, Target
from netspec.checkpoints.choose import Choice, contents
from netspec.checkpoints.stored import State
from netspec.errors import DataError

if TYPE_CHECKING:
    from netspec.network import Network


def complaint(network: Network, states: Sequence[State], target: Target, sets: Sequence[RuleSet],
              choice: Choice) -> DataError:
    """The error that lists what is missing, unexpected, of another shape or mapped twice, and how to go on."""
    lines = [f"the checkpoint does not fit '{target.name}' (by {choice.account.source})", *_lists(choice.account)]
    if len(states) > 1:
        lines.append(f"  looked at `{choice.view.label or 'the outermost mapping'}`; the file has {contents(states)}")
    return DataError("NS602", "\n".join(lines),
                     "every tensor of the file and of the network must be accounted for: `checkpoints:` maps names")


def _lists(account: Account) -> list[str]:
    lines = []
    for title, keys in (("missing in the file", account.missing),
                        ("unexpected in the file", list(account.unexpected.values())),
                        ("of another shape", list(map(str, account.misshapen))), ("mapped twice", account.twice)):
        if keys:
            more = [f"    ... and {len(keys) - 10} more"] if len(keys) > 10 else []
            lines += [f"  {title} ({len(keys)}):", *(f"    {k[:160]}" for k in sorted(keys)[:10]), *more]
    return lines
