"""The command line as a user meets it: results, streams, exit codes; never a traceback, never part of a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from cli_harness import TINY

import netspec.cli.main
from netspec.backend import Backend, Options, Written
from netspec.cli.main import COMMANDS, run
from netspec.ir.graph import Graph
from netspec.syntax.library import specs_root


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own, with tiny.yaml in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


class Said:
    """What a command line gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def netspec_(capsys: pytest.CaptureFixture[str]):
    def call(*args: str) -> Said:
        code = run(list(args))
        said = capsys.readouterr()
        assert "Traceback" not in said.err and "a bug of netspec" not in said.err, said.err
        return Said(code, said.out, said.err)

    return call


def test_help_of_every_command_has_an_example(netspec_) -> None:
    assert "netspec compile googlenet --to onnx" in netspec_("--help").out
    for name in COMMANDS:
        said = netspec_(name, "--help")
        assert said.code == 0 and f"netspec {name}" in said.out.split("Example", 1)[1]


@pytest.mark.parametrize(
    ("args", "code", "piece"),
    [
        (["chek"], 2, "did you mean 'check'?"),
        (["check"], 2, "SPEC"),
        (["check", "none.yaml"], 2, "there is no file none.yaml"),
        (["check", "tinny.yaml"], 2, "did you mean 'tiny.yaml'?"),
        (["check", ""], 2, "there is no spec ''"),
        (["check", "a" * 5000], 2, "File name too long"),
        (["check", "empty"], 2, "no YAML file"),
        (["check", os.devnull], 2, "is not a file"),
        (["summary", "./empty"], 2, "is a folder"),
        (["summary", "resnet5"], 2, "did you mean 'resnet50'?"),
        (["summary", "resnet", "--variant", "resnet5"], 2, "did you mean 'resnet50'?"),
        (["summary", "resnet50", "--variant", "resnet18"], 2, "a variant already"),
        (["summary", "tiny.yaml", "-s", "clases=3"], 2, "did you mean 'classes'?"),
        (["summary", "tiny.yaml", "-s", "classes=x"], 2, "integer"),
        (["summary", "tiny.yaml", "-s", "classes"], 2, "-s classes=VALUE"),
        (["summary", "tiny.yaml", "--input", "3x"], 2, "3x224x224"),
        (["summary", "tiny.yaml", "--depth", "0"], 2, "--depth"),
        (["summary", "tiny.yaml", "--input", "3x2x2"], 1, "NS401"),
        (["summary", "tiny.yaml", "--input", "64"], 2, "--input 3x64x64"),
        (["compare", "tiny.yaml", "--input", "3x64"], 2, "--input 3x64x64"),
        (["summary", "blocks/se:se", "--input", "16"], 2, "--input 256x16x16"),
        (["summary", "tiny.yaml", "--input", "64x48"], 2, "--input 3x64x48"),
        (["check", "tiny.yaml", "--facts", "-f", "csv", "-o", "a.json"], 2, "or write -f json"),
        (["summary", "tiny.yaml", "-f", "csv", "-o", "a.json"], 2, "or write -f json"),
        (["compare", "tiny.yaml", "-f", "csv", "-o", "a.html"], 2, "or write -f html"),
        (["compile", "tiny.yaml", "--to", "torch", "-o", "a.json"], 2, "or write --to json"),
        (["summary", "tiny.yaml", "--columns", "parameters"], 2, "did you mean 'params'?"),
        (["compare", "tiny.yaml", "--columns", "flops"], 2, "did you mean 'macs'?"),
        (["table", "tiny.yaml", "--rows", "layers", "--columns", "step,stride"], 2, "did you mean 's'?"),
        (["summary", "tiny.yaml", "-o", "a.docx"], 2, "known: txt, md, csv, json, tex, html"),
        (["summary", "tiny.yaml", "--max-nodes", "3"], 1, "NS404"),
        (["compile", "tiny.yaml"], 2, "--to"),
        (["compile", "tiny.yaml", "--to", "onx"], 2, "did you mean 'onnx'?"),
        (["draw", "tiny.yaml", "-o", "empty"], 2, "is a folder"),
        (["compile", "tiny.yaml", "--to", "onnx", "-o", "no/t.onnx"], 2, "cannot be written"),
        (["compile", "tiny.yaml", "--to", "onnx", "-o", "-"], 2, "name one with -o"),
        (["compile", "tiny.yaml", "--to", "onnx", "--opset", "3"], 2, "opset"),
        (["compile", "tiny.yaml", "--to", "onnx", "--seed", "-1"], 2, "--seed"),
        (["compile", "tiny.yaml", "--to", "onnx", "--weights", "none.npz"], 2, "none.npz"),
        (["compile", "tiny.yaml", "--to", "onnx", "--weights", "tiny.yaml"], 2, ".safetensors"),
        (["draw", "tiny.yaml", "-o", "t.gif"], 2, "known: svg, png, pdf"),
        (["draw", "tiny.yaml", "-o", "-", "-f", "png"], 2, "not a text"),
        (["draw", "tiny.yaml:nothing"], 2, "nothing"),
        (["explain", "NS999"], 2, "NS999"),
        (["explain", "tiny.yaml", "conw"], 2, "did you mean 'conv'?"),
        (["new", "block", "conv relu"], 2, "conv relu"),
        (["run", "none.onnx"], 2, "there is no file none.onnx"),
        (["run", "tiny.yaml", "--backend", "onx"], 2, "did you mean 'onnx'?"),
        (["run", "tiny.yaml", "--batch", "0"], 2, "--batch"),
        (["run", "fake.onnx"], 1, "NS703"),
        (["check", "resnet50", "--variant", "resnet18"], 2, "a variant already"),
        (["check", "blocks.yaml:widden"], 2, "did you mean 'widen'?"),
        (["summary", "blocks.yaml:widen", "--variant", "x"], 2, "is a block"),
        (["summary", "blocks.yaml:widen", "--input", "3x8x8", "-s", "out=x"], 2, "integer"),
        (["draw", "blocks.yaml"], 2, "blocks.yaml:widen"),
    ],
)
@pytest.mark.quick(20)
def test_bad_command_lines(netspec_, folder: Path, args: list[str], code: int, piece: str) -> None:
    (folder / "empty").mkdir()
    (folder / "fake.onnx").write_text(TINY)
    (folder / "blocks.yaml").write_text(
        "netspec: 1\nname: blocks\nblocks:\n  widen: {params: {out: int}, body: [conv: [=out, 1]]}\n"
    )
    before = sorted(folder.rglob("*"))
    said = netspec_(*args)
    assert (said.code, said.out) == (code, "")
    assert piece in said.err
    assert sorted(folder.rglob("*")) == before


BAD = {"conv: [8, 3]": "convv: [8, 3]", "[8, 3]": "[8, 3, ", "- relu\n": "- relu: 3\n"}


@pytest.mark.parametrize("command", [["compile", "--to", "onnx"], ["compile", "--to", "json"], ["draw"], ["summary"]])
@pytest.mark.parametrize("old", BAD)
def test_finding_leaves_nothing_written(netspec_, folder: Path, command: list[str], old: str) -> None:
    (folder / "tiny.yaml").write_text(TINY.replace(old, BAD[old], 1))
    said = netspec_(command[0], "tiny.yaml", *command[1:])
    assert (said.code, said.out) == (1, "")
    assert "tiny.yaml:" in said.err and "error[NS" in said.err
    assert [p.name for p in folder.iterdir()] == ["tiny.yaml"]


def test_check(netspec_, folder: Path) -> None:
    said = netspec_("check", "tiny.yaml")
    assert (said.code, said.out, said.err) == (0, "", "ok: 1 file, 2 networks\n")
    assert netspec_("check", "tiny.yaml", "-q").err == ""
    assert netspec_("check", str(folder)).err == said.err
    assert netspec_("check", "tiny.yaml", "--variant", "wide").err == "ok: 1 file, 1 network\n"


def test_check_formats_and_strict(netspec_, folder: Path) -> None:
    (folder / "tiny.yaml").write_text(TINY.replace("{classes: 10}", "{classes: 10, unread: 1}"))
    said = netspec_("check", "tiny.yaml")
    assert said.code == 0 and "warning[NS209]" in said.err
    said = netspec_("check", "tiny.yaml", "--strict")
    assert said.code == 1 and "error[NS209]" in said.err
    said = netspec_("check", "tiny.yaml", "--strict", "--format", "json")
    assert said.code == 1 and json.loads(said.err)[0]["code"] == "NS209"
    assert netspec_("check", "tiny.yaml", "--format", "github").err.startswith("::warning file=tiny.yaml,line=3,col=")


def test_expectation_is_a_finding(netspec_, folder: Path) -> None:
    (folder / "tiny.yaml").write_text(TINY + "expect: {params: 313}\n")
    said = netspec_("check", "tiny.yaml")
    assert said.code == 1 and "tiny.yaml:12:18: error[NS501]" in said.err


def test_compile_to_onnx_and_run(netspec_, folder: Path) -> None:
    said = netspec_("compile", "tiny.yaml", "--to", "onnx")
    assert said.code == 0 and said.out == ""
    assert said.err.startswith("tiny: 314 parameters, 194,480 MACs -> tiny.onnx (")  # 8*28 + 90; 216*900 + 80
    np.save(folder / "x.npy", np.zeros((2, 3, 32, 32), np.float32))
    said = netspec_("run", "tiny.onnx", "--npy", "x.npy", "--repeat", "2")
    assert said.code == 0
    assert "output output: 2x10" in said.out and "(median of 2)" in said.out and "CPUExecutionProvider" in said.out
    np.save(folder / "zero.npy", np.zeros((0, 3, 32, 32), np.float32))
    np.save(folder / "small.npy", np.zeros((1, 3, 31, 32), np.float32))
    said = netspec_("run", "tiny.onnx", "--npy", "small.npy")
    assert said.code == 1 and "NS701" in said.err
    for args in (["tiny.onnx"], ["tiny.yaml"], ["tiny.yaml", "--backend", "torch"]):  # an empty batch has a result
        said = netspec_("run", *args, "--npy", "zero.npy")
        assert said.code == 0 and "output output: 0x10 float32\n  empty\n" in said.out
    assert netspec_("run", "tiny.onnx", "--npy", "inptu=x.npy").code == 2
    assert netspec_("run", "tiny.onnx", "--input", "3x16x16").code == 2


def test_image_is_normalised_as_for_imagenet(folder: Path) -> None:
    """A picture of the mean colour is zero everywhere; the centre is what is cut out."""
    image = pytest.importorskip("PIL.Image")
    from netspec.running.images import read_images
    from netspec.running.ports import Port

    mean = tuple(round(255 * m) for m in (0.485, 0.456, 0.406))
    picture = image.new("RGB", (300, 100), (255, 0, 0))
    picture.paste(mean, (75, 0, 225, 100))
    picture.save(folder / "i.png")
    port = Port("tensor(float)", ("N", 3, 32, 32))
    given = read_images([str(folder / "i.png")], "input", port, (1, 3, 32, 32), print)
    assert given.shape == (1, 3, 32, 32) and np.abs(given).max() < 0.01


def test_compile_to_json_on_stdout(netspec_) -> None:
    said = netspec_("compile", "tiny.yaml", "--to", "json", "-o", "-", "--variant", "wide")
    data = json.loads(said.out)
    assert [n["op"] for n in data["nodes"]] == ["input", "conv", "relu", "global_avg_pool", "flatten", "linear"]
    assert data["nodes"][-1]["shapes"] == [["N", 20]]


def test_summary_json_and_settings(netspec_) -> None:
    data = json.loads(netspec_("summary", "tiny.yaml", "-f", "json", "-s", "classes=100").out)
    assert data["totals"]["params"] == 224 + 900
    assert netspec_("summary", "tiny.yaml", "-f", "csv").out.startswith("path,op,shape,params,macs,source\n")
    assert "194,480" in netspec_("summary", "tiny.yaml").out


@pytest.mark.slow
def test_list(netspec_) -> None:
    rows = json.loads(netspec_("list", "specs", "-f", "json").out)
    by_name = {r["name"]: r for r in rows}
    usual = ["name", "title", "year", "depth", "params", "macs", "top1", "top5", "data", "input", "source"]
    assert list(rows[0]) == usual
    # torchvision's counts
    assert [by_name[n]["params"] for n in ("resnet50", "densenet121", "mobilenet_v2")] == [25557032, 7978856, 3504872]
    assert (by_name["resnet50"]["year"], by_name["resnet50"]["input"]) == (2015, "3x224x224")
    assert by_name["wide_resnet50_2"]["source"] and by_name["deformable_roi_pooling"]["input"] == "256x14x14 + 5"
    ops = {r["name"]: r for r in json.loads(netspec_("list", "ops", "-f", "json").out)}
    assert ops["conv"]["arguments"].split()[:4] == ["out", "kernel", "stride=1", "pad=0"]
    assert "inception" in netspec_("list", "blocks").out
    assert [r["name"] for r in json.loads(netspec_("list", "backends", "-f", "json").out)] == ["onnx", "torch"]


def test_explain(netspec_) -> None:
    assert netspec_("explain", "ns402").out.startswith("NS402: ")
    said = netspec_("explain", "googlenet", "3a.b5x5.conv_relu_2.conv")
    assert (
        "32 x 16 x 5 x 5 = 12,800 parameters" in said.out
        and "in inception, called at specs/googlenet.yaml:" in said.out
    )
    assert "163,696" in netspec_("explain", "googlenet", "3a").out


def test_new_block_is_valid_and_overwrites_nothing(netspec_, folder: Path) -> None:
    assert netspec_("new", "block", "ghost").code == 0
    said = netspec_("check", "ghost.yaml", "--strict")
    assert (said.code, said.err) == (0, "ok: 1 file, 0 networks\n")
    assert netspec_("new", "block", "ghost").code == 2


def test_new_network_is_valid_and_runs(netspec_, folder: Path) -> None:
    assert netspec_("new", "network", "mine").code == 0
    said = netspec_("check", "mine.yaml", "--strict")
    assert (said.code, said.err) == (0, "ok: 1 file, 1 network\n")
    assert "256x14x14" in netspec_("summary", "mine.yaml", "--depth", "1").out
    assert netspec_("run", "mine.yaml", "--input", "3x64x64").code == 0
    assert netspec_("new", "network", "mine").code == 2
    assert netspec_("new", "network", "no-name").code == 2
    assert netspec_("new", "network", "other", "-o", "-").out.startswith("netspec: 1\nname: other\n")


def test_schema_is_the_published_file(netspec_) -> None:
    assert netspec_("schema").out == (specs_root() / "netspec.schema.json").read_text("utf-8")


def test_missing_backend_library_is_3(monkeypatch: pytest.MonkeyPatch, netspec_) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    said = netspec_("draw", "tiny.yaml")
    assert said.code == 3 and "pip install" in said.err
    assert netspec.cli.main.run(["draw", "tiny.yaml", "-f", "dot", "-o", "t.dot", "-q"]) == 0


class Half(Backend[Options]):
    """What somebody else's backend may be: it can do some things only, or its library is not there."""

    name, suffix, summary, options = "half", ".x", "half of a backend", Options
    value, dist = "half:BACKEND", None

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def load(self) -> Half:
        if self.error is not None:
            raise self.error
        return self

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: Options) -> Written:
        return Written([])


@pytest.mark.parametrize(
    ("backend", "args", "piece"),
    [
        (Half(), ["run", "tiny.yaml", "--backend", "half"], "the backend 'half' cannot run networks"),
        (Half(AttributeError("no BACKEND")), ["run", "tiny.yaml", "--backend", "half"], "no BACKEND"),
        (Half(ModuleNotFoundError("x", name="tvm")), ["compile", "tiny.yaml", "--to", "half"], "needs tvm"),
    ],
)
def test_backend_that_cannot(monkeypatch: pytest.MonkeyPatch, netspec_, backend, args, piece) -> None:
    monkeypatch.setattr("netspec.plugins.backends", lambda: {"half": backend})
    said = netspec_(*args)
    assert said.code == 3 and piece in said.err
    assert "half" in netspec_("list", "backends").out


@pytest.mark.parametrize(
    "line, piece",
    [
        ("compile resnet18 --classes 10", "-s classes=10"),
        ("compile resnet18 --classes=10 --to onnx", "-s classes=10"),
        ("summary tiny.yaml --classes 10", "-s classes=10"),
        ("summary tiny.yaml -classes 10", "-s classes=10"),
        ("summary tiny.yaml classes=10", "-s classes=10"),
        ("draw --classes tiny.yaml", "-s classes="),
        ("run tiny.yaml --classes 10", "-s classes=10"),
        ("explain tiny.yaml --width 10", "No such option"),
        ("summary tiny.yaml --qqq 3", "params of the spec are set by -s: classes"),
        ("summary none.yaml --qqq 3", "-s qqq=3"),
    ],
)
def test_an_option_that_is_a_param_of_the_spec(netspec_, line: str, piece: str) -> None:
    said = netspec_(*line.split())
    assert (said.code, said.out) == (2, "") and piece in said.err


def test_an_option_that_is_nearly_right_is_no_param(netspec_) -> None:
    said = netspec_("summary", "tiny.yaml", "--strickt")
    assert "--strict" in said.err and "-s " not in said.err


@pytest.mark.slow
def test_columns_of_a_list(netspec_) -> None:
    """Networks by any measure; what is no column is an error that says which there are."""
    (row,) = json.loads(netspec_("list", "specs", "lenet5", "--columns", "depth,weights", "-f", "json").out)
    assert row == {"name": "lenet5", "depth": 5, "weights": 4 * 61706}  # LeCun et al. 1998, figure 2
    said = netspec_("list", "specs", "--columns", "dept")
    assert said.code == 2 and "did you mean 'depth'?" in said.err
    assert netspec_("list", "ops", "--columns", "arguments", "-f", "csv").out.startswith("name,arguments\n")
