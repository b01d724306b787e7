"""netspec compare"""

from __future__ import annotations

from collections.abc import Sequence

import click

from netspec.analysis.measures import MEASURES
from netspec.cli.request import Request, requests_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import columns_option, form_of, table_options, write_table
from netspec.elaborate.compiled import Compiled
from netspec.reports.comparison import Compared, columns_of, comparison
from netspec.reports.table import Form


@click.command(
    "compare",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec compare vgg16 resnet50 mobilenet_v2\n"
    "  netspec compare resnet50 resnet50,input=3x160x160 resnet50,widen=2\n"
    "  netspec compare mobilenet_v1:full mobilenet_v1:separable --input 512x14x14 -s out=512\n"
    "  netspec compare blocks/residual:bottleneck,width=64 blocks/residual:bottleneck,width=128,out=256,groups=32",
)
@requests_options
@columns_option(f"These, or, as +NAMES, also these: {', '.join(MEASURES)}.")
@table_options()
def command(requests: tuple[Request, ...], columns: str | None, form: Form | None, output: str | None) -> int:
    """Print the cost of each SPEC, networks or blocks, and its ratio to that of the first.

    A SPEC may have settings of its own, as SPEC,width=128,groups=32; `input=3x160x160` is its size. A variant of a file
    is FILE.yaml:VARIANT. Blocks take what enters the first of them, unless --input gives another size.
    """
    chosen, kind = columns_of(columns), form_of(form, output)
    write_table(comparison(compared(requests), chosen, kind not in ("csv", "json")), kind, output)
    return 0


def compared(requests: Sequence[Request]) -> list[Compared]:
    """Each network or block as the options ask for it; raises SpecError, UsageError."""
    found: list[Compared] = []
    first: Compiled | None = None
    for request in requests:
        compiled = (request if first is None else request.beside(first)).compile()
        if first is None and compiled.is_block:
            first = compiled
        found.append(Compared(request.label, compiled.inference, compiled.graph))
    return found
