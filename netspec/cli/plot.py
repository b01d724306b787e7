"""netspec plot"""

from __future__ import annotations

from collections.abc import Sequence

import click

from netspec.analysis.cost import totals
from netspec.cli.options import error_option
from netspec.cli.output import printer, say
from netspec.cli.output_file import OutputFile, suffix_of, write_result
from netspec.cli.request import load
from netspec.diagnostics.errors import UsageError
from netspec.elaborate.compiled import Compiled
from netspec.files.atomic import write_bytes
from netspec.reports.catalogue import Entry, entries
from netspec.reports.plot import FORMATS, Point, plot_bars, plot_pareto

KINDS = ("params", "macs", "memory", "pareto")


@click.command(
    "plot",
    epilog="\b\nExamples:\n  netspec plot params alexnet vgg16 -o params.svg\n  netspec plot macs resnet50 --depth 2\n"
    "  netspec plot pareto -o pareto.png\n  netspec plot pareto resnet50 mobilenet_v2 efficientnet_b0",
)
@click.argument("what", type=click.Choice(KINDS))
@click.argument("specs", nargs=-1, metavar="SPEC...")
@click.option("-o", "output", type=OutputFile(), help="Where to plot; WHAT.svg here by default, - is stdout (SVG).")
@click.option("-f", "--format", "kind", type=click.Choice(["svg", "png"]), help="By the suffix of -o, or svg.")
@click.option("-d", "--depth", type=click.IntRange(1), help="Bars for scopes down to here; by default for each step.")
@error_option
@click.option("-q", "--quiet", is_flag=True, help="No summary line.")
def command(
    what: str, specs: tuple[str, ...], output: str | None, kind: str | None, depth: int | None, quiet: bool
) -> int:
    """Plot parameters, MACs or memory of each SPEC by stage, or networks as MACs against parameters (pareto).

    Without a SPEC, pareto shows the whole catalogue.
    """
    suffix = suffix_of(output) if output != "-" else ""
    if not kind and suffix and suffix not in FORMATS:
        raise UsageError(f"{output}: the suffix '.{suffix}' is not a format", f"known: {', '.join(FORMATS)}")
    if kind and suffix and suffix != kind:
        raise UsageError(f"{output} is to be {kind}, but its suffix says {suffix}", "leave -f out")
    kind = kind or suffix or "svg"
    if output == "-" and kind == "png":
        raise UsageError("png is not a text: name a file with -o")
    if what == "pareto":
        if depth is not None:
            raise UsageError("--depth is for params, macs and memory")
        points, labelled = _points(tuple(dict.fromkeys(specs)), quiet)
        data = plot_pareto(points, kind, labelled)
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


def _points(specs: tuple[str, ...], quiet: bool) -> tuple[list[Point], list[str]]:
    """The points to plot, and the names of those that are labelled."""
    if not specs:
        rows = [row for row in entries() if not row.alias and row.macs and row.params]
        firsts = {row.family: row.name for row in reversed(rows)}
        return [Point(r.name, r.family, r.params, r.macs) for r in rows], [*firsts.values(), *_extremes(rows)]
    points = []
    for spec in specs:
        network = _loaded(spec, quiet)
        counts = totals(network.inference.nodes.values())
        points.append(Point(network.name, network.document.name, counts.params, counts.macs))
    return points, [point.name for point in points]


def _extremes(rows: Sequence[Entry]) -> list[str]:
    """The smallest and the largest of each family, for the ends of its line."""
    families: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        families.setdefault(row.family, []).append((row.params, row.name))
    return [name for members in families.values() for _, name in (min(members), max(members))]
