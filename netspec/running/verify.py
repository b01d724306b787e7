"""Compares two subjects on the same inputs, and finds the step at which they begin to differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netspec.diagnostics.errors import DataError, MissingError
from netspec.ir.graph import Node, Ref
from netspec.running.differences import NOISY, TOLERANCES, Difference, begun, beyond, difference, entering, unseen
from netspec.running.own_errors import ROUNDS, Anew, Exact, Off, Own
from netspec.running.showing import in_portions, values
from netspec.running.subjects import Inputs, Subject, Unscaled

PORTION = 256 * 2**20
"""Bytes of the values between the steps that are held of one subject at once."""
SMALL = 0.1
"""The share of the tolerance that a step is off by itself where its error grows beyond the tolerance later."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The step at which two subjects begin to differ."""

    node: Node
    difference: Difference
    entering: float
    """The largest relative error of what the step is computed from."""
    unseen: Sequence[str]
    """Steps before it that could not be compared, each of which may be the one."""
    own: Own | None = None
    """How far it is off, given what enters it; None without PyTorch, which says what it should give."""
    side: str = ""
    """The subject that is off so."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a comparison is made."""

    tolerance: float | None = None
    """What max|a - b| / max|a| may be; None for what the types have."""
    steps: bool = True
    """Whether values between the steps are compared where the outputs agree."""


@dataclass(slots=True)
class Verdict:
    """What the comparison of two subjects gave."""

    a: str
    b: str
    tolerance: float
    outputs: dict[str, Difference]
    weak: dict[str, str] = field(default_factory=dict)
    """Outputs of which agreement says little, and why."""
    roundings: dict[str, float] = field(default_factory=dict)
    """How far PyTorch's own float32 is off in outputs where that decides what they may differ by."""
    compared: int = 0
    """How many values between the steps were compared, where the outputs differ."""
    of: int = 0
    culprit: Culprit | None = None
    grown: Sequence[tuple[Ref, Difference]] = ()
    """Values beyond the tolerance where no step is by itself."""
    noisy: bool = False
    """Whether one of them is in int8, so that relative errors are those of root mean squares."""

    @property
    def differs(self) -> bool:
        """Whether an output differs, or a value between the steps that is the same in both."""
        return self.culprit is not None or any(self.exceeds(name) for name in self.outputs)

    def allowed(self, output: str) -> float:
        """What an output may differ by: the tolerance, or what rounding makes of it."""
        return max(self.tolerance, ROUNDS * self.roundings.get(output, 0.0))

    def exceeds(self, output: str) -> bool:
        """Whether an output differs by more than it may."""
        return self.outputs[output].exceeds(self.allowed(output))


def verify(a: Subject, b: Subject, reference: Exact, inputs: Inputs, asked: Asked) -> Verdict:
    """Compares the outputs of two subjects and their values step by step.

    The graph of the reference is the one whose values both know. Where the outputs agree, values between the steps
    count in float32 alone, and where their names say for certain what they are. An output in float32 may differ by as
    much as rounding makes of it, where no tolerance was asked for. Raises DataError, MissingError, UsageError.
    """
    tolerance = max(TOLERANCES[a.dtype], TOLERANCES[b.dtype]) if asked.tolerance is None else asked.tolerance
    left, right = a.outputs(inputs), b.outputs(inputs)
    if left.keys() != right.keys():
        raise DataError(
            "NS703",
            f"{a.name} gives {', '.join(left)}, {b.name} gives {', '.join(right)}",
            "both are to be of one network",
        )
    noisy = NOISY in (a.dtype, b.dtype)
    found = {name: difference(left[name], right[name], noisy) for name in left}
    said = {name: why for name, value in left.items() if (why := weak(name, value))}
    verdict = Verdict(a.name, b.name, tolerance, found, said, noisy=noisy)
    single = a.dtype == b.dtype == "float32"
    over = [name for name in found if verdict.exceeds(name)]
    if over and single and asked.tolerance is None:
        verdict.roundings = _roundings(reference, inputs, over)
    differing = [reference.graph.outputs[name].ref for name in over if verdict.exceeds(name)]
    if noisy:
        a, b = (Unscaled.of(one, other) if one.dtype == NOISY else one for one, other in ((a, b), (b, a)))
    if differing or (a.exact and b.exact and single and asked.steps):
        _locate(verdict, (a, b), reference, inputs, differing)
    return verdict


def _roundings(reference: Exact, inputs: Inputs, outputs: Sequence[str]) -> dict[str, float]:
    """How far float32 is off in outputs; nothing where that cannot be computed here."""
    try:
        found = reference.roundings(inputs)
    except (MissingError, DataError):
        return {}
    return {name: found[name] for name in outputs if np.isfinite(found.get(name, np.nan))}


def _locate(
    verdict: Verdict, subjects: tuple[Subject, Subject], reference: Exact, inputs: Inputs, differing: Sequence[Ref]
) -> None:
    """Finds the step before outputs that differ, or where none does of all; portion by portion of the values."""
    (a, b), graph = subjects, reference.graph
    batch = next(iter(inputs.values())).shape[0]
    both = {*a.known(graph)} & {*b.known(graph)}
    needed = graph.above(ref.node for ref in differing) if differing else {*graph.nodes}
    order = values(graph)
    refs = [ref for ref in order if ref in both and ref.node in needed]
    errors: dict[Ref, Difference] = {}
    exact = a.exact and b.exact
    for portion in in_portions(graph, refs, batch, PORTION):
        ours, theirs = a.values(graph, portion, inputs), b.values(graph, portion, inputs)
        compared = {ref: difference(ours[ref], theirs[ref], verdict.noisy) for ref in portion}
        errors |= {ref: d for ref, d in compared.items() if exact or ours[ref].shape == theirs[ref].shape}
    verdict.compared, verdict.of = len(errors), sum(ref.node in needed for ref in order)
    over = beyond(graph, errors, differing or [*errors], verdict.tolerance)
    if not over:
        return
    anew = Anew(reference, subjects, inputs, _known(errors, exact, verdict.tolerance))
    try:
        found = anew.first(over, verdict.tolerance)
        if found is None and exact:  # a value on the way may be within the tolerance, and what comes of it not
            aside = [ref for ref in beyond(graph, errors, [*errors], verdict.tolerance) if ref not in {*over}]
            found = anew.first(aside, verdict.tolerance)
        if found is None and a.dtype == b.dtype == "float32":
            found = anew.worst(begun(graph, errors, over[0], verdict.tolerance), SMALL * verdict.tolerance)
    except (MissingError, DataError):  # no PyTorch here, no kernel in float64, or no memory for it
        found = Off(over[0])
    if found is None:
        verdict.grown = [(ref, errors[ref]) for ref in over]
        return
    before = unseen(graph, errors, found.ref)
    verdict.culprit = Culprit(
        graph.nodes[found.ref.node],
        errors[found.ref],
        entering(graph, errors, found.ref),
        before,
        found.own,
        found.side,
    )


def _known(errors: Mapping[Ref, Difference], exact: bool, tolerance: float) -> set[Ref]:
    """The values that steps are computed anew of: of a file from elsewhere, those that agree, so that names are right.

    A value whose shape differs is none that a step could take.
    """
    return {ref for ref, d in errors.items() if not d.why and (exact or not d.exceeds(tolerance))}


def weak(name: str, value: np.ndarray) -> str:
    """Why agreement of an output would say little: it is all but zero, or takes no notice of its input."""
    if not value.size:
        return f"{name} is empty"
    size = float(np.abs(value).max())
    if not np.isfinite(size):
        return f"{name} holds numbers that are not finite"
    if size < 1e-6:
        return f"{name} is at most {size:.2g}"
    if value.ndim and len(value) > 1:
        spread = float(np.abs(value[0] - value[1]).max()) / size
        if spread < 0.01:
            return f"{name} differs by {100 * spread:.2g}% between two inputs"
    return ""
