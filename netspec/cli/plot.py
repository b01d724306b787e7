"""netspec plot"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from netspec.analysis.measures import MEASURES, Measured, Number
from netspec.cli.options import Choice, error_option
from netspec.cli.output import printer, say
from netspec.cli.output_file import OutputFile, suffix_of, write_result
from netspec.cli.request import load
from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.elaborate.compiled import Compiled
from netspec.files.atomic import write_bytes
from netspec.reports.catalogue import Entry, entries
from netspec.reports.plot import FORMATS, METRICS, SCALES, Point, plot_bars, plot_pareto
from netspec.syntax.fact_places import TOPS
from netspec.syntax.results import DATA, Result, reported

KINDS = (*METRICS, "pareto")


@click.command(
    "plot",
    epilog="\b\nExamples:\n  netspec plot params alexnet vgg16 -o params.svg\n  netspec plot macs resnet50 --depth 2\n"
    "  netspec plot pareto -o pareto.png\n  netspec plot pareto resnet50 mobilenet_v2 efficientnet_b0\n"
    "  netspec plot pareto --x macs --y top1 -o accuracy.svg",
)
@click.argument("what", type=Choice(KINDS))
@click.argument("specs", nargs=-1, metavar="SPEC...")
@click.option("-o", "output", type=OutputFile(), help="Where to plot; WHAT.svg here by default, - is stdout (SVG).")
@click.option("-f", "--format", "kind", type=Choice(["svg", "png"]), help="By the suffix of -o, or svg.")
@click.option("-d", "--depth", type=click.IntRange(1), help="Bars for scopes down to here; by default for each step.")
@click.option("--x", type=Choice(list(SCALES)), help="Of pareto, what networks are by from left to right [params].")
@click.option("--y", type=Choice(list(SCALES)), help="And upwards [macs]; top1 and top5 are what papers report.")
@click.option("--data", help=f"What the accuracies of --x and --y are on [{DATA}].")
@error_option
@click.option("-q", "--quiet", is_flag=True, help="No summary line.")
def command(
    what: str,
    specs: tuple[str, ...],
    output: str | None,
    kind: str | None,
    depth: int | None,
    quiet: bool,
    **scales: str,
) -> int:
    """Plot a measure of each SPEC by stage, or networks as MACs against parameters (pareto).

    Without a SPEC, pareto shows the whole catalogue, or of it what has the accuracy that --y or --x asks for.
    """
    suffix = suffix_of(output) if output != "-" else ""
    if not kind and suffix and suffix not in FORMATS:
        raise UsageError(f"{output}: the suffix '.{suffix}' is not a format", f"known: {', '.join(FORMATS)}")
    if kind and suffix and suffix != kind:
        raise UsageError(f"{output} is to be {kind}, but its suffix says {suffix}", "leave -f out")
    kind = kind or suffix or "svg"
    if output == "-" and kind == "png":
        raise UsageError("png is not a text for stdout", "name a file with -o")
    if what == "pareto":
        if depth is not None:
            raise UsageError("--depth is for the bars of one network", "leave it out")
        data = _pareto(tuple(dict.fromkeys(specs)), kind, quiet, **scales)
    elif given := [name for name, value in scales.items() if value is not None]:
        raise UsageError(f"--{given[0]} is for pareto", "netspec plot pareto SPEC...")
    elif not specs:
        raise UsageError(f"plot {what} needs a SPEC", f"as in: netspec plot {what} resnet50")
    elif len(specs) > 6:
        raise UsageError(f"{len(specs)} networks do not fit in a row", "name 6 at most; pareto takes any number")
    else:
        data = plot_bars([_loaded(spec, quiet).inference for spec in specs], what, kind, depth)
    if output == "-":
        write_result(data.decode(), None)
        return 0
    path = write_bytes(output or f"{what}.{kind}", data)
    if not quiet:
        say(f"{what} -> {path}")
    return 0


def _loaded(spec: str, quiet: bool) -> Compiled:
    """A network; its warnings and notes are printed."""
    network = load(spec)
    if not quiet:
        printer().print(network.warnings)
    return network


def _pareto(specs: Sequence[str], kind: str, quiet: bool, x: str | None, y: str | None, data: str | None) -> bytes:
    """The picture of networks on two scales; raises UsageError for those that have no place on one."""
    by = x or "params", y or "macs"
    if data is not None and not set(by) & set(TOPS):
        raise UsageError("--data says what an accuracy is on", "as in: netspec plot pareto --y top1 --data CIFAR-10")
    points, labelled = _points(specs, by, data or DATA, quiet)
    return plot_pareto(points, kind, labelled, *by)


def _points(specs: Sequence[str], by: tuple[str, str], data: str, quiet: bool) -> tuple[list[Point], list[str]]:
    """The points to plot, and the names of those that are labelled."""
    points = []
    if not specs:
        rows = [row for row in entries() if not row.alias and row.macs and row.params]
        for row in rows:
            places = _places(by, {**row.measures, "params": row.params, "macs": row.macs}, row.results, data)
            if None not in places and all(places):
                points.append(Point(row.name, row.family, *(place or 0 for place in places)))
        if not points and set(by) & set(TOPS):
            known = sorted({result.data for row in rows for result in row.results})
            raise UsageError(f"nothing cites an accuracy on '{data[:40]}'", did_you_mean(data, known))
        firsts = {row.family: row.name for row in reversed(rows)}
        all_of = [point.name for point in points] if set(by) & set(TOPS) else []
        return points, all_of or [*firsts.values(), *_extremes(rows)]
    for spec in specs:
        network = _loaded(spec, quiet)
        whole = Measured(network.inference, trained=network.shown).whole
        measures = {name: MEASURES[name].of(whole) for name in by if name in MEASURES}
        places = _places(by, measures, network.document.results_for(network.variant), data)
        if None in places:
            if (name := by[places.index(None)]) in MEASURES:
                raise UsageError(f"{network.name} has no {MEASURES[name].title}", MEASURES[name].doc.splitlines()[-1])
            message = f"{network.name} cites no {by[places.index(None)]} on '{data[:40]}'"
            raise UsageError(message, "a spec states it under `results: {top1:, top5:, source:, data:}`")
        points.append(Point(network.name, network.document.name, *(place or 0 for place in places)))
    return points, [point.name for point in points]


def _places(
    by: tuple[str, str], measures: Mapping[str, Number], results: Sequence[Result], data: str
) -> tuple[float | None, ...]:
    """Where a network is on two scales; None where it has no such measure, or nothing is cited of it."""
    known = {**measures, **{top: reported(results, top, data) for top in TOPS}}
    return tuple(known[name] for name in by)


def _extremes(rows: Sequence[Entry]) -> list[str]:
    """The smallest and the largest of each family, for the ends of its line."""
    families: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        families.setdefault(row.family, []).append((row.params, row.name))
    return [name for members in families.values() for _, name in (min(members), max(members))]
