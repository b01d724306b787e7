"""Whether one body is another without some steps: a block without its shortcut, its expansion or its activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from netspec_torch.classes import Body, Member, Step
from netspec_torch.quote import is_identifier

ADDED = "{0} += {1}"
"""A step that overwrites its first operand by a sum."""
MOST_STEPS, MOST_SKIPPED, MOST_TRIED = 100, 3, 10_000


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where what a fuller body has is in one that may lack some of it."""

    leaves: tuple[int | None, ...]
    lines: tuple[int | None, ...]
    members: frozenset[str] = frozenset()
    """The members that it lacks; of one in a sequence `sequence.member`."""
    skipped: dict[int, int] = field(default_factory=dict)
    """The lines that it lacks, with the number of the operand that stands for what they give."""


def itself(body: Body) -> Alignment:
    """That of a body which lacks nothing."""
    return Alignment(tuple(range(len(body.leaves()))), tuple(range(len(body.lines))))


def align(full: Body, other: Body) -> Alignment | None:
    """How a body is the fuller one without some steps; None where it is not."""
    if full.loop is not None or other.loop is not None:
        return None
    more = len(full.steps) - len(other.steps)
    if full.parameters != other.parameters or not 0 <= more <= MOST_SKIPPED or len(full.steps) > MOST_STEPS:
        return None
    missing: set[str] = set()
    places = _places(full.members, other.members, missing, "")
    if places is None:
        return None
    skipped = _skipped(full, other, missing, more)
    if skipped is None:
        return None
    numbers = {id(leaf): i for i, leaf in enumerate(other.leaves())}
    same = (step.line for step in other.steps if step.line is not None)
    lines = [None if i in skipped else next(same) for i, step in enumerate(full.steps) if step.line is not None]
    return Alignment(
        tuple(numbers.get(id(leaf)) if leaf else None for leaf in places),
        (*lines, len(other.lines) - 1),
        frozenset(missing),
        {line: operand for i, operand in skipped.items() if (line := full.steps[i].line) is not None},
    )


def _places(
    full: Sequence[Member], other: Sequence[Member], missing: set[str], above: str
) -> list[Member | None] | None:
    """For each leaf of the fuller members the other's; None where these have something else, or in another order."""
    left = list(other)
    found: list[Member | None] = []
    for member in full:
        if not left or left[0].name != member.name:
            if "." in member.name or not is_identifier(member.name):
                return None
            missing.add(above + member.name)
            found += [None for _ in member.leaves()]
        elif member.key() == left[0].key():
            found += left.pop(0).leaves()
        elif member.items is not None and left[0].items is not None and not above:
            inner = _places(member.items, left.pop(0).items or [], missing, f"{member.name}.")
            if inner is None:
                return None
            found += inner
        else:
            return None
    return None if left else found


def _skipped(full: Body, other: Body, missing: set[str], more: int) -> dict[int, int] | None:
    """The steps that the other lacks, with the operand that stands for each; None where it does something else.

    Also None where that takes too long to tell: of 100 steps that are alike any three may be left out.
    """
    tried = count()

    def search(i: int, j: int, values: dict[int, int]) -> dict[int, int] | None:
        if i - j > more or next(tried) >= MOST_TRIED:
            return None
        if i == len(full.steps):
            same = tuple(values[r] for r in full.results) == other.results
            return {} if same and j == len(other.steps) else None
        step = full.steps[i]
        reads = tuple(values[r] for r in step.reads)
        if j < len(other.steps) and (step.text, reads) == (other.steps[j].text, other.steps[j].reads):
            made = dict(zip(step.made, other.steps[j].made, strict=True))
            if (found := search(i + 1, j + 1, values | made)) is not None:
                return found
        for operand in _stands(step, missing):
            found = search(i + 1, j, values | {step.made[0]: reads[operand]})
            if found is not None:
                return {i: operand, **found}
        return None

    return search(0, 0, {i: i for i in range(len(full.parameters))})


def _stands(step: Step, missing: set[str]) -> Iterator[int]:
    """The operands that can stand for what a step gives where it is left out."""
    if len(step.made) != 1 or step.line is None:
        return
    if step.text in (ADDED, "{0} + {1}"):
        yield 0
    elif len(step.reads) == 1 and (
        "self" not in step.text or any(step.text == f"self.{name}({{0}})" for name in missing)
    ):
        yield 0
