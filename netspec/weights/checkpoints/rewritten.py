"""Checkpoints that were written after passes: their weights are not those that a network stores, but made of these.

A file that netspec wrote says which passes; of any other it is told by the names and shapes of its tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from netspec.diagnostics.errors import DataError, NetspecError
from netspec.elaborate.compiled import Compiled
from netspec.passes.runtimes import MEASURED
from netspec.weights.checkpoints.account import RuleSet, Target, account
from netspec.weights.checkpoints.choices import Choices
from netspec.weights.checkpoints.stored import State

USUAL = "fold_batch_norm"
"""The pass that is asked for by its name most often."""


def passes_of(states: Sequence[State]) -> tuple[str, ...] | None:
    """What the mappings of a file say of their passes; None where they say nothing."""
    return next((state.passes for state in states if state.passes is not None), None)


def guessed(network: Compiled, states: Sequence[State]) -> tuple[str, ...]:
    """The passes after which the network, or its spec, has the names and shapes of the tensors; empty for none."""
    for candidate in (network, *(made for _, made in _levels(network)), *_after(network, [USUAL])):
        if candidate.folding:
            target = Target.of(candidate.inference)
            if any(not account(RuleSet(""), target, state.tensors).problems for state in states):
                return candidate.folding
    return ()


def target_after(network: Compiled, passes: Sequence[str], training: bool, choices: Choices) -> Target:
    """What a network takes of a file that was written after these passes; raises DataError where it is not the same."""
    own = [network.folding, *([network.untapped.folding] if network.taps else [])]
    if training or choices.partial or tuple(passes) not in own:
        raise _refused(network, passes, training, choices.partial)
    found = Target.of(network.inference)
    if not network.taps:
        return found
    whole = network.untapped.module
    if any((key in whole.computed) != (key in network.module.computed) for key in found.shapes):
        return found
    layers = {key.rpartition(".")[0] for key in found.shapes}
    return found.with_spare([key for key in whole.graph.tensors() if key.rpartition(".")[0] not in layers])


def _refused(network: Compiled, passes: Sequence[str], training: bool, partial: bool) -> DataError:
    """The error of a file that was written after other passes than those that this network has run through."""
    more = f" and {len(passes) - 4:,} more" if len(passes) > 4 else ""
    found = (option for option, made in _levels(network) if made.folding == tuple(passes))
    option = next((option for option in found if more or " for " not in option), "")  # few are named themselves
    listed = ", ".join(text[:100] for text in passes[:4]) + more
    after = f"after the passes of {option} ({listed})" if option else f"after {listed}"
    what = f"the checkpoint does not fit '{network.name}': its weights were written {after}"
    if training:
        return DataError("NS602", f"{what}, and are not to be trained", "write it again with -O0")
    if tuple(passes) == network.folding and partial:
        whole = "it is taken as a whole alone, without --layers, --exclude and --adapt"
        return DataError("NS602", what, f"{whole}; or write it again with -O0")
    own = f", and those of this network after {', '.join(network.folding[:4])}" if network.folding else ""
    given = option or " ".join(f"--pass {text[:100]}" for text in passes[:4]) + (" ..." if more else "")
    return DataError("NS602", f"{what}{own}", f"load it with {given}, or write it again with -O0")


def _levels(network: Compiled) -> Iterator[tuple[str, Compiled]]:
    """The network after each level, with the option that asks for it; of a runtime where it has its own."""
    plain = network.plain
    with suppress(NetspecError):
        yield "-O1", plain.optimised(1)
    for runtime in ("", *MEASURED):
        with suppress(NetspecError):
            yield f"-O2{f' for {runtime}' if runtime else ''}", plain.optimised(2, runtime)


def _after(network: Compiled, passes: Sequence[str]) -> Iterator[Compiled]:
    with suppress(NetspecError):
        yield network.plain.after(passes)
