"""Which passes make a network faster where it runs: each is tried, everywhere and by places, and kept if it pays."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np

from netspec.elaborate.compiled import Compiled
from netspec.ir.module import Module
from netspec.passes import CHOSEN, of_level
from netspec.passes.places import Place, changed, places, scopes_of
from netspec.running.differences import TOLERANCES, difference
from netspec.running.ports import Value
from netspec.running.ways import Prepared

ROUNDS = (5, 60)
"""The fewest and the most rounds of a trial; in each round every network runs."""
SLICE = 0.03
"""The seconds that a network runs for in a round."""
RUNS = (1, 20)
"""The fewest and the most runs of a network in a round, of which the fastest counts."""
WHOLE = 0.6
"""The share of the time that is for passes everywhere."""
PART = 0.2
"""The share of the time that is left which a trial of some places may take."""
LOOK = 0.1
"""The share of the time that is left in which the places of a pass are told apart; else they are tried as one."""
LAST = 0.15
"""The share of the time that is for the last comparison, of all that is kept."""

OVER = "the time is over"
"""Why a change was not tried."""

Prepare = Callable[[Sequence[str]], Prepared]
"""Makes the network ready to run after passes, as `--pass` takes them."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The latency of a network by that of another, over rounds in which both ran."""

    value: float
    """The median over the rounds."""
    noise: float
    """How far the same figure strays from 1 where both are the same network: see `compared`."""
    rounds: int

    @property
    def faster(self) -> bool:
        """Whether it is faster beyond the noise."""
        return self.value + self.noise < 1

    @property
    def may_gain(self) -> bool:
        """Whether it is faster by 1% or more, but within the noise."""
        return self.value <= 0.99 and not self.faster

    @property
    def slower(self) -> bool:
        """Whether it is slower beyond the noise."""
        return self.value - self.noise > 1


@dataclass(frozen=True, slots=True)
class Change:
    """What is tried: a pass at some of its places, which is added there, or left out."""

    name: str
    at: Sequence[Place]
    adds: bool = True
    everywhere: bool = False

    @property
    def halves(self) -> list[Change]:
        """The same at the first and at the second half of its places, no more everywhere; none of one place."""
        middle = len(self.at) // 2
        parts = [self.at[:middle], self.at[middle:]] if middle else []
        return [replace(self, at=part, everywhere=False) for part in parts]


@dataclass(frozen=True, slots=True)
class Trial:
    """A change that was tried."""

    change: Change
    ratio: Ratio | None
    kept: bool
    why: str


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found."""

    chosen: Mapping[str, Sequence[Place]]
    """The places of each pass that is kept; one empty place is everywhere."""
    trials: Sequence[Trial]
    whole: Ratio | None
    """Of the network with all that is kept by the one without; None where nothing is kept."""
    needs: float = 0.0
    """The seconds in which every pass would be tried and told from the noise, about; 0 where this was so."""

    @property
    def decided(self) -> bool:
        """Whether a pass was tried, or there was none to try."""
        return not self.trials or any(trial.why != OVER for trial in self.trials)

    @property
    def undecided(self) -> list[str]:
        """The passes that were not tried everywhere, or may gain something within the noise."""
        whole = [trial for trial in self.trials if trial.change.everywhere]
        found = [t.change.name for t in whole if t.why == OVER or (t.ratio is not None and t.ratio.may_gain)]
        return [*found, "all together"] if self.whole is not None and self.whole.may_gain else found


Clock = Callable[[Prepared, Mapping[str, Value], int], float]
"""Gives the milliseconds of the fastest of so many runs of a network."""


def elapsed(one: Prepared, inputs: Mapping[str, Value], runs: int) -> float:
    """As a user waits for it."""
    return min(one.time(inputs, 0, runs))


def worked(one: Prepared, inputs: Mapping[str, Value], runs: int) -> float:
    """As this thread works for it: of a network on one thread that is the same, but for what other programs do."""
    times = []
    for _ in range(runs):
        start = time.thread_time()
        one.run(inputs)
        times.append(1000 * (time.thread_time() - start))
    return min(times)


def compared(
    three: tuple[Prepared, Prepared, Prepared], inputs: Mapping[str, Value], until: float, clock: Clock = elapsed
) -> Ratio:
    """The ratio of the third to the first, of which the second is a copy; ends when it is clear, or about `until`.

    In each round the three run one after the other, in another order, so that what else the machine does meets all of
    them. The noise is the larger of the median of the copy by the first, as it strays from 1, and the half-width of the
    95% interval of a median of so many rounds: 1.96 * 1.2533 * s / sqrt(n), with s = 1.4826 times the median absolute
    deviation of the ratios of the rounds, the larger of both.
    """
    slowest = max(clock(one, inputs, 2) for one in three) or 1.0
    runs = min(RUNS[1], max(RUNS[0], round(1000 * SLICE / slowest)))
    same, ratios = list[float](), list[float]()
    found = Ratio(1.0, 1.0, 0)
    for i in range(ROUNDS[1]):
        order = [(i + j) % 3 for j in range(3)][:: -1 if i % 2 else 1]
        times = {j: clock(three[j], inputs, runs) for j in order}
        same.append(times[1] / times[0])
        ratios.append(2 * times[2] / (times[0] + times[1]))
        found = _ratio(ratios, same)
        if i + 1 >= ROUNDS[0] and (time.monotonic() > until or _clear(found, i + 1)):
            break
    return found


def _clear(found: Ratio, rounds: int) -> bool:
    """Whether more rounds would hardly change what is found: three times beyond the noise, or it is below 0.5%."""
    if rounds < 2 * ROUNDS[0]:
        return False
    return abs(found.value - 1) > 3 * found.noise or found.noise < 0.005


def _ratio(ratios: Sequence[float], same: Sequence[float]) -> Ratio:
    spread = max(map(_spread, (ratios, same)))
    noise = max(abs(statistics.median(same) - 1), 1.96 * 1.2533 * spread / sqrt(len(ratios)))
    return Ratio(statistics.median(ratios), noise, len(ratios))


def _spread(values: Sequence[float]) -> float:
    """The standard deviation by the median absolute deviation, which single slow rounds do not move."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - middle) for value in values)


@dataclass
class Search:
    """Tries passes on top of what is kept already: each everywhere, and then by halves of its places."""

    network: Compiled
    prepare: Prepare
    inputs: Mapping[str, Value]
    seconds: float
    say: Callable[[str], None]
    only: Collection[str] = ()
    """The passes that are tried; empty for all."""
    clock: Clock = elapsed
    order: Sequence[str] = ()
    """Passes that are tried before the others, so that there is time for them: those of which most is expected."""
    chosen: dict[str, list[Place]] = field(default_factory=dict)
    """The places of each pass that is kept; one empty place is everywhere, wherever other passes leave it something."""
    found: dict[str, list[Place]] = field(default_factory=dict)
    """The places of each pass, as they were when they were looked for."""
    trials: list[Trial] = field(default_factory=list)

    def run(self) -> Tuned:
        """Tries all; no trial is made of a network in which no pass changes anything."""
        self.begun = time.monotonic()
        last = self.begun + self.seconds
        self.end = last - LAST * self.seconds
        self.exact = [p.name for p in of_level(1)]
        exact = self.network.after(self.exact).module
        names = [name for name in CHOSEN if name in (self.only or CHOSEN) and CHOSEN[name](exact) is not exact]
        if not names:
            return Tuned({}, [], None)
        names.sort(key=[*self.order, *names].index)
        start, copy = (self.prepare(self.exact) for _ in range(2))
        self.again, self.base, self.outputs = start, copy, start.run(self.inputs)
        self.ready = time.monotonic() - self.begun
        needs = self._all(names)
        if not self.chosen:
            return Tuned({}, self.trials, None, needs)
        self.say("all that is kept")
        whole = compared((start, copy, self.base), self.inputs, last, self.clock)
        if whole.may_gain:
            needs = max(needs, self._until_told(whole))
        return Tuned(self._lasting(exact) if whole.faster else {}, self.trials, whole, needs)

    def _lasting(self, module: Module) -> dict[str, Sequence[Place]]:
        """What is kept, without the places at which passes that were kept later leave nothing to change."""
        found: dict[str, Sequence[Place]] = {}
        for p in (CHOSEN[name] for name in CHOSEN if name in self.chosen):
            paths = [path for place in self.chosen[p.name] for path in place]
            after = (p.at(paths) if paths else p)(module)
            reached = scopes_of(changed(module.graph, after.graph))
            if after is not module and p(module).graph.nodes == after.graph.nodes:
                found[p.name] = [()]
            elif left := [place for place in self.chosen[p.name] if place and reached.issuperset(place)]:
                found[p.name] = left
            module = after
        return found

    def _all(self, names: Sequence[str]) -> float:
        """Each pass everywhere, in turn; then halves of places, which are added, or left out of what is kept.

        A half that makes the network faster is done with; one that does not is tried in halves again. Gives what
        `Tuned` says that all would need.
        """
        whole: list[Change] = []
        for i, name in enumerate(names):
            if self._look(name):
                whole.append(Change(name, self.found[name], everywhere=True))
                self.tried(whole[-1], WHOLE / (len(names) - i))
        needs = self._needs(names)
        queue: list[Change] = []
        for change in whole:  # what was kept later and runs before it may have given it other places
            if self._look(change.name):
                queue += replace(change, at=self.found[change.name], adds=change.name not in self.chosen).halves
        while queue and time.monotonic() < self.end:
            change = queue.pop(0)
            if not self.tried(change, PART):
                queue += change.halves
        return needs

    def _look(self, name: str) -> list[Place]:
        """Where a pass changes what those that are kept and run before it leave, by steps and scopes of the network."""
        order, now = [*CHOSEN], time.monotonic()
        before = {p: self.chosen[p] for p in order[: order.index(name)] if p in self.chosen}
        module = self.network.after([*self.exact, *texts_of(before)]).module
        found = places(CHOSEN[name], module, now + LOOK * (self.end - now))
        own = scopes_of(self.network.graph.nodes)
        lifted = [tuple(dict.fromkeys(_nearest(path, own) for path in place)) for place in found]
        self.found[name] = [()] if any("" in place for place in lifted) else list(dict.fromkeys(lifted))
        return self.found[name]

    def _needs(self, names: Sequence[str]) -> float:
        """The seconds in which all of these would be tried everywhere, and be told from the noise; 0 where they are."""
        made = [trial for trial in self.trials if trial.why != OVER]
        each = (time.monotonic() - self.begun - self.ready) / len(made) if made else self.ready
        all_tried = (self.ready + each * len(names)) / (1 - LAST) if len(made) < len(names) else 0.0
        may_gain = [trial.ratio for trial in made if trial.ratio is not None and trial.ratio.may_gain]
        return max(all_tried, *map(self._until_told, may_gain), 0.0)

    def _until_told(self, ratio: Ratio) -> float:
        """The seconds in which a gain would be told from the noise, which falls with the root of the rounds."""
        return self.seconds * (ratio.noise / (1 - ratio.value)) ** 2

    def tried(self, change: Change, share: float) -> bool:
        """Tries a change for a share of the time that is left, and keeps it if it pays; gives whether."""
        left = self.end - time.monotonic()
        if left <= 0:
            self.trials.append(Trial(change, None, False, OVER))
            return False
        before, name = dict(self.chosen), change.name
        self._choose(change)
        self.say(f"{name}, {len(change.at)} place{'s' * (len(change.at) != 1)}")
        other = self.prepare([*self.exact, *self.texts()])
        differs = largest_difference(self.outputs, other.run(self.inputs))
        ratio = None
        if differs <= TOLERANCES["float32"]:
            ratio = compared((self.base, self.again, other), self.inputs, time.monotonic() + share * left, self.clock)
            why = "faster" if ratio.faster else "slower" if ratio.slower else "within the noise"
        else:
            why = f"the outputs differ by {differs:.1e}"
        kept = ratio is not None and ratio.faster
        if kept:
            self.base, self.again = other, self.prepare([*self.exact, *self.texts()])
        else:
            self.chosen = before
        self.trials.append(Trial(change, ratio, kept, why))
        return kept

    def _choose(self, change: Change) -> None:
        """Keeps the places of a change, or no more those that it leaves out."""
        name, tried = change.name, set(change.at)
        now = self.chosen.pop(name, [])
        places = [place for place in (self.found[name] if now == [()] else now) if place not in tried]
        if change.everywhere:
            self.chosen[name] = [()]
        elif change.adds or places:
            self.chosen[name] = [*places, *change.at] if change.adds else places

    def texts(self) -> list[str]:
        """What is kept, as `--pass` takes it."""
        return list(texts_of(self.chosen))


def _nearest(path: str, own: Collection[str]) -> str:
    """A path, or where a pass has made the step the innermost scope around it that the network has; else empty."""
    while path and path not in own:
        path = path.rpartition(".")[0]
    return path


def texts_of(chosen: Mapping[str, Sequence[Place]]) -> Iterator[str]:
    """Passes at their places as `--pass` takes them."""
    for name, found in chosen.items():
        for place in found:
            yield from [f"{name}@{path}" for path in place] or [name]


def largest_difference(a: Mapping[str, Value], b: Mapping[str, Value]) -> float:
    """The largest max|a - b| / max|a| of outputs by the same names."""
    return max((difference(np.asarray(value), np.asarray(b[name])).relative for name, value in a.items()), default=0.0)
