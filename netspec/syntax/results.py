"""What papers report of a network's accuracy, under `results`: cited with its source, and verified by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.diagnostics.errors import Reporter, Span
from netspec.syntax.fact_places import TOPS
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.values import text

DATA = "ImageNet"
"""What results are on that do not say it: its validation images."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Accuracies in percent, as a paper reports them; None where it does not."""

    top1: float | None
    top5: float | None
    data: str
    setting: str
    """How the network was tested, as ten-crop; empty for one crop, or where nobody says it."""
    source: str
    span: Span


def reported(results: Sequence[Result], top: str, data: str) -> float | None:
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
        message = f"five guesses are right less often, {five:g}%, than the first of them, {one:g}%"
        reporter.error("NS307", message, last.span, "exchange them, or correct one")


def _result(tree: Map) -> Result:
    data, setting, source = (text(tree.get(key)) for key in ("data", "setting", "source"))
    top1, top5 = (_accuracy(tree, top) for top in TOPS)
    return Result(top1, top5, data or DATA, setting, source, tree.span)


def _accuracy(tree: Map, top: str) -> float | None:
    """An accuracy in percent, as it is written, or 100 less the error, with as many digits."""
    for key, is_error in ((top, False), (f"{top}_error", True)):
        written = tree.get(key)
        if isinstance(written, Scalar) and isinstance(written.value, (int, float)):
            digits = len(written.text.partition(".")[2])
            return round(100 - written.value, digits) if is_error else float(written.value)
    return None
