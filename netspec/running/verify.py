"""Compares two subjects on the same inputs, and finds the step at which they begin to differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from netspec.diagnostics.errors import DataError
from netspec.ir.graph import Graph, Node, Ref
from netspec.running.differences import TOLERANCES, Difference, difference, entering, first_step, unseen
from netspec.running.showing import in_portions, values
from netspec.running.subjects import Inputs, Subject

PORTION = 256 * 2**20
"""Bytes of the values between the steps that are held of one subject at once."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The step at which two subjects begin to differ."""

    node: Node
    difference: Difference
    entering: float
    """The largest relative error of what the step is computed from."""
    unseen: Sequence[str]
    """Steps before it that could not be compared, each of which may be the one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a comparison is made."""

    tolerance: float | None = None
    """What max|a - b| / max|a| may be; None for what the types have."""
    steps: bool = True
    """Whether values between the steps are compared where the outputs agree."""


NOISY = "int8"
"""The type whose error is noise: root mean squares are compared, as a signal-to-noise ratio is made of them."""


@dataclass(slots=True)
class Verdict:
    """What the comparison of two subjects gave."""

    a: str
    b: str
    tolerance: float
    outputs: dict[str, Difference]
    weak: dict[str, str] = field(default_factory=dict)
    """Outputs of which agreement says little, and why."""
    compared: int = 0
    """How many values between the steps were compared, where the outputs differ."""
    of: int = 0
    culprit: Culprit | None = None
    noisy: bool = False
    """Whether one of them is in int8, so that relative errors are those of root mean squares."""

    @property
    def differs(self) -> bool:
        """Whether an output differs, or a value between the steps that is the same in both."""
        return self.culprit is not None or any(d.exceeds(self.tolerance) for d in self.outputs.values())


def verify(a: Subject, b: Subject, graph: Graph, inputs: Inputs, asked: Asked) -> Verdict:
    """Compares the outputs of two subjects and their values step by step.

    `graph` is the one whose values both know. Where the outputs agree, values between the steps count in float32 alone,
    and where their names say for certain what they are. Raises DataError, MissingError, UsageError.
    """
    tolerance = max(TOLERANCES[a.dtype], TOLERANCES[b.dtype]) if asked.tolerance is None else asked.tolerance
    left, right = a.outputs(inputs), b.outputs(inputs)
    if left.keys() != right.keys():
        raise DataError("NS703", f"{a.name} gives {', '.join(left)}, {b.name} gives {', '.join(right)}")
    noisy = NOISY in (a.dtype, b.dtype)
    found = {name: difference(left[name], right[name], noisy) for name in left}
    said = {name: why for name, value in left.items() if (why := weak(name, value))}
    verdict = Verdict(a.name, b.name, tolerance, found, said, noisy=noisy)
    differing = [graph.outputs[name].ref for name, d in found.items() if d.exceeds(tolerance)]
    certain = a.exact and b.exact and a.dtype == b.dtype == "float32"
    if differing or (certain and asked.steps):
        _locate(verdict, (a, b), graph, inputs, differing)
    return verdict


def _locate(
    verdict: Verdict, subjects: tuple[Subject, Subject], graph: Graph, inputs: Inputs, differing: Sequence[Ref]
) -> None:
    """Finds the step before outputs that differ, or where none does of all; portion by portion of the values."""
    a, b = subjects
    batch = next(iter(inputs.values())).shape[0]
    both = {*a.known(graph)} & {*b.known(graph)}
    needed = graph.above(ref.node for ref in differing) if differing else {*graph.nodes}
    order = values(graph)
    refs = [ref for ref in order if ref in both and ref.node in needed]
    errors: dict[Ref, Difference] = {}
    for portion in in_portions(graph, refs, batch, PORTION):
        ours, theirs = a.values(graph, portion, inputs), b.values(graph, portion, inputs)
        compared = {ref: difference(ours[ref], theirs[ref], verdict.noisy) for ref in portion}
        exact = a.exact and b.exact
        errors |= {ref: d for ref, d in compared.items() if exact or ours[ref].shape == theirs[ref].shape}
    verdict.compared, verdict.of = len(errors), sum(ref.node in needed for ref in order)
    ref = first_step(graph, errors, differing or [*errors], verdict.tolerance)
    if ref is not None:
        before = unseen(graph, errors, ref)
        verdict.culprit = Culprit(graph.nodes[ref.node], errors[ref], entering(graph, errors, ref), before)


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
