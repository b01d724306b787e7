"""What a paper prints, held against what was computed: the verdict, or the error that a fact is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from netspec.check.quantities import Agreement, digits, number_help, sizes, written_as
from netspec.diagnostics.errors import Hint, Span
from netspec.expressions.identifiers import clipped
from netspec.syntax.ast import Name
from netspec.syntax.document import Fact, Printed

Verdict: TypeAlias = Agreement | Literal["misprint", "differs", "wrong"]
VERDICTS: tuple[Verdict, ...] = ("exact", "rounds to", "truncates to", "misprint", "differs", "wrong")
"""`wrong` is an error as well: the network has another number, and nothing says why."""
SIZE_HELP = "sizes as the paper has them: 112x112x64, or 56x56"


@dataclass(frozen=True, slots=True)
class Held:
    """A printed number, held against the computed one."""

    network: str
    step: str
    """The path of what it is about; empty for the network."""
    measure: str
    printed: str
    computed: int | float | str
    """A number, or a size in the order of the printed one."""
    verdict: Verdict
    source: str
    true: str = ""
    """What the row of a misprint gives, in the digits of the paper."""
    reason: str = ""
    """What shows a misprint, or why a printed number cannot be reproduced."""
    counted: str = ""
    """How the paper counts where it counts otherwise: `K is 1024, without biases`."""
    called: str = ""
    """What the spec calls the step where that is its title and not its path."""
    arithmetic: str = ""
    """Of what is a misprint or differs: the sum that gives the computed number, where it is short."""
    share: str = ""
    """Of what differs: the computed number as a share of the printed one, and the nearest of other ways to count."""

    @property
    def row(self) -> str:
        """What it is about: the network, the step and the measure."""
        return " ".join(part for part in (self.network, self.called or self.step, self.measure) if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a fact."""

    code: str
    message: str
    at: Span
    help: str | Hint = ""
    verdict: Verdict | None = None
    """That on the printed number; None where there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What was computed, and how it is held against a printed text."""

    what: str
    """How messages call it."""
    value: int | float | str
    shown: str
    agreement: Callable[[str], Agreement | None]
    reads: Callable[[str], bool]
    """Whether a text is printed as such a value is."""
    like: Callable[[str], str]
    """The value in the digits of a printed text."""
    help: Callable[[str], str]
    """What may be meant by a text that is not."""


def number(what: str, value: float, k: int, of_bytes: bool) -> Computed:
    """A number that was computed; one of bytes may be printed as 29MB."""

    def agreement(text: str) -> Agreement | None:
        read = digits(text, k, of_bytes)
        return read.agreement(value) if read is not None else None

    def like(text: str) -> str:
        read = digits(text, k, of_bytes)
        return read.written(value) if read is not None else text

    shown = f"{value:,}" + (f", {like('1.00K')} of {k:,}" if k != 1000 else "")

    def reads(text: str) -> bool:
        return digits(text, k, of_bytes) is not None

    return Computed(what, value, shown, agreement, reads, like, lambda text: number_help(text, of_bytes))


def size(what: str, shape: Sequence[int], printed: str) -> Computed:
    """A shape without the batch, (C, H, W) or (F), in the order in which a size is printed."""

    def ordered(text: str) -> str:
        return "x".join(map(str, written_as(sizes(text) or (), shape)))

    def agreement(text: str) -> Agreement | None:
        read = sizes(text)
        return "exact" if read is not None and written_as(read, shape) == read else None

    value = ordered(printed)
    return Computed(what, value, value, agreement, lambda text: sizes(text) is not None, ordered, lambda _: SIZE_HELP)


def judged(fact: Fact, computed: Computed) -> Verdict | Problem:
    """The verdict on a printed number; found, but for the two kinds that only the spec can know."""
    printed = fact.printed
    assert printed is not None
    for key, part in (("printed", printed), ("misprint", fact.misprint)):
        if part is not None and not computed.reads(part.text):
            expected = "a size such as 112x112x64" if isinstance(computed.value, str) else "a number as it is printed"
            message = f"'{key}' expects {expected}, got '{clipped(part.text)}'"
            return Problem("NS302", message, part.span, computed.help(part.text))
    found = computed.agreement(printed.text)
    explained = fact.misprint or fact.differs
    is_it = f"{computed.what} is {computed.shown}"
    if found is not None and explained is not None:
        word = "misprint" if explained is fact.misprint else "differs"
        message = f"{is_it}, which gives the printed {printed.text}: '{word}' has nothing to explain"
        return Problem("NS503", message, explained.span, "leave it out", found)
    if found is not None:
        return found
    if fact.misprint is not None:
        if computed.agreement(fact.misprint.text) is not None:
            return "misprint"
        help_ = f"what it gives in these digits is {computed.like(fact.misprint.text)}"
        return Problem("NS501", f"{is_it}, expected {fact.misprint.text}", fact.misprint.span, help_, "wrong")
    if fact.differs is not None:
        return "differs"
    if isinstance(computed.value, str) and sorted(sizes(printed.text) or ()) == sorted(sizes(computed.value) or ()):
        help_ = f"a size is height x width x channels: {computed.value}"
        return Problem("NS501", f"{is_it}, printed {printed.text}", printed.span, help_, "wrong")
    help_ = (
        f"correct the spec or the digits; where the row itself gives another number, `misprint: "
        f"{computed.like(printed.text)}`, else `differs:` with the reason"
    )
    return Problem("NS501", f"{is_it}, printed {printed.text}", printed.span, help_, "wrong")


def contradiction(fact: Fact) -> Problem | None:
    """What no fact may say, whatever was computed."""
    if fact.within is not None and fact.value is None:
        help_ = "a printed number has its digits: the computed one rounds to them or is cut after them"
        return Problem("NS503", "'within' is a tolerance of 'value'", fact.within.span, help_)
    words: dict[str, Name | None] = {"misprint": fact.misprint, "differs": fact.differs}
    for word, said in words.items():
        if said is not None and fact.printed is None:
            message = f"'{word}' explains a printed number, and there is none"
            return Problem("NS503", message, said.span, "write the number of the paper under `printed`")
    if fact.misprint is not None and fact.differs is not None:
        message = "a printed number is a misprint, or it cannot be reproduced"
        return Problem("NS503", message, fact.differs.span, "leave one of `misprint` and `differs` out")
    if fact.differs is not None and not fact.differs.text.strip():
        return Problem("NS503", "'differs' expects the reason", fact.differs.span, "why it cannot be reproduced")
    if fact.why and fact.misprint is None:
        help_ = "`differs` is its own reason" if fact.differs is not None else "leave it out"
        return Problem("NS503", "'why' shows that something is a misprint", fact.span, help_)
    return None


def how_counted(printed: Printed) -> str:
    """How a paper counts, where that is not how we do."""
    said = (
        (f"K is {printed.k}", printed.k != 1000),
        ("without biases", not printed.biases),
        ("without norms", not printed.norms),
        ("with running statistics", printed.statistics),
    )
    return ", ".join(text for text, holds in said if holds)
