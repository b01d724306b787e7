"""netspec new block, network, training"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click

from netspec.cli.output import out, say
from netspec.cli.output_file import OutputFile
from netspec.diagnostics.errors import UsageError
from netspec.expressions.identifiers import Kind, clipped, why_not
from netspec.files.atomic import write_text
from netspec.files.kinds import SPEC_SUFFIXES, check_suffix
from netspec.network import load
from netspec.ops import lookup

BLOCK = """\
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


NETWORK = """\
netspec: 1
name: {name}
title: What people call it
source: The paper with its year, and the table or figure that it is in
use: [blocks/common, blocks/residual]
params: {{classes: 1000, width: 64, layers: [2, 2, 2]}}
input: [3, 224, 224]
body:
  - stem = conv_bn_relu: {{out: =width, kernel: 7, stride: 2}}
  - pool1 = max_pool: {{kernel: 3, stride: 2, pad: 1}}
  - stage{{k}} = basic: {{width: =factor * width, stride: =stride if i == 0 else 1}}
    repeat: n                                # blocks of a stage, counted by i
    for:
      k, factor, stride, n:
        - [1, 1, 1, "=layers[0]"]
        - [2, 2, 2, "=layers[1]"]
        - [3, 4, 2, "=layers[2]"]
  - global_avg_pool
  - flatten
  - fc = linear: =classes
# What the paper says of it, which `netspec check` verifies.
expect:
  shapes: {{stage1: [64, 56, 56], stage3: [256, 14, 14]}}
"""


@click.group(
    "new",
    epilog="\b\nExamples:\n  netspec new network mynet\n  netspec new block ghost\n"
    "  netspec new training --spec resnet18",
)
def command() -> None:
    """Write the beginning of a spec, or a script that trains one."""


_output = click.option("-o", "output", type=OutputFile(), help="Where to write; NAME.yaml by default, - is stdout.")


@command.command("block", epilog="\b\nExample:\n  netspec new block ghost")
@click.argument("name")
@_output
def block(name: str, output: str | None) -> int:
    """Write a library with one block to start from, NAME.yaml."""
    if lookup(name) is not None:
        raise UsageError(f"'{name}' cannot be the name of a block: an op has it", f"another, such as my_{name}")
    return _write(name, Kind.BLOCK, BLOCK, output, f":{name}")


@command.command("network", epilog="\b\nExample:\n  netspec new network mynet\n  netspec summary mynet.yaml --depth 1")
@click.argument("name")
@_output
def network(name: str, output: str | None) -> int:
    """Write a small residual network to start from, NAME.yaml."""
    return _write(name, Kind.DOCUMENT, NETWORK, output, "")


@command.command("training", epilog="\b\nExample:\n  netspec new training --spec resnet18 -o train.py")
@click.option("--spec", default="resnet18", show_default=True, help="The network that it trains without `--spec`.")
@click.option("-o", "output", type=OutputFile(), help="Where to write; train.py by default, - is stdout.")
def training(spec: str, output: str | None) -> int:
    """Write a script of plain PyTorch that trains a network: a file to read, and to change."""
    _check_trained(spec)
    check_suffix(output, "a script", ".py")
    script = (files("netspec.cli") / "assets" / "train.py.txt").read_text(encoding="utf-8")
    text = script.replace('"resnet18"', json.dumps(spec), 1)
    how = "`python {0} --synthetic` tries it on generated images, `python {0} --help` says what it takes"
    return _place(text, output, "train.py", how)


def _check_trained(spec: str) -> None:
    """Raises UsageError, SpecError for what the script cannot train: it asks for the classes of one image."""
    graph = load(spec).inference
    names, other = [str(node.path) for node in graph.inputs], "name another network"
    if len(names) > 1:
        text = f"'{spec}' has the inputs {', '.join(map(clipped, names))}, and the script trains on one image each"
        raise UsageError(text, other)
    ranks = [len(node.shape) for node in graph.inputs], [len(graph.shape(o.ref)) for o in graph.outputs.values()]
    if ranks != ([4], [2]):
        raise UsageError(f"'{spec}' does not give the classes of one image, which the script trains", other)


def _write(name: str, kind: Kind, template: str, output: str | None, part: str) -> int:
    """Writes a spec of that name where there is none yet; raises UsageError."""
    if why := why_not(name, kind):
        what = "block" if kind is Kind.BLOCK else "network"
        raise UsageError(f"'{name[:60]}' cannot be the name of a {what}: {why}")
    check_suffix(output, "a spec", *SPEC_SUFFIXES)
    how = f"check it with `netspec check {{0}}`, see it with `netspec draw {{0}}{part} -o {name}.svg`"
    return _place(template.format(name=name), output, f"{name}.yaml", how)


def _place(text: str, output: str | None, usual: str, how: str) -> int:
    """Writes a text where there is no file yet, and says how it is used; raises UsageError."""
    if output == "-":
        out(text)
        return 0
    path = Path(output or usual)
    if path.exists():
        raise UsageError(f"{path} is there already", "choose another name with -o")
    write_text(path, text)
    say(f"{path}: {how.format(path)}")
    return 0
