"""Layouts without crossing arrows: where the order of the spec makes arrows cross, others are tried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, combinations, pairwise, permutations, product
from operator import mul

from netspec.diagnostics.errors import UsageError
from netspec.draw.formats.dot import Arrangement, to_dot
from netspec.draw.formats.graphviz import graphviz
from netspec.draw.model import Picture

MOST_BOXES, MOST_ARROWS, MOST_CROSSINGS, SEEDS = 60, 100, 12, 6
# Arrows that pass a row, on average, above which a layout takes minutes; and rows that arrows pass, above which it
# takes minutes even if it is rough (46,000 take some 15 seconds).
TANGLED, TOO_LONG = 60, 100_000
# The length of an arrow's head in inches.
HEAD = 6 / 72

Point = tuple[float, float]


def reduce_crossings(drawn: Picture) -> str:
    """The picture as DOT, laid out with as few crossings as were found; small pictures only, others stay as they are.

    Raises MissingError without Graphviz, UsageError where it would take minutes.
    """
    passed, rows = lengths(drawn)
    rough = passed > TANGLED * rows
    if rough and passed > TOO_LONG:
        raise UsageError(
            f"a layout of {len(drawn.arrows):,} arrows past so many boxes takes too long",
            "collapse more, with --depth or --collapse; or write it with -f dot",
        )
    return to_dot(drawn, Arrangement(rough=True) if rough else fewest_crossings(drawn))


def fewest_crossings(drawn: Picture) -> Arrangement:
    """The arrangement of a small picture with the fewest crossings that were found; raises MissingError."""
    best = Arrangement()
    boxes = list(drawn.root.boxes())
    # A tree cannot cross; of a page, every arrangement is laid out in some milliseconds.
    if len(drawn.arrows) < len(boxes) or len(boxes) > MOST_BOXES or len(drawn.arrows) > MOST_ARROWS:
        return best
    import networkx as nx

    planar, _ = nx.check_planarity(nx.Graph([(a.source, a.target) for a in drawn.arrows]))
    aim, fewest = 0 if planar else 1, crossings(to_dot(drawn))
    if fewest > MOST_CROSSINGS:
        return best
    turns = chain.from_iterable([box.path for box in boxes if box.ins] for _ in range(2))
    for path in turns:
        if fewest <= aim:
            break
        turned = replace(best, turned=best.turned ^ {path})
        if (count := crossings(to_dot(drawn, turned))) < fewest:
            best, fewest = turned, count
    for arrangement in _arrangements(drawn):
        if fewest <= aim:
            break
        if (count := crossings(to_dot(drawn, arrangement))) < fewest:
            best, fewest = arrangement, count
    return best


def lengths(drawn: Picture) -> tuple[int, int]:
    """How many rows all arrows pass, and how many rows there are."""
    rows = dict.fromkeys((box.path for box in drawn.root.boxes()), 0)
    for arrow in drawn.arrows:  # in the order of the graph, which is a topological one
        rows[arrow.target] = max(rows[arrow.target], rows[arrow.source] + 1)
    return sum(rows[a.target] - rows[a.source] for a in drawn.arrows), max(rows.values(), default=0)


def _arrangements(drawn: Picture) -> Iterator[Arrangement]:
    """Boxes in other orders, and inputs one above another: side by side, two that share two readers cross."""
    inputs = [box.path for box in drawn.root.boxes() if box.kind == "input"]
    readers = {path: next((a.target for a in drawn.arrows if a.source == path), path) for path in inputs}
    some = list(permutations(inputs[:3], 2))
    pairs = [(readers[upper], lower) for upper, lower in some if readers[upper] != readers[lower]]
    for seed, above in chain(product(range(SEEDS), [*pairs, None]), product(range(SEEDS), some)):
        yield Arrangement(seed, above)


def crossings(dot: str) -> int:
    """How many pairs of arrows cross in Graphviz's layout of DOT; raises MissingError without it."""
    lines = []
    # Graphviz breaks long texts, with a backslash at the end of the line.
    for row in graphviz(dot, "plain").decode().replace("\\\n", "").splitlines():
        words = row.split()
        if words[0] == "edge" and words[-2] != "invis":
            numbers = [float(word) for word in words[4 : 4 + 2 * int(words[3])]]
            lines.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return crossing_pairs(lines)


def crossing_pairs(curves: Iterable[list[Point]]) -> int:
    """How many pairs of chains of Bezier curves cross; the points are in inches."""
    return sum(_cross(a, b) for a, b in combinations(map(_flat, curves), 2))


def _flat(points: list[Point], steps: int = 6) -> list[Point]:
    """A chain of Bezier curves as a chain of straight lines."""
    found = [points[0]]
    for i in range(0, len(points) - 3, 3):
        a, b, c, d = points[i : i + 4]
        for t in (k / steps for k in range(1, steps + 1)):
            w = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3)
            found.append((sum(map(mul, w, (a[0], b[0], c[0], d[0]))), sum(map(mul, w, (a[1], b[1], c[1], d[1])))))
    # The curve ends where the arrow's head begins.
    (left, upper), (right, lower) = found[-2:]
    far = HEAD / (math.hypot(right - left, lower - upper) or 1)
    return [*found, (right + far * (right - left), lower + far * (lower - upper))]


def _cross(one: list[Point], two: list[Point]) -> bool:
    (left, low), (right, high) = (tuple(map(f, *one)) for f in (min, max))
    near = [
        (c, d)
        for c, d in pairwise(two)
        if max(c[0], d[0]) >= left and min(c[0], d[0]) <= right and max(c[1], d[1]) >= low and min(c[1], d[1]) <= high
    ]
    return any(_segments(a, b, c, d) for c, d in near for a, b in pairwise(one))


def _segments(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
