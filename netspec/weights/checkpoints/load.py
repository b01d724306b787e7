"""From a checkpoint's file to the weights of a network, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from netspec.diagnostics.errors import DataError, Diagnostic, Reporter, SpecError, UsageError
from netspec.elaborate.compiled import Compiled
from netspec.ir.graph import Graph
from netspec.ir.selection import keys_of
from netspec.weights.checkpoints.account import RuleSet, Target
from netspec.weights.checkpoints.blocks import of_block
from netspec.weights.checkpoints.choices import Choices
from netspec.weights.checkpoints.choose import Choice, choose
from netspec.weights.checkpoints.complaint import complaint
from netspec.weights.checkpoints.files import states_of
from netspec.weights.checkpoints.rewritten import guessed, passes_of, target_after
from netspec.weights.checkpoints.sets import inner_networks, rule_sets
from netspec.weights.checkpoints.stored import Need, Reads, State
from netspec.weights.checkpoints.tensorflow import reordered, translated
from netspec.weights.checkpoints.transfer import adaptable, as_declared, fitted
from netspec.weights.checkpoints.values import examine, lazily
from netspec.weights.initialise import lazily as lazily_drawn
from netspec.weights.lazy import Arrays, computed


class CheckpointWarning(UserWarning):
    """What was taken of a checkpoint where there was a choice, and values in it that are not numbers."""


@dataclass(slots=True)
class Loaded:
    """The weights that a checkpoint has for a network."""

    arrays: Arrays
    notes: list[str] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    computed: bool = False
    """Whether the passes of the network have made them already."""


Source: TypeAlias = Path | Sequence[State]
"""Where weights are from: a file, or mappings of tensors that are at hand."""


def load(network: Compiled, source: Source, training: bool, choices: Choices, read: Reads) -> Loaded:
    """The weights of a network out of a checkpoint; raises DataError, UsageError, SpecError (of rules)."""
    graph = network.stored(training)
    only = selected(graph, choices)
    given = states_of(source, Need.of(network.whole), read) if isinstance(source, Path) else source
    states = [translated(state) for state in given]
    told = passes_of(states)
    if told:
        return _after(network, states, told, training, choices)
    cut = {key for inner in inner_networks(network, Reporter()) for key in inner.keys()}

    def otherwise() -> Loaded | None:
        passes = guessed(network, states) if told is None else ()
        return _after(network, states, passes, training, choices) if passes else None

    return fit(network, states, Target.of(graph, network.whole, only).with_spare(cut), choices, otherwise)


def _after(
    network: Compiled, states: Sequence[State], passes: Sequence[str], training: bool, choices: Choices
) -> Loaded:
    """The weights of a file that was written after passes; raises DataError where the network has not the same."""
    target = target_after(network, passes, training, choices)
    choice, notes = choose(states, target, [RuleSet(f"its own names, after {', '.join(passes[:4])}")], choices.key)
    if choice.account.problems:
        raise complaint(network, states, target, [RuleSet(choice.account.source)], choice, choices.key)
    found = _taken(network, choice, target, notes)
    found.computed = True
    return found


def _adapted(network: Compiled, source: Source, training: bool, choices: Choices, read: Reads) -> Loaded:
    """The weights of a file of the network with the classes and input of its spec, or any others; raises as `load`.

    What does not fit is said of the network itself.
    """
    if network.is_block:
        raise UsageError("--adapt is for networks, not for blocks", "name a network of the spec")
    with suppress(DataError, SpecError, UsageError):
        return load(as_declared(network), source, training, choices, read)
    return load(network, source, training, choices, read)


def weights_of(network: Compiled, source: Source, seed: int, training: bool, choices: Choices, read: Reads) -> Loaded:
    """The same, with the weights that are not to come from the checkpoint, or do not fit, drawn by the seed."""
    found = (_adapted if choices.adapt else load)(network, source, training, choices, read)
    if choices.adapt:
        found.arrays, notes = fitted(network.stored(training), found.arrays)
        found.notes += notes
    if choices.partial:
        seeded = lazily_drawn(network.stored(training), seed)
        if any(key not in found.arrays for key in seeded):
            found.notes.append(drawn_text(seeded, found.arrays))
        found.arrays = seeded | found.arrays
    if not training and not found.computed:
        found.arrays = computed(network.module, found.arrays)
    return found


def fit(
    network: Compiled,
    states: Sequence[State],
    target: Target,
    choices: Choices,
    otherwise: Callable[[], Loaded | None] = lambda: None,
) -> Loaded:
    """The weights that a target takes of a file's tensors; raises DataError, SpecError (of rules).

    Where they do not fit it is what `otherwise` gives, if that is anything.
    """
    sets = rule_sets(network, choices.rules)
    choice, notes = choose(states, target, sets, choices.key)
    if choice.account.problems and choices.adapt:
        target = target.like(choice.account, adaptable(network))
        choice, notes = choose(states, target, sets, choices.key)
    if choice.account.problems and choices.adapt:
        if (part := of_block(network, states, target, sets, choices.key)) is not None:
            choice, notes, target = part.choice, [*part.notes, part.text], part.target
    if choice.account.problems:
        if (other := otherwise()) is not None:
            return other
        raise complaint(network, states, target, sets, choice, choices.key)
    return _taken(network, choice, target, notes)


def _taken(network: Compiled, choice: Choice, target: Target, notes: list[str]) -> Loaded:
    """The tensors of a choice that fits."""
    found, tensors = choice.account, choice.account.found
    if choice.view.state.transforms:
        tensors = reordered(found, network.graph, target.shapes)
        notes = [*choice.view.state.transforms, *notes]
    warnings = examine(tensors, found.keys)
    arrays = Arrays({path: lazily(tensors[path], shape) for path, shape in target.shapes.items()})
    return Loaded(arrays, notes, warnings)


def selected(graph: Graph, choices: Choices) -> Collection[str] | None:
    """The keys that come from the checkpoint; None: all; raises UsageError for a pattern of no step."""
    if not choices.partial:
        return None
    keys = set(graph.tensors()) if choices.layers is None else keys_of(graph, choices.layers)
    keys -= keys_of(graph, choices.exclude)
    if not keys and (choices.layers is not None or choices.exclude):
        help = "leave out --weights, or name other steps"
        raise UsageError("of the checkpoint nothing would be loaded: all steps are excluded, or none is named", help)
    return keys


def drawn_text(keys: Collection[str], arrays: Collection[str]) -> str:
    """What is said of the weights that are drawn, as the checkpoint is not to give them."""
    steps = list(dict.fromkeys(key.rpartition(".")[0] for key in keys if key not in arrays))
    more = f", and {len(steps) - 8:,} more" if len(steps) > 8 else ""
    return f"drawn, not from the checkpoint: {', '.join(steps[:8])}{more}"
