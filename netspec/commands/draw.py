"""netspec draw"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netspec.commands.common import Request, out, say, spec_options
from netspec.draw.render import FORMATS


@click.command(
    "draw",
    epilog="\b\nExamples:\n  netspec draw googlenet -o googlenet.svg\n"
    "  netspec draw specs/blocks/inception.yaml:inception --input 192x28x28 -o inception.png\n"
    "  netspec draw resnet50 --depth 2 -o resnet50.pdf",
)
@spec_options
@click.option("-o", "output", metavar="FILE", help="Where to draw; NAME.svg here by default, - is stdout (SVG, DOT).")
@click.option("-f", "--format", "kind", type=click.Choice(FORMATS), help="By the suffix of -o, or svg.")
@click.option(
    "-d", "--depth", type=click.IntRange(1), help="Open scopes down to here; by default as deep as fits a page."
)
@click.option("--inference", is_flag=True, help="Without auxiliary heads and dropout.")
def command(output: str | None, kind: str | None, depth: int | None, inference: bool, **options: Any) -> int:
    """Draw SPEC, or a block as FILE.yaml:BLOCK: blocks as boxes, shapes on the arrows."""
    from netspec.draw import draw
    from netspec.errors import UsageError
    from netspec.files import write_bytes

    suffix = Path(output).suffix[1:].lower() if output not in (None, "-") else ""
    if not kind and suffix and suffix not in FORMATS:
        raise UsageError(f"{output}: the suffix '.{suffix}' is no format", f"known: {', '.join(FORMATS)}")
    kind = kind or suffix or "svg"
    if output == "-" and kind in ("png", "pdf"):
        raise UsageError(f"{kind} is no text: name a file with -o")
    request = Request.of(options)
    network = request.network()
    data = draw(network.inference if inference else network.graph, kind, depth)
    if output == "-":
        out(data.decode())
        return 0
    path = write_bytes(output or f"{network.name}.{kind}", data)
    if not request.quiet:
        say(f"{network.name} -> {path}")
    return 0
