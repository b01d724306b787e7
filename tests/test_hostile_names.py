"""Names and file names that would be code, markup or control characters."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
from click.testing import CliRunner
from conftest import sampled
from hostile import HOSTILE, TERMINALS
from hostile_specs import FIFTH, HARMLESS, Tags, drawn, filled, load, quoted
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions

import netspec
from netspec.backend import get
from netspec.check.check_file import check_file
from netspec.cli.main import cli, run
from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError
from netspec.diagnostics.printer import Printer
from netspec.ir.json import to_json
from netspec.network import Network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load(HARMLESS, tmp_path_factory.mktemp("harmless"))


def drives(shown: str) -> bool:
    """Whether an output holds control characters, or what GitHub's log takes for a command: `::` or `##[`."""
    first = [line.lstrip() for line in shown.splitlines()]
    return bool(
        [c for c in shown if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
        or "##[" in shown
        or [line for line in first if line.startswith("::")]
    )


def test_terminals_are_not_driven(tmp_path: Path) -> None:
    for text in sampled([*FIFTH, *TERMINALS], 9):
        path = tmp_path / "net.yaml"
        path.write_text(filled(text), encoding="utf-8")
        for args in (
            ["check", str(path)],
            ["summary", str(path)],
            ["explain", str(path), "stem"],
            ["summary", str(path), "-s", "classes=x"],
        ):
            assert not drives(CliRunner().invoke(cli, args).output), (args, text)


@pytest.mark.parametrize("text", TERMINALS)
@pytest.mark.quick(5)
def test_no_name_drives_a_terminal(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names of files and options, and of inputs and outputs of a model, in results and in errors of every kind."""
    spec, model = tmp_path / f"{text.replace('/', '_')[:80]}.yaml", str(tmp_path / "m.onnx")
    spec.write_text("netspec: 1\ninput: [3, 8, 8]\nbody: [relu, nothing]\n", encoding="utf-8")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", [text], [f"y{text}"])
    ends = [value(text, 1, [text, 2])], [value(f"y{text}", 1, [text, 2])]
    graph = onnx.helper.make_graph([node], "g", *ends)
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), model)
    for args in (
        ["check", str(spec)],
        ["summary", str(spec)],
        ["check", f"-{text}"],
        [text],
        ["explain", text],
        ["run", model],
        ["run", model, "--input", "none=1x2"],
        ["run", model, "--input", "2x3"],
        ["run", model, "-b", "2", "--input", f"{text}=3x2"],
        ["run", model, "--npy", f"{text}={spec}"],
        ["run", model, "--image", str(spec)],
        ["run", model, "--labels", str(spec)],
    ):
        run(args)
        told = capfd.readouterr()
        assert told.out + told.err and not drives(told.out + told.err), args
    Printer("github").print([Diagnostic("NS101", text, hint=text)])
    assert not re.search(r"[^\n -~\u00a0-\U0010ffff]", capfd.readouterr().err)


NAMES = {
    "step": 'body: [{{"a{{w}} = relu": }}]',
    "branch": 'body: [{{add: {{"a{{w}}": [relu], b: []}}}}]',
    "loop": 'body: [{{"a{{v}} = relu": , for: {{v: [{0}]}}}}]',
    "each": 'body: [{{"a{{v}} = relu": , each: {{v: [b, {0}]}}}}, {{add: , from: [ab]}}]',
    "block": 'body: [{{b: {0}}}]\nblocks: {{b: {{params: {{v: str}}, body: [{{"a{{v}} = relu": }}]}}}}',
    "output": 'body: [a = relu]\noutputs: ["a{{w}}"]',
    "from": 'body: [a = relu, {{relu: , from: "a{{w}}"}}]',
    "share": 'body: [a = relu, {{relu: , share: "a{{w}}"}}]',
}


@pytest.mark.parametrize("position", NAMES)
def test_a_computed_name_is_refused(position: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    for text in sampled(HOSTILE, len(HOSTILE) // 3):
        if re.fullmatch(r"\w{1,199}", text, re.ASCII):
            continue
        spec = f"netspec: 1\nname: net\nlet: {{{{w: {{0}}}}}}\ninput: [3, 8, 8]\n{NAMES[position]}\n"
        path.write_text(spec.format(quoted(text)), encoding="utf-8")
        reporter = Reporter()
        assert not check_file(path, reporter), text
        assert reporter.failed
        with pytest.raises(SpecError):
            netspec.load(path)


@pytest.mark.parametrize(
    "name",
    [
        "f",
        "nn",
        "torch",
        "ordered_dict",
        "drop_path_",
        "layer_norm2d",
        "module",
        "self",
        "super",
        "range",
        "x0",
        "bilinear",
        "exception",
        "x",
        "in_channels",
    ],
)
def test_no_name_of_a_spec_hides_what_the_source_uses(name: str, tmp_path: Path) -> None:
    """A document, a block, a parameter, a step and an output that are called as something that the source needs."""
    import torch

    given = name if name != "x" else "x_"
    path = tmp_path / "net.yaml"
    path.write_text(f"""
netspec: 1
name: {given}
input: [3, 8, 8]
blocks:
  {given}:
    params: {{{given}: int, k: 1}}
    body: [{{conv: {{out: ={given}, kernel: =k, pad: half}}}}, layer_norm, drop_path: 0.5, relu6]
body:
  - one = {given}: 4
  - {given}_2 = {given}: [5, 3]
  - three = {given}: [6, 5]
  - {given} = max_pool: [1, 1]
  - 3a = conv: [2, 1]
outputs: {{{given}: 3a, more: three}}
""")
    result = netspec.load(path).to_torch()(torch.zeros(1, 3, 8, 8))
    assert {key: tuple(value.shape) for key, value in result.items()} == {given: (1, 2, 8, 8), "more": (1, 6, 8, 8)}


def test_no_parameter_hides_a_class(tmp_path: Path) -> None:
    """A block's parameter that is called as the class of the block inside."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\ninput: [3, 8, 8]\nblocks:\n"
        "  inner: {params: {out: int}, body: [conv: [=out, 1], relu]}\n"
        "  outer: {params: {Inner: int}, body: [inner: =Inner, conv: [3, 1]]}\n"
        "body: [a = outer: 4, b = outer: 5]\n"
    )
    assert "self.inner = Inner2(Inner)" in get("torch").source(netspec.load(path).graph)
    assert netspec.load(path).to_torch() is not None


def test_a_file_name_that_is_no_text(harmless: Network, tmp_path: Path) -> None:
    """A name that no encoding knows, with what every format would take for its own, is written into all of them."""
    path = tmp_path / os.fsdecode(b"a\xff\"\\ <b>'${x}\x1b[31m\n.yaml")
    path.write_text(filled(HARMLESS), encoding="utf-8")
    network = netspec.load(path)
    ast.parse(get("torch").source(network.graph))
    onnx.checker.check_model(build_model(network.inference, network.arrays(), OnnxOptions()))
    json.loads(to_json(network.graph))
    ElementTree.fromstring(drawn(network, "svg"))
    assert Tags(drawn(network, "html")).tags == Tags(drawn(harmless, "html")).tags
    done = CliRunner().invoke(cli, ["check", str(path), str(tmp_path / "none.yaml")])
    assert "\x1b" not in done.output
