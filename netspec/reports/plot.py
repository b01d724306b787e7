"""Tables as pictures: cost by stage, and networks by their MACs and parameters; drawn by matplotlib."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from netspec.analysis.measures import MEASURES, Measure, Measured
from netspec.diagnostics.errors import UsageError
from netspec.draw.labels import short
from netspec.ir.graph import Graph
from netspec.ir.titles import in_words, titles
from netspec.optional import importing
from netspec.reports.summary import rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox


def _labelled(measure: Measure) -> str:
    """`memory (B, float32, one image)`, `depth (layers)`."""
    unit = "B, float32, one image" if measure.unit == "B" else measure.unit
    return f"{measure.title} ({unit})" if unit else measure.title


METRICS = {
    **{name: _labelled(measure) for name, measure in MEASURES.items()},
    "macs": "MACs (multiply-accumulates of one image)",
}
"""What bars may show, and what is written at their axis."""
FORMATS = ("svg", "png")
MOST = 40
"""Bars of one network that can still be read."""
BLUE, GREY = "#3b6ea5", "#5f6368"


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis on which networks are compared."""

    title: str
    logarithmic: bool = True


SCALES = {
    **{name: Scale(title) for name, title in METRICS.items()},
    "top1": Scale("top-1 accuracy in percent, as papers report it", logarithmic=False),
    "top5": Scale("top-5 accuracy in percent, as papers report it", logarithmic=False),
}
"""What networks may be compared by."""


@dataclass(frozen=True, slots=True)
class Point:
    """A network in a plane of two scales."""

    name: str
    family: str
    x: float
    y: float


def bars(graph: Graph, metric: str, depth: int | None = None) -> list[tuple[str, float]]:
    """The stages of a network that have any of a measure, in order, with their numbers.

    Without a depth they are the steps of the body; a depth with more than 40 of them is not taken by itself.
    """
    named = titles(graph)
    found = [(in_words(row.path, named), row.measure(metric) or 0) for row in rows(graph, depth or 1)]
    kept = [(path, value) for path, value in found if value]
    if depth is None and len(kept) > MOST:
        large = set(sorted(range(len(kept)), key=lambda place: (-kept[place][1], place))[:MOST])
        others = [value for place, (_, value) in enumerate(kept) if place not in large]
        rest = sum(others) if MEASURES[metric].adds_up else max(others)
        kept = [one for place, one in enumerate(kept) if place in large] + [("all others", rest)]
    return kept


def plot_bars(graphs: Sequence[Graph], metric: str, kind: str, depth: int | None = None) -> bytes:
    """Networks side by side, a bar for each stage, on one scale; raises MissingError without matplotlib."""
    figure = _figure()
    tables = [bars(graph, metric, depth) for graph in graphs]
    most = max((len(table) for table in tables), default=1)
    figure.set_size_inches(1.6 + 4.6 * len(graphs), 1.3 + 0.24 * max(most, 4))
    axes = figure.subplots(1, len(graphs), squeeze=False, sharex=True)[0]
    for axis, graph, table in zip(axes, graphs, tables, strict=True):
        places = range(len(table))
        axis.barh(places, [value for _, value in table], color=BLUE, height=0.7)
        axis.set_yticks(places, [_plain(path) for path, _ in table], fontsize=8)
        axis.invert_yaxis()
        axis.margins(y=0.02)
        unit = MEASURES[metric].unit or MEASURES[metric].title
        total = f"{short(MEASURES[metric].of(Measured(graph).whole) or 0)}{'' if unit == 'B' else ' '}{unit}"
        axis.set_title("\n".join(wrap(_plain(f"{graph.title or graph.name}: {total}"), 46)), fontsize=10)
        axis.xaxis.set_major_formatter(lambda value, _: short(value))
        _calm(axis)
        axis.bar_label(axis.containers[0], [short(value) for _, value in table], padding=2, fontsize=7, color=GREY)
        axis.margins(x=0.15)
        axis.set_xlabel(METRICS[metric], fontsize=9)
    return _saved(figure, kind, f"{METRICS[metric]} by stage")


def plot_pareto(points: Sequence[Point], kind: str, label: Sequence[str], x: str = "params", y: str = "macs") -> bytes:
    """Networks as points on two of SCALES, a line for each family.

    Raises UsageError for a network that is 0 on a logarithmic scale, MissingError without matplotlib.
    """
    across, up = SCALES[x], SCALES[y]
    if without := [p.name for p in points if (across.logarithmic and not p.x) or (up.logarithmic and not p.y)]:
        nothing = " or no ".join(MEASURES[name].title if name in MEASURES else name for name in (x, y))
        raise UsageError(
            f"{without[0]} has no {nothing}, and no place on logarithmic scales", "leave it out, or name other scales"
        )
    figure = _figure()
    figure.set_size_inches(11, 8)
    axis = figure.subplots()
    families: dict[str, list[Point]] = {}
    for point in points:
        families.setdefault(point.family, []).append(point)
    colors, markers = _colors(), "osD^vPX"
    for index, (family, members) in enumerate(families.items()):
        members = sorted(members, key=lambda p: (p.x, p.y))
        # A network for digits and one for photographs are of one family, but no line leads from one to the other.
        places = [(math.nan, math.nan) if p is None else (p.x, p.y) for p in _parted(members)]
        axis.plot(
            *zip(*places, strict=True),
            color=colors[index % len(colors)],
            marker=markers[index % len(markers)],
            markersize=5,
            linewidth=0.6,
            label=_plain(family),
        )
    for one, scale, set_scale in ((axis.xaxis, across, axis.set_xscale), (axis.yaxis, up, axis.set_yscale)):
        one.set_label_text(scale.title)
        if scale.logarithmic:
            set_scale("log")
            _ticks(one)
    _calm(axis)
    axis.grid(alpha=0.25, linewidth=0.5)
    if len(families) > 1:
        axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7, frameon=False, ncols=1)
    figure.tight_layout()
    _label(figure, axis, [p for p in points if p.name in label])
    title = "networks by MACs and parameters" if (x, y) == ("params", "macs") else f"networks by {x} and {y}"
    return _saved(figure, kind, title)


def _parted(members: Sequence[Point]) -> Iterator[Point | None]:
    """The members of a family, with a gap before one that is more than 20 times as far right as the one before."""
    for before, member in zip([members[0], *members], members, strict=False):
        if member.x > 20 * before.x:
            yield None
        yield member


def _label(figure: Figure, axis: Axes, points: Sequence[Point]) -> None:
    """Writes names next to points, each where it lies on nothing else; those without a place are left to the legend."""
    draw = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    room = axis.get_window_extent(draw)
    taken = [_around(axis.transData.transform((p.x, p.y)), 4) for p in points]
    for point in points:
        for dx, dy, align in (
            (7, -3, "left"),
            (-7, -3, "right"),
            (0, 6, "center"),
            (0, -13, "center"),
            (9, 9, "left"),
            (-9, 9, "right"),
            (9, -15, "left"),
            (-9, -15, "right"),
        ):
            text = axis.annotate(
                _plain(point.name),
                (point.x, point.y),
                (dx, dy),
                textcoords="offset points",
                fontsize=7,
                ha=align,
            )
            box = text.get_window_extent(draw)
            inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _around(place: Iterable[float], radius: float) -> Bbox:
    with importing("plotting", "matplotlib", "draw"):
        from matplotlib.transforms import Bbox

    x, y = place
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])


def _figure() -> Figure:
    with importing("plotting", "matplotlib", "draw"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(layout=None)
    FigureCanvasAgg(figure)
    return figure


def _colors() -> list[Sequence[float]]:
    with importing("plotting", "matplotlib", "draw"):
        from matplotlib import colormaps

    return [*colormaps["tab20"].colors]  # type: ignore[attr-defined]


def _calm(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def _ticks(axis: Axis) -> None:
    """Marks of a logarithmic axis as 10M; over less than two decades 2 and 5 are marked too."""
    with importing("plotting", "matplotlib", "draw"):
        from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: short(value))
    axis.set_minor_formatter(NullFormatter())


def _plain(text: str) -> str:
    """Text in which matplotlib sees no formula."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def _saved(figure: Figure, kind: str, title: str) -> bytes:
    """The figure as a file's bytes, the same each time: no date, and names that do not depend on the process."""
    with importing("plotting", "matplotlib", "draw"):
        from matplotlib import rc_context

    made = io.BytesIO()
    # Text stays text: it can be searched, and needs no font of this machine. A letter that matplotlib's own font lacks
    # is a box in a PNG, of which a line of Python's would say nothing that helps.
    with rc_context({"svg.hashsalt": "netspec", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        meta = {"Title": title, "Date": None} if kind == "svg" else {"Title": title}
        figure.savefig(made, format=kind, dpi=144, metadata=meta, bbox_inches="tight")
    return made.getvalue()
