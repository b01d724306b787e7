"""A small spec, for commands that are called in its folder; and which commands take a spec."""

from __future__ import annotations

import os

import click

from netspec.cli.main import cli

TAKES = {
    "compile": ["SPEC", "--to", "json", "-o", "-"],
    "draw": ["SPEC", "-f", "dot", "-o", "-"],
    "explain": ["SPEC", "relu"],
    "run": ["SPEC", "--repeat", "1"],
    "tune": ["SPEC", "--target", "onnxruntime", "--seconds", "0", "-o", os.devnull],
    "bench": ["SPEC", "--target", "onnx", "--repeat", "1", "--warmup", "1"],
    "verify": ["SPEC", "torch", "torch", "--outputs-only"],
    "compare": ["SPEC", "SPEC"],
    "plot": ["macs", "SPEC", "SPEC", "-o", "-"],
}
"""How a command is called that prints nothing, or too much, for a SPEC alone."""


def spec_commands() -> dict[str, list[str]]:
    """A line for each command that takes a spec, those of tomorrow too."""
    group = click.Context(cli)
    found = {name: cli.get_command(group, name) for name in cli.list_commands(group)}
    reads = [
        name for name, command in found.items() if command and {"spec", "specs"} & {p.name for p in command.params}
    ]
    return {name: [name, *TAKES.get(name, ["SPEC"])] for name in reads}


TINY = """\
netspec: 1
name: tiny
params: {classes: 10}
variants: {tiny: {}, wide: {classes: 20}}
input: [3, 32, 32]
body:
  - conv: [8, 3]
  - relu
  - global_avg_pool
  - flatten
  - linear: =classes
"""
