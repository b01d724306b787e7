"""Another input than the spec's own gives a linear layer other weights: a note says so, and what keeps them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import netspec
from netspec.cli.main import cli

SPEC = """\
netspec: 1
name: small
input: [3, 16, 16]
variants:
  small: {}
  wide: {}
  small_dense: {of: small, passes: [fc_to_conv], input: [3, 24, 24]}
body:
  - c = conv: [4, 3, 2, 1]
  - p = max_pool: [2, 2]
  - flatten
  - fc1 = linear: 8
  - relu
  - fc2 = linear: 5
"""


def notes(spec: str | Path, variant: str | None = None, **options: object) -> list[tuple[str, str]]:
    """Messages and helps of the notes on inputs."""
    found = netspec.load(spec, variant, **options).warnings
    assert all(d.severity == "note" for d in found if d.code == "NS406")
    return [(d.message, d.help) for d in found if d.code == "NS406"]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_step_and_the_variant_that_keeps_its_weights_are_named(spec: Path) -> None:
    ((message, help_),) = notes(spec, input=[3, 32, 32])
    assert message == (
        "'fc1' has 256 input features at 3x32x32, 64 at the spec's own 3x16x16: its weights change with the input"
    )
    assert help_ == "the variant `small_dense` keeps them (by the pass `fc_to_conv`)"
    plain, dense = netspec.load(spec).graph, netspec.load(spec, "small_dense", input=[3, 32, 32]).graph
    assert dense.nodes["fc1"].result.weights["weight"] == (8, 4, 4, 4)
    assert plain.nodes["fc1"].result.weights["weight"] == (8, 64)


def test_without_such_a_variant_the_pass_is_named(spec: Path) -> None:
    ((_, help_),) = notes(spec, "wide", input=[3, 32, 32])
    assert help_ == "a variant with `of: wide, passes: [fc_to_conv]` keeps them"


def test_a_smaller_input_than_the_dense_form_takes(spec: Path) -> None:
    ((_, help_),) = notes(spec, input=[3, 12, 12])
    assert help_ == "the variant `small_dense` keeps them, for inputs of 3x16x16 or more"


@pytest.mark.parametrize(
    "variant, size",
    [
        ("small", [3, 16, 16]),
        ("small", [3, 17, 17]),
        ("small", [1, 16, 16]),
        ("small_dense", [3, 40, 40]),
        ("small", None),
    ],
)
def test_where_no_weights_of_a_linear_change_there_is_no_note(spec: Path, variant: str, size: list[int] | None) -> None:
    assert not notes(spec, variant, input=size)


@pytest.mark.parametrize(
    "name, size, step, help_",
    [
        ("vgg_d", [3, 256, 256], "fc6", "vgg_d_dense"),
        ("alexnet", [3, 224, 224], "fc6", "fc_to_conv"),
        ("resnet18", [3, 256, 256], "", ""),
        ("googlenet", [3, 224, 224], "", ""),
        ("googlenet", [3, 288, 288], "aux", ""),
    ],
)
def test_shipped_networks(name: str, size: list[int], step: str, help_: str) -> None:
    found = notes(name, input=size)
    assert bool(found) == bool(step)
    for message, help_text in found:
        assert step in message and help_ in help_text
        assert ("in training alone" in message) == (name == "googlenet")


def test_a_param_that_changes_the_input_says_so_too(tmp_path: Path) -> None:
    path = tmp_path / "sized.yaml"
    path.write_text(
        "netspec: 1\nname: sized\nparams: {size: 8}\ninput: [3, =size, =size]\n"
        "body: [conv: [2, 3, 1, 1], flatten, fc = linear: 5]\n",
        encoding="utf-8",
    )
    ((message, _),) = notes(path, size=10)
    assert message.startswith("'fc' has 200 input features at 3x10x10, 128 at the spec's own 3x8x8")
    assert not notes(path, size=8)


WITH_INPUT = [
    name
    for name in cli.list_commands(click.Context(cli))
    for command in [cli.get_command(click.Context(cli), name)]
    if command is not None
    and any("--input" in p.opts and {"variant", "variants"} & {q.name for q in command.params} for p in command.params)
]


def test_these_commands_take_an_input() -> None:
    assert {"summary", "compile", "run", "draw"} <= set(WITH_INPUT)


@pytest.mark.parametrize("strict", [[], ["--strict"]])
@pytest.mark.parametrize("name", WITH_INPUT)
@pytest.mark.quick(6)
def test_every_command_that_takes_an_input_says_it(name: str, strict: list[str], spec: Path, tmp_path: Path) -> None:
    more = {
        "compile": ["--to", "onnx", "-o", str(tmp_path / "x.onnx")],
        "draw": ["-o", str(tmp_path / "x.mmd")],
        "explain": ["fc1"],
        "tune": ["--target", "onnxruntime", "--seconds", "1", "-o", str(tmp_path / "x.json")],
    }.get(name, [])
    result = CliRunner().invoke(cli, [name, str(spec), *more, "--input", "3x32x32", *strict], standalone_mode=False)
    assert result.exception is None, (result.exception, result.output)
    assert "note[NS406]: 'fc1' has 256 input features" in result.stderr
    assert "small_dense" in result.stderr
