"""Plots: bars that sum to the network's facts, points that are the catalogue's, the same bytes each time."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import netspec
from netspec.analysis.cost import activations
from netspec.cli.main import run
from netspec.reports.plot import bars

SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    """What an SVG says."""
    return ["".join(t.itertext()) for t in ET.parse(path).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("googlenet", 6_998_552, 1_582_671_872),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("nasnet_a_mobile", 5_289_978, 568_234_858),
    ],
)
@pytest.mark.quick(1)
def test_bars_sum_to_the_counts_of_the_targets(name: str, params: int, macs: int) -> None:
    graph = netspec.load(name).inference
    for depth in (None, 1, 2, 3):
        assert sum(value for _, value in bars(graph, "params", depth)) == params
        assert sum(value for _, value in bars(graph, "macs", depth)) == macs
        assert sum(value for _, value in bars(graph, "activations", depth)) == activations(graph.nodes.values())


def test_rows_of_the_papers_table() -> None:
    """GoogLeNet, Table 1: 3a 159K without biases, which are 368; conv1 gives 112 x 112 x 64 floats, and its ReLU."""
    graph = netspec.load("googlenet").inference
    assert dict(bars(graph, "params"))["3a"] == 163_328 + 368
    assert dict(bars(graph, "activations"))["conv1"] == 2 * 4 * 112 * 112 * 64
    assert dict(bars(graph, "memory"))["conv1"] == 4 * (2 * 112 * 112 * 64 + 3 * 224 * 224)
    assert dict(bars(graph, "depth"))["3a"] == 2


def test_many_steps_are_few_bars(tmp_path: Path) -> None:
    assert len(bars(netspec.load("mobilenet_v2").inference, "params", 9)) > 41
    assert all(len(bars(netspec.load(name).inference, "memory")) <= 41 for name in ("alexnet", "vgg19", "highway"))
    path = tmp_path / "t.yaml"
    steps = "".join(f"  - c{i} = conv: [8, 1]\n" for i in range(100))
    path.write_text(f"netspec: 1\nname: t\ninput: [8, 8, 8]\nbody:\n{steps}", encoding="utf-8")
    # Each has 8 x 8 weights and 8 biases.
    found = bars(netspec.load(path).graph, "params")
    assert found[:2] == [("c0", 72), ("c1", 72)] and found[40:] == [("all others", 60 * 72)]


@pytest.mark.slow
def test_what_is_plotted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "p.svg"
    assert run(["plot", "params", "alexnet", "vgg16", "-q", "-o", str(target)]) == 0
    said = texts(target)
    assert {"fc6", "fc8", "stage5", "AlexNet: 61M parameters", "103M", "37.8M"} <= set(said)
    first = target.read_bytes()
    assert run(["plot", "params", "alexnet", "vgg16", "-q", "-o", str(target)]) == 0
    assert target.read_bytes() == first
    assert run(["plot", "macs", "resnet50", "-q", "-o", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_networks_by_any_two_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "p.svg"
    assert run(["plot", "pareto", "lenet5", "resnet20_cifar", "--x", "depth", "--y", "memory", "-o", str(target)]) == 0
    assert {"lenet5", "resnet20_cifar", "depth (layers)", "memory (B, float32, one image)"} <= set(texts(target))
    # after global pooling every value sees the whole image: there is no number for it
    assert run(["plot", "pareto", "resnet18", "--x", "receptive_field", "-o", str(target)]) == 2
    assert "resnet18 has no receptive field" in capsys.readouterr().err


@pytest.mark.slow
def test_the_catalogue_as_points(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "p.svg"
    assert run(["plot", "pareto", "-q", "-o", str(target)]) == 0
    assert {"lenet5", "alexnet", "efficientnet", "fcn8s_vgg16", "parameters"} <= set(texts(target))
    assert run(["plot", "pareto", "vgg16", "mobilenet_v2", "-q", "-o", str(target)]) == 0
    assert {"vgg16", "mobilenet_v2"} <= set(texts(target)) and "alexnet" not in texts(target)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["plot", "params"], 2, "needs a SPEC"),
        (["plot", "flops", "alexnet"], 2, "flops"),
        (["plot", "params", "alexnet", "-o", "x.gif"], 2, ".gif"),
        (["plot", "params", "alexnet", "-f", "png", "-o", "-"], 2, "not a text"),
        (["plot", "params", "alexnet", "-f", "png", "-o", "x.svg"], 2, "suffix"),
        (["plot", "params", "alexnetz"], 2, "alexnet"),
        (["plot", "pareto", "alexnet", "--depth", "2"], 2, "--depth"),
    ],
)
def test_bad_command_lines(
    args: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(args) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run(["plot", "params", "lenet5", "-o", "-"]) == 3
    assert "netspec-compiler[draw]" in capsys.readouterr().err
