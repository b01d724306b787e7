"""What papers report of a network's accuracy, under `results`: cited with its source, and verified by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from netspec.diagnostics.errors import Reporter, Span
from netspec.syntax.fact_places import TOPS
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.values import text

DATA = "ImageNet"
"""What results are on that do not say it: its validation images."""


class Percent(float):
    """A percentage, which as a text has as many decimals as its paper prints: 93.00, and not 93."""

    __slots__ = ("decimals",)
    decimals: int

    def __new__(cls, value: float, decimals: int) -> Self:
        """A value in percent, shown with so many decimals."""
        made = super().__new__(cls, value)
        made.decimals = decimals
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[float, int]]:
        return type(self), (float(self), self.decimals)

    def __str__(self) -> str:
        """The value in its decimals, without a sign of percent."""
        return f"{float(self):.{self.decimals}f}"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Accuracies in percent, as a paper reports them; None where it does not."""

    top1: Percent | None
    top5: Percent | None
    data: str
    setting: str
    """How the network was tested, as ten-crop; empty for one crop, or where nobody says it."""
    source: str
    span: Span


def reported(results: Sequence[Result], top: str, data: str) -> Percent | None:
    """The first accuracy, `top1` or `top5`, that is reported on some data; None without one."""
    found = (getattr(result, top) for result in results if result.data == data)
    return next((value for value in found if value is not None), None)


def read_results(tree: Tree | None, refused: set[Tree], reporter: Reporter) -> tuple[Result, ...]:
    """The results that can be read; what no accuracy can be is reported."""
    items = tree.items if isinstance(tree, Seq) else () if tree is None else (tree,)
    good = [item for item in items if isinstance(item, Map) and _accepted(item, refused)]
    for item in good:
        _check(item, reporter)
    return tuple(_result(item) for item in good)


def _accepted(tree: Map, refused: set[Tree]) -> bool:
    return refused.isdisjoint((tree, *(part for entry in tree.entries for part in entry)))


def _check(tree: Map, reporter: Reporter) -> None:
    """Reports a fraction in place of percent, and five guesses that are right less often than one."""
    for top in TOPS:
        written = tree.get(top)
        if isinstance(written, Scalar) and isinstance(written.value, float) and 0 < written.value <= 1:
            message = f"'{top}' is in percent, and {written.text} is below 1%"
            reporter.error("NS307", message, written.span, f"did you mean {100 * written.value:.6g}?")
            return
    one, five = (_accuracy(tree, top) for top in TOPS)
    last = tree.get("top5") or tree.get("top5_error")
    if one is not None and five is not None and five < one and last is not None:
        message = f"five guesses are right less often, {five}%, than the first of them, {one}%"
        reporter.error("NS307", message, last.span, "exchange them, or correct one")


def _result(tree: Map) -> Result:
    data, setting, source = (text(tree.get(key)) for key in ("data", "setting", "source"))
    top1, top5 = (_accuracy(tree, top) for top in TOPS)
    return Result(top1, top5, data or DATA, setting, source, tree.span)


def _accuracy(tree: Map, top: str) -> Percent | None:
    """An accuracy in percent, as it is written, or 100 less the error, with as many decimals."""
    for key, is_error in ((top, False), (f"{top}_error", True)):
        written = tree.get(key)
        if isinstance(written, Scalar) and isinstance(written.value, (int, float)):
            decimals = _decimals(written.text, written.value)
            return Percent(round(100 - written.value, decimals) if is_error else written.value, decimals)
    return None


def _decimals(written: str, value: float) -> int:
    """How many decimals are written; of a number with an exponent (2.5e1), how many it has written out."""
    plain = f"{value:.{_MOST}f}".rstrip("0") if "e" in written.lower() else written
    return min(len(plain.partition(".")[2]), _MOST)


_MOST = 12
"""Decimals that a percentage is shown with; a spec may write any number of them."""
