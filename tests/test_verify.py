"""`netspec verify`: targets of a spec agree, and a fault that is planted in a file is found at its line."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import planted
import pytest
from click.testing import CliRunner
from conftest import sampled
from docs_harness import run_page
from run_harness import Netspec

import netspec as api
from netspec.cli.main import run
from netspec.cli.verify import command
from netspec.ir.graph import Graph
from netspec.running.differences import TOLERANCES
from netspec.running.subjects import OfSpec
from netspec.weights.sample_inputs import contrasting

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import plant  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["-s", "aux=false", "--input", "3x64x64"]
"""GoogLeNet with maps of a size at which a comparison takes a second; its auxiliary heads need larger ones."""


@cache
def googlenet(variant: str) -> tuple[Graph, bytes]:
    """Its graph and its flat model with the weights of seed 3."""
    network = api.load("googlenet", variant, input=[3, 64, 64], aux=False)
    path = Path("googlenet.onnx")
    network.to_onnx(path, seed=3, functions="inline", level=0)
    return network.inference, path.read_bytes()


def verified(netspec: Netspec, variant: str, step: str, plant: planted.Plant) -> dict[str, Any]:
    """What `verify` says of a model with a fault at a step."""
    model = onnx.load_model_from_string(googlenet(variant)[1])
    plant(model, step)
    Path("planted.onnx").write_bytes(model.SerializeToString())
    code, out, err = netspec("verify", "googlenet", "planted.onnx", "--variant", variant, *SMALL, "-f", "json")
    assert code == 1, err
    row: dict[str, Any]
    (row,) = json.loads(out)
    assert row["result"] in ("differs", "differs inside")
    return row


def line_of(place: str) -> str:
    """The text of a line FILE:LINE of the shipped specs."""
    file, _, line = place.rpartition(":")
    path = ROOT / file if (ROOT / file).is_file() else Path(file)
    return path.read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()


FAULTS = [
    ("googlenet", "3b.b3x3.conv_relu_2.conv", planted.weight, "conv: {out:", "3b = module"),
    ("googlenet", "conv1.conv", planted.bias, "conv: {out:", "conv1 = unit"),
    ("googlenet", "4c.b5x5.conv_relu_2.conv", planted.shifted_pads, "conv: {out:", "4c = module"),
    ("googlenet", "norm1", planted.alpha, "norm1 = lrn: 5", ""),
    ("googlenet", "4e.concat", planted.swapped, "concat:", "4e = module"),
    ("googlenet", "5a.pool.max_pool", planted.shifted_pads, "max_pool: {kernel: 3, stride: 1, pad: 1}", "5a = module"),
    ("googlenet", "conv2.reduce.relu", planted.leaky, "relu", "reduce = unit: [64, 1]"),
    ("googlenet", "avgpool", planted.maximum, "avgpool = global_avg_pool", ""),
    ("googlenet", "fc", planted.weight, "fc = linear: =classes", ""),
    ("googlenet", "flatten", planted.scaled_after, "flatten", ""),
    ("googlenet_torchvision", "3a.b1x1.basic_conv.bn", planted.epsilon, "bn = batch_norm", "3a = module"),
]


@pytest.mark.parametrize(
    ("variant", "step", "plant", "line", "called"),
    sampled(FAULTS, 1, slow=5),
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.slow
def test_a_fault_of_each_kind_is_found_by_its_line(
    variant: str, step: str, plant: planted.Plant, line: str, called: str, netspec: Netspec, tmp_path: Path
) -> None:
    row = verified(netspec, variant, step, plant)
    assert row["step"] == step
    assert line_of(row["place"]).removeprefix("- ").startswith(line)
    assert called in " ".join(map(line_of, (row["called_at"] or row["place"]).split(", ")))
    assert row["step_relative"] > 10 * row["entering"]


STEPS = [path for path in api.load("googlenet", input=[3, 64, 64], aux=False).inference.nodes if path != "input"]


@pytest.mark.parametrize("step", sampled(STEPS, 1, lambda path: path.rpartition(".")[2], slow=1))
@pytest.mark.slow
def test_a_fault_in_any_step_is_found(step: str, netspec: Netspec) -> None:
    """The value of the step is a hundredth larger; all steps with --full-size."""
    assert verified(netspec, "googlenet", step, planted.scaled_after)["step"] == step


def test_a_fault_is_found_in_a_small_network(netspec: Netspec) -> None:
    text = (
        "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody:\n  - a = conv: [4, 3]\n  - b = lrn: 3\n  - c = conv: [2, 1]\n"
    )
    Path("two.yaml").write_text(text, encoding="utf-8")
    assert netspec("compile", "two.yaml", "--to", "onnx", "--seed", "5", "-q")[0] == 0
    code, out, _ = netspec("verify", "two.yaml", "two.onnx")
    assert code == 0 and "random, seed 5" in out and "same" in out
    model = onnx.load("two.onnx")
    planted.attribute(model, "b", "beta", lambda beta: 0.5)
    onnx.save(model, "two.onnx")
    code, out, _ = netspec("verify", "two.yaml", "two.onnx")
    assert code == 1 and "first differs at b (lrn), two.yaml:6" in out


@pytest.mark.slow
def test_targets_agree_and_every_form_is_one(netspec: Netspec) -> None:
    text = "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody: [conv: [4, 3], batch_norm: , relu: , max_pool: [2, 2]]\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    for b in (
        "onnx",
        "onnx:flat",
        "onnx:functions",
        "torch:channels_last",
        "torch:source",
        "onnx+O0",
        "onnx+O2",
        "onnx+O0+fold_batch_norm",
        "onnx+float16",
        "onnx+int8",
    ):
        code, out, _ = netspec("verify", "two.yaml", b, "-f", "json")
        (row,) = json.loads(out)
        assert (code, row["a"], row["b"], row["result"]) == (0, "torch", b, "same")
    assert netspec("verify", "two.yaml", "torch+float16", "onnx+float16")[0] == 0
    assert netspec("verify", "two.yaml", "torch+bfloat16")[0] == 0
    code, out, _ = netspec("verify", "two.yaml", "onnx+float16", "--tolerance", "1e-7")
    assert code == 1 and "differs" in out


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["tourch"], "did you mean 'torch'?"),
        (["onnx:flt"], "did you mean 'flat'?"),
        (["onnx+flot16"], "did you mean 'float16'?"),
        (["onnx+float16+float16"], "'float16' is given twice"),
        (["onnx+float16+bfloat16"], "float16 and bfloat16 are each a type"),
        (["onnx+O1+O2"], "O1 and O2 are each a level"),
        (["onnx+cuda+cpu"], "cuda and cpu are each a device"),
        (["onnx+"], "'onnx+' names nothing after a +"),
        (["onnx:"], "'onnx:' names no form after the colon"),
        (["onnx:+float16"], "known: flat, functions; or onnx alone"),
        (["absent.onnx"], "there is no file absent.onnx"),
        (["torch", "onnx", "json"], "two targets are compared, got 3"),
        (["torch", "--all"], "--all compares every target"),
        (["json"], "'json' runs no network"),
        (["json+O1"], "known: onnx, torch; or an .onnx file"),
    ],
)
def test_a_wrong_target_is_said(args: list[str], said: str, netspec: Netspec) -> None:
    code, out, err = netspec("verify", "squeezenet", *args)
    assert code in (2, 3) and said in err and not out


@pytest.mark.slow
def test_a_file_in_int8_has_a_tolerance_of_its_own(netspec: Netspec) -> None:
    text = "netspec: 1\nname: two\ninput: [3, 16, 16]\nbody: [conv: [8, 3], relu: , a = conv: [4, 1]]\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    images = contrasting({"input": ("N", 3, 16, 16)}, {}, 32, 5)
    np.savez("images.npz", **images)
    made = [
        "compile",
        "two.yaml",
        "--to",
        "onnx",
        "--dtype",
        "int8",
        "--calibrate",
        "images.npz",
        "-o",
        "two.onnx",
        "-q",
    ]
    assert netspec(*made)[0] == 0
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["result"], row["tolerance"]) == (0, "same", 0.1) and row["relative"] > 1e-3
    assert netspec("verify", "two.yaml", "two.onnx", "--seed", "1")[0] == 1


@pytest.mark.slow
def test_a_file_in_int8_is_judged_on_what_it_was_calibrated_with(netspec: Netspec) -> None:
    """Images a tenth as large: random inputs saturate, which is said; with the images noise is that of root squares."""
    text = "netspec: 1\nname: two\ninput: [3, 16, 16]\nbody: [conv: [8, 3], relu: , a = conv: [4, 1]]\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    images = {name: 0.1 * value for name, value in contrasting({"input": ("N", 3, 16, 16)}, {}, 5, 5).items()}
    np.savez("images.npz", **images)
    made = "compile two.yaml --to onnx --dtype int8 --calibrate images.npz -o two.onnx -q".split()
    assert netspec(*made)[0] == 0
    code, out, _ = netspec("verify", "two.yaml", "two.onnx")
    assert code == 1 and "two.onnx was calibrated: inputs beyond its ranges saturate" in out and "--calibrate" in out
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "json")
    assert json.loads(out)[0]["note"].startswith("two.onnx was calibrated: inputs beyond its ranges saturate")
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["note"].startswith("two.onnx was calibrated: inputs beyond its ranges saturate")
    given = ["verify", "two.yaml", "two.onnx", "--calibrate", "images.npz", "-b", "8"]
    code, out, _ = netspec(*given)
    assert code == 0 and "inputs: the first 5 of images.npz" in out and "saturate" not in out
    code, out, _ = netspec(*given, "-f", "json")
    (row,) = json.loads(out)
    assert "note" not in row or not row["note"]
    assert netspec("compile", "two.yaml", "--to", "onnx", "-o", "float.onnx", "-q")[0] == 0
    image = images["input"].astype(np.float32)
    x, q = (next(iter(api.Session(f).run(image).values())) for f in ("float.onnx", "two.onnx"))
    assert row["relative"] == pytest.approx(np.sqrt(((q - x) ** 2).sum() / (x**2).sum()), rel=0.02)
    for wrong in ("absent", "two.yaml"):
        code, _, err = netspec("verify", "two.yaml", "two.onnx", "--calibrate", wrong)
        assert code == 2 and wrong in err


@pytest.mark.slow
def test_where_agreement_says_little_programs_read_it_too(netspec: Netspec) -> None:
    """The softmax of one number is 1, whatever enters."""
    text = "netspec: 1\nname: two\ninput: [3, 4, 4]\nbody: [flatten: , a = linear: 1, b = softmax: ]\n"
    Path("two.yaml").write_text(f"{text}outputs: {{one: b, other: a}}\n", encoding="utf-8")
    code, out, _ = netspec("verify", "two.yaml", "-f", "json")
    one, other = json.loads(out)
    assert code == 0 and one["note"] == "one differs by 0% between two inputs: that they agree says little"
    assert not other.get("note")
    assert "torch against onnx: one differs by 0% between two inputs" in netspec("verify", "two.yaml")[1]


@pytest.mark.slow
def test_outputs_that_do_not_depend_on_the_fault_are_the_same(netspec: Netspec) -> None:
    """NaN in the bias of the last layer: the output before it is right."""
    text = (
        "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody:\n  - a = conv: [4, 3]\n  - b = relu\n"
        "  - flat = flatten\n  - fc = linear: 5\noutputs: {early: b, late: fc}\n"
    )
    Path("two.yaml").write_text(text, encoding="utf-8")
    assert netspec("compile", "two.yaml", "--to", "onnx", "-q")[0] == 0
    model = onnx.load("two.onnx")
    tensor = next(t for t in model.graph.initializer if t.name == "fc.bias")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(5, np.nan, np.float32), tensor.name))
    onnx.save(model, "two.onnx")
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "json")
    found = {row["output"]: (row["result"], row.get("step")) for row in json.loads(out)}
    assert code == 1 and found == {"early": ("same", None), "late": ("differs", "fc")}
    _, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "csv")
    assert [line.split(",")[2:4] for line in out.splitlines()[1:]] == [["early", "same"], ["late", "differs"]]


@pytest.mark.slow
def test_a_file_of_another_exporter_is_looked_into(netspec: Netspec) -> None:
    """PyTorch's exporter folds batch norms: values of convolutions differ, those after them agree up to the fault."""
    import torch

    network = api.load("googlenet", "googlenet_torchvision", input=[3, 64, 64], aux=False)
    shape = torch.zeros(1, 3, 64, 64)
    torch.onnx.export(
        network.to_torch(),
        (shape,),
        "exported.onnx",
        dynamo=False,
        dynamic_axes={"input": {0: "N"}},
        input_names=["input"],
    )
    arguments = ["verify", "googlenet", "exported.onnx", "--variant", "googlenet_torchvision", *SMALL, "-f", "json"]
    code, out, _ = netspec(*arguments)
    assert code == 0
    model = onnx.load("exported.onnx")
    node = next(n for n in model.graph.node if n.name == "/4c/concat/Concat" or n.name.startswith("/4c/Concat"))
    node.input[0], node.input[1] = node.input[1], node.input[0]
    onnx.save(model, "exported.onnx")
    code, out, _ = netspec(*arguments)
    assert code == 1 and json.loads(out)[0]["step"].startswith("4c")


@pytest.mark.slow
def test_a_file_without_names_of_steps_is_compared_by_its_outputs(netspec: Netspec) -> None:
    text = "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody:\n  - a = conv: [4, 3]\n  - b = relu\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    assert netspec("compile", "two.yaml", "--to", "onnx", "-q")[0] == 0
    model = onnx.load("two.onnx")
    model.producer_name = "another"
    for i, node in enumerate(model.graph.node):
        node.name = f"n{i}"
        for names in (node.input, node.output):
            names[:] = ["x" if name == "a" else name for name in names]
    onnx.save(model, "two.onnx")
    assert netspec("verify", "two.yaml", "two.onnx")[0] == 0
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "--seed", "1")
    assert code == 1 and "or at a step before it that has no value to compare: a" in out


PAGE = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_prints_what_it_says(netspec: Netspec) -> None:
    np.savez("images.npz", input=0.1 * contrasting({"input": ("N", 3, 16, 16)}, {}, 16, 5)["input"])
    assert run_page(PAGE, netspec) == 8


def test_the_page_and_the_help_say_the_tolerances() -> None:
    for dtype, tolerance in TOLERANCES.items():
        assert f"| {dtype} | {tolerance:g} |".replace("0.0001", "1e-4") in PAGE
    text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "1e-4 in float32, 0.02 in float16, 0.1 in bfloat16 and int8" in text


@pytest.mark.slow
def test_what_all_targets_are_compared_with_is_run_once(netspec: Netspec, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody:\n  - a = conv: [4, 3]\n  - b = batch_norm\n  - c = relu\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    asked: list[str] = []
    shown: list[str] = []
    outputs, values = OfSpec.outputs, OfSpec.values
    monkeypatch.setattr(OfSpec, "outputs", lambda self, x: asked.append(self.name) or outputs(self, x))
    monkeypatch.setattr(
        OfSpec, "values", lambda self, g, refs, x: shown.extend([self.name] * len(refs)) or values(self, g, refs, x)
    )
    code, out, err = netspec("verify", "two.yaml", "--all", "-f", "json")
    rows = json.loads(out)
    assert code == 0 and len(rows) > 8 and {row["a"] for row in rows} == {"torch"}, err
    assert asked.count("torch") == 1 and shown.count("torch") == 3


@pytest.mark.slow
def test_a_type_that_pytorch_lacks_is_exit_code_3(netspec: Netspec) -> None:
    """LRN has no kernel in half precision on the CPU: with --all it is a row that was not run."""
    text = "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody: [conv: [4, 3], lrn: 3]\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    code, _, err = netspec("verify", "two.yaml", "torch+float16")
    assert code == 3 and "not implemented for 'Half'" in err


@pytest.mark.parametrize("functions", ["inline", "keep"])
@pytest.mark.slow
def test_a_file_with_folded_steps_is_looked_into(functions: str, netspec: Netspec) -> None:
    """A convolution that a batch norm was folded into has the value of the norm, whose line is the one that is said."""
    api.load("resnet18", input=[3, 64, 64]).to_onnx("folded.onnx", functions=functions, level=1)
    code, out, _ = netspec("verify", "resnet18", "folded.onnx", "--input", "3x64x64", "-f", "json")
    assert code == 0 and json.loads(out)[0]["compared"] == 69 - 20  # of 20 convolutions that are now their norms
    model = onnx.load("folded.onnx")
    planted.weight(model, "layer2.1.residual.conv2.conv")
    onnx.save(model, "folded.onnx")
    code, out, _ = netspec("verify", "resnet18", "folded.onnx", "--input", "3x64x64", "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["step"]) == (1, "layer2.1.residual.conv2.bn")


@pytest.mark.slow
def test_the_command_that_plants_differences_names_each_step(folder: Path) -> None:
    """Each fault of its first steps, a convolution, a bias, an activation and a pool, is named."""
    found = list(itertools.islice(plant.trials("lenet5", 32, kinds=True), 6))
    assert [(trial.kind, trial.named) for trial in found] == [(trial.kind, trial.step) for trial in found]
    assert {"scaled_after", "weight", "bias"} <= {trial.kind for trial in found} <= planted.KINDS.keys()
    right, wrong = found[0], plant.Trial("weight", "c1", "s2")
    assert plant.table({"lenet5": [right, wrong]}).splitlines()[2:] == [
        "| lenet5 | its value times 1.01 | 1 | 1 |",
        "| lenet5 | the weights of one output | 1 | 0 |",
    ]


def test_the_page_says_of_every_step_of_googlenet_that_it_was_named() -> None:
    table = PAGE.partition("<!-- planted: begin -->")[2].partition("<!-- planted: end -->")[0]
    rows = re.findall(r"^\| (\w+) \| (.+) \| (\d+) \| (\d+) \|$", table, re.MULTILINE)
    assert {what for _, what, _, _ in rows} <= {*planted.KINDS.values()}
    assert ("googlenet", planted.KINDS["scaled_after"], str(len(STEPS)), str(len(STEPS))) in rows


@pytest.mark.slow
def test_what_is_odd_in_a_checkpoint_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = api.load("lenet5").arrays()
    arrays["c1.bias"][0] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays)
    run(["verify", "lenet5", "--weights", str(tmp_path / "nan.npz")])
    assert capsys.readouterr().err.count("NaN in c1.bias") == 1
