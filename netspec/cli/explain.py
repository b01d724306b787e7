"""netspec explain"""

from __future__ import annotations

import re
from pathlib import Path

import click

from netspec.cli.output import out
from netspec.cli.request import Request, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.diagnostics.codes import CODES
from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.reports.explain import explained
from netspec.reports.overview import of_library, of_network


@click.command(
    "explain",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec explain NS402\n  netspec explain resnet50\n"
    "  netspec explain googlenet 3a.b5x5.conv_relu_2.conv\n  netspec explain resnet50 conv3_x",
)
@spec_options
@click.argument("step", required=False)
def command(request: Request, step: str | None) -> int:
    """Explain an error code, SPEC as a whole, or one STEP of it.

    Of a network that is its paper, sizes, blocks, variants and facts; of a step, which may be named by its title, its
    op, shapes, arithmetic, line and facts.
    """
    spec = request.spec
    if step is None and re.fullmatch(r"(?i)ns\d+", spec):
        if spec.upper() not in CODES:
            known = f"known: {', '.join(CODES)}"
            raise UsageError(f"there is no code '{spec[:40]}'", did_you_mean(spec.upper(), CODES, known))
        code = CODES[spec.upper()]
        example = f"\n\nFor example:\n\n{_indent(code.example)}" if code.example else ""
        out(f"{spec.upper()}: {code.title}\n\n{code.text}{example}")
        return 0
    if step is not None and spec.upper() in CODES and not Path(spec).exists():
        raise UsageError(
            f"{spec.upper()} is a code, it has no step '{step[:80]}'",
            f"`netspec explain {spec.upper()}` says what the code means",
        )
    if step is None:
        out(explain_spec(request))
        return 0
    changed = request.settings or request.input_size is not None or request.passes or request.features
    out(explained(request.compile(), step, not changed, request.max_nodes))
    return 0


def explain_spec(request: Request) -> str:
    """What there is to say of a network, a block or a library; raises SpecError, UsageError."""
    found, document, reporter = request.read()
    if document.is_library and not found.block:
        reporter.check()
        return of_library(document)
    return of_network(request.compile(), request.spec)


def _indent(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
