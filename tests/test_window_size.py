"""How `explain` writes the size of a map, by the arithmetic of papers and lectures."""

from __future__ import annotations

import re

import pytest

import netspec
from netspec.cli.main import run
from netspec.reports.window_size import size_of_window


@pytest.mark.parametrize(
    "step, lines",
    [
        ("alexnet net.pool1", ["27 = floor((55 - 3) / 2) + 1"]),  # Krizhevsky et al. 2012, section 3.4
        ("resnet18 conv1.conv", ["112 = floor((224 + 3 + 3 - 7) / 2) + 1"]),  # He et al. 2015, Table 1
        ("lecture_net_400 net.pool1", ["49 = ceil((196 - 6) / 4) + 1"]),
        ("ssd300_vgg16 fc6.conv", ["19 = floor((19 + 6 + 6 - 13) / 1) + 1"]),  # a 3x3 with dilation 6 covers 13
        # Xu et al. 2014, Figure 6
        ("deconvolution deconvolve.rows", ["184 = floor((184 - 1) / 1) + 1", "64 = floor((184 - 121) / 1) + 1"]),
        ("espcn_x3 shuffle", []),
        ("cyclegan_generator net.u128.conv_transpose", []),
    ],
)
@pytest.mark.quick(3)
def test_a_size_is_written_as_arithmetic(step: str, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", *step.split()]) == 0
    said = capsys.readouterr().out
    assert [line.partition(": ")[2] for line in said.splitlines() if " / " in line and ") + 1" in line] == lines


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "nasnet_a_mobile", "efficientnet_b0", "deformable_resnet50"])
def test_every_window_has_its_arithmetic(name: str) -> None:
    graph = netspec.load(name).inference
    windows = [node for node in graph.nodes.values() if "kernel" in node.attrs]
    assert len(windows) > 10
    for node in windows:
        lines = size_of_window(graph, node)
        sizes = {int(re.findall(r": (\d+) = ", line)[0]) for line in lines}
        assert lines and sizes == set(node.shape[2:]), node.path
