"""netspec draw"""

from __future__ import annotations

import click

from netspec.cli.options import Choice
from netspec.cli.output import say
from netspec.cli.output_file import OutputFile, suffix_of, write_result
from netspec.cli.request import Request, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.draw import View, beside, difference, draw
from netspec.draw.formats.graphviz import shrunk
from netspec.draw.formats.mermaid import too_large
from netspec.draw.formats.render import FORMATS, SUFFIXES, TEXTS, render
from netspec.draw.model import SHOWN
from netspec.draw.numbers import HEATS, heat_of
from netspec.files.atomic import write_bytes
from netspec.files.kinds import check_suffix


class Shown(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """names,shapes"""

    name = "WHAT,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        """The things to show; fails for an unknown one."""
        asked = [part.strip() for part in str(value).split(",") if part.strip()]
        for part in asked:
            if part not in SHOWN:
                self.fail(f"there is no '{part}' to show. {did_you_mean(part, SHOWN)}", param, ctx)
        if not asked:
            self.fail(f"name any of {', '.join(SHOWN)}", param, ctx)
        return frozenset(asked)


@click.command(
    "draw",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec draw googlenet -o googlenet.svg\n"
    "  netspec draw specs/blocks/inception.yaml:inception --input 192x28x28 -o inception.png\n"
    "  netspec draw resnet50 --collapse layer1 --expand layer4.0 --show names,shapes,params\n"
    "  netspec draw nasnet_a_large -o nasnet.html\n"
    "  netspec draw resnet50 --heat macs -f mermaid -o -\n"
    "  netspec draw --diff resnet50 resnext50_32x4d -o diff.svg\n"
    "  netspec draw --diff blocks/mbconv:mbconv blocks/mbconv:fused_mbconv -s t=4 --input 24x56x56 -o mbconv.svg\n"
    "  netspec draw vgg19 --beside plain34 --beside resnet34 --inference -o figure3.svg",
)
@spec_options
@click.option("-o", "output", type=OutputFile(), help="Where to draw; NAME.svg here by default; - is stdout.")
@click.option("-f", "--format", "kind", type=Choice(FORMATS), help="By the suffix of -o, or svg.")
@click.option(
    "-d", "--depth", type=click.IntRange(1), help="Expand scopes down to here; by default as deep as fits a page."
)
@click.option("--collapse", multiple=True, metavar="NAME", help="Keep a block or scope collapsed; layer* is a pattern.")
@click.option(
    "--expand", multiple=True, metavar="NAME", help="Expand a block or scope, by its name or title, wherever it lies."
)
@click.option("--unfold", is_flag=True, help="Every node and every repeat for itself.")
@click.option("--direct", is_flag=True, help="Concatenations as arrows from what they join to what reads them.")
@click.option(
    "--show",
    type=Shown(),
    multiple=True,
    callback=lambda ctx, param, values: frozenset().union(*values),
    default=["names,shapes"],
    show_default=True,
    help=f"Any of {', '.join(SHOWN)}.",
)
@click.option(
    "--heat",
    metavar="|".join([*HEATS, "FILE"]),
    help="Colour by a number, or by those of a .json or .csv file: of a step or scope by its path, as `bench --times` "
    "writes them.",
)
@click.option(
    "--diff",
    "other",
    metavar="OTHER",
    help="OTHER as shipped, and SPEC next to it: added, removed, changed; two blocks at the input of SPEC.",
)
@click.option(
    "--beside",
    "others",
    multiple=True,
    metavar="OTHER",
    help="OTHER as shipped, to the right of SPEC; a block beside a block at its input.",
)
@click.option("--inference", is_flag=True, help="Without auxiliary heads and dropout.")
def command(
    request: Request,
    output: str | None,
    kind: str | None,
    depth: int | None,
    collapse: tuple[str, ...],
    expand: tuple[str, ...],
    unfold: bool,
    direct: bool,
    show: frozenset[str],
    heat: str | None,
    other: str | None,
    others: tuple[str, ...],
    inference: bool,
) -> int:
    """Draw SPEC, or a block or variant as FILE.yaml:NAME: blocks as boxes, shapes on the arrows, repeats folded."""
    suffix = suffix_of(output) if output != "-" else ""
    if not kind and suffix and suffix not in SUFFIXES:
        raise UsageError(f"{output}: the suffix '.{suffix}' is not a format", f"known: {', '.join(SUFFIXES)}")
    if kind and SUFFIXES.get(suffix, kind) != kind:
        raise UsageError(f"{output} is to be {kind}, but its suffix says {SUFFIXES[suffix]}", "leave -f out")
    kind = kind or SUFFIXES.get(suffix, "svg")
    check_suffix(output, kind, *(f".{s}" for s, of in SUFFIXES.items() if of == kind))
    if output == "-" and kind not in TEXTS:
        raise UsageError(f"{kind} is not a text for stdout", "name a file with -o")
    if other is not None and heat:
        raise UsageError("--diff colours what changed, --heat what costs most", "ask for one of them")
    if others and (other is not None or heat):
        raise UsageError(
            f"--beside draws networks as they are, without {'--heat' if heat else '--diff'}", "ask for one"
        )
    by, numbers = heat_of(heat) if heat is not None else (None, None)
    view = View(depth, collapse, expand, show, by, unfold, direct, numbers)
    compiled = request.compile()
    graph, name = compiled.inference if inference else compiled.shown, compiled.name
    if request.settings and "" not in graph.scopes:  # a block alone says all its arguments
        said = ", ".join(f"{key}={value}" for key, value in request.settings.items())
        graph.title = f"{graph.title or graph.name} ({said})"
    if others:
        columns = [request.other(spec, compiled).compile() for spec in others]
        data = render(beside([graph, *(c.inference if inference else c.shown for c in columns)], view), kind)
        name = "-".join([name, *(c.name for c in columns)])
    elif other is None:
        data = draw(graph, kind, view)
    else:
        before = request.other(other, compiled).compile()
        data = render(difference(before.inference if inference else before.shown, graph, view), kind)
        name = f"{before.name}-{name}"
    why = too_large(data.decode()) if kind == "mermaid" else shrunk(data) if kind == "png" else ""
    if why and not request.quiet:
        say(f"note: {why}; draw it less deep, or as svg or html")
    if output == "-":
        write_result(data.decode(), None)
        return 0
    path = write_bytes(output or f"{name}.{kind}", data)
    if not request.quiet:
        say(f"{name} -> {path}")
    return 0
