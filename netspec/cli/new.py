"""netspec new block"""

from __future__ import annotations

from pathlib import Path

import click

from netspec.cli.output import out, say
from netspec.cli.output_file import OutputFile
from netspec.diagnostics.errors import UsageError
from netspec.expressions.identifiers import Kind, why_not
from netspec.files.atomic import write_text
from netspec.files.kinds import SPEC_SUFFIXES, check_suffix
from netspec.ops import lookup

TEMPLATE = """\
netspec: 1
name: {name}
use: [blocks/common]
blocks:
  {name}:
    doc: What it is, and the figure of the paper that shows it
    params: {{width: int, stride: 1}}
    examples: [{{input: [64, 56, 56], args: {{width: 64}}}}]
    body:
      - add:
          residual:
            - conv_bn_relu: {{out: =width, kernel: 3, stride: =stride}}
            - conv_bn: [=width, 3]
          shortcut:
            - conv_bn: {{out: =width, kernel: 1, stride: =stride}}
              when: stride != 1 or in.channels != width
      - relu
"""


@click.group("new", epilog="\b\nExample:\n  netspec new block ghost\n  netspec draw ghost.yaml:ghost -o ghost.svg")
def command() -> None:
    """Write the beginning of a spec."""


@command.command("block", epilog="\b\nExample:\n  netspec new block ghost")
@click.argument("name")
@click.option("-o", "output", type=OutputFile(), help="Where to write; NAME.yaml by default, - is stdout.")
def block(name: str, output: str | None) -> int:
    """Write a library with one block to start from, NAME.yaml."""
    if why := why_not(name, Kind.BLOCK):
        raise UsageError(f"'{name[:60]}' cannot be the name of a block: {why}")
    if lookup(name) is not None:
        raise UsageError(f"'{name}' cannot be the name of a block: an op has it")
    check_suffix(output, "a spec", *SPEC_SUFFIXES)
    if output == "-":
        out(TEMPLATE.format(name=name))
        return 0
    path = Path(output or f"{name}.yaml")
    if path.exists():
        raise UsageError(f"{path} is there already", "choose another name with -o")
    write_text(path, TEMPLATE.format(name=name))
    say(f"{path}: check it with `netspec check {path}`, see it with `netspec draw {path}:{name} -o {name}.svg`")
    return 0
