"""Times calls in turn, in one process, and says how they compare: what `tools/dev bench` measures pairs with.

All calls run once a round, in an order that rotates, and ratios are taken round by round: a slow minute of the machine
is slow for all of them. A call that stands there twice, under two names, shows how much of a ratio is noise.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Call = Callable[[], object]
SHORT = 0.05
"""Seconds of a call below which each turn begins with an untimed one: threads of the call before may still spin."""
MOST = 41
"""Rounds at most."""
LONG = 0.5
"""Seconds of a call above which once is enough to warm up."""
SITTINGS = 3
"""How often what is called is made anew: where its memory lies makes it some percent faster or slower for good."""


def clock() -> float:
    """The wall clock, or with --cpu the processor time of this process."""
    return time.process_time() if "--cpu" in sys.argv else time.perf_counter()


def interleaved(
    make: Callable[[], Mapping[str, Call]], seconds: float, least: int = 3, sittings: int = SITTINGS
) -> dict[str, list[float]]:
    """The seconds of each call, round by round, for about so many seconds in all, `least` rounds at least.

    `make` gives the calls, and does so for each sitting.
    """
    times: dict[str, list[float]] = {}
    for sitting in range(sittings):
        calls = make()
        first = {name: _warm(call) for name, call in calls.items()}
        short = max(first.values()) < SHORT
        rounds = int(seconds / sittings / (sum(first.values()) * (1 + short)))
        names = list(calls)
        for number in range(max(-(-least // sittings), min(-(-MOST // sittings), rounds))):
            turn = (number + sitting) % len(names)
            for name in names[turn:] + names[:turn]:
                if short:
                    calls[name]()
                times.setdefault(name, []).append(_timed(calls[name]))
    return times


def _warm(call: Call) -> float:
    """The seconds of a call that has run before, or takes so long that the first says enough."""
    once = _timed(call)
    return once if once > LONG else _timed(call)


def _timed(call: Call) -> float:
    started = clock()
    call()
    return clock() - started


@dataclass(frozen=True)
class Ratio:
    """How the times of a call compare with those of another, round by round."""

    low: float
    middle: float
    high: float
    """First quartile, median, third quartile."""

    @classmethod
    def of(cls, mine: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Mine by theirs: below 1 where mine are faster."""
        found = [a / b for a, b in zip(mine, theirs, strict=True)]
        low, middle, high = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
        return cls(low, middle, high)

    def __str__(self) -> str:
        """The median, with the quartiles."""
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Row:
    """One comparison: what was run, its times by name, and the name that the others are compared with."""

    cells: tuple[str, ...]
    times: Mapping[str, Sequence[float]]
    first: str

    @property
    def base(self) -> Sequence[float]:
        """The times that the others are compared with."""
        return self.times[self.first]

    def ratio(self, name: str) -> Ratio:
        """Of a call of this row."""
        return Ratio.of(self.times[name], self.base)


def table(title: str, head: Sequence[str], rows: Sequence[Row]) -> str:
    """A Markdown table: what was run, the median of the first call, and the ratio of each other; the ratios' medians.

    Calls that a row lacks are empty cells.
    """
    first = rows[0].first
    names = [first, *dict.fromkeys(name for row in rows for name in row.times if name != first)]
    lines = [
        f"**{title}**",
        "",
        f"| {' | '.join((*head, *names))} |",
        f"|{' --- |' * len(head)}{' ---: |' * len(names)}",
    ]
    for row in rows:
        middle = f"{1000 * statistics.median(row.base):.2f} ms"
        others = [str(row.ratio(name)) if name in row.times else "" for name in names[1:]]
        lines.append(f"| {' | '.join((*row.cells, middle, *others))} |")
    said = []
    for name in names[1:]:
        found = [row.ratio(name).middle for row in rows if name in row.times]
        said.append(f"{name} {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
    least, most = (choose(len(row.base) for row in rows) for choose in (min, max))
    count = f"{least} to {most} rounds" if least < most else f"{most} rounds"
    lines += ["", f"Ratios to the first, with quartiles; {count}. The median of a column, and its least and greatest: "]
    return "\n".join(lines) + "; ".join(said) + "."
