"""What `explain` says of how weights begin, against the arrays that are drawn, and by the formulas of the papers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.reports.beginning import at_first
from netspec.weights.initialise import initialise

SPEC = """\
netspec: 1
name: begins
input: [8, 12, 12]
body:
  - he = conv: {out: 64, kernel: 5, pad: 2}
  - norm = batch_norm
  - act = prelu
  - xavier = conv: {out: 64, kernel: 5, pad: 2, groups: 4, init: {weight: xavier, bias: 0.5}}
  - normal = conv: {out: 64, kernel: 3, init: {weight: {normal: 0.02}, bias: ones}}
  - uniform = conv: {out: 64, kernel: 3, init: {weight: {uniform: 0.3}, bias: zeros}}
  - cut = conv: {out: 64, kernel: 3, init: {weight: {truncated_normal: 0.1}}}
  - up = conv_transpose: {out: 64, kernel: 4, stride: 2, bias: false}
  - flatten
  - fc = linear: {out: 50, init: {weight: xavier}}
"""


@pytest.fixture
def net(tmp_path: Path) -> netspec.Network:
    (tmp_path / "begins.yaml").write_text(SPEC, encoding="utf-8")
    return netspec.load(tmp_path / "begins.yaml")


def test_what_is_said_is_what_is_drawn(net: netspec.Network) -> None:
    graph, arrays = net.inference, initialise(net.inference, 0)
    checked = 0
    for node in graph.nodes.values():
        for part in re.split(r", (?=weight|bias)", at_first(node)) if node.result.weights else ():
            name, said = part.split(" ", 1)
            drawn = arrays[f"{node.path}.{name}"]
            number = float(re.findall(r"-?\d[\d.]*", said)[0])
            if "uniform" in said:
                assert np.abs(drawn).max() == pytest.approx(number, rel=0.02)
            elif "cut" in said:
                assert np.abs(drawn).max() == pytest.approx(2 * number, rel=0.02)
            elif "normal" in said:
                assert drawn.std() == pytest.approx(number, rel=0.03)
            else:
                assert np.unique(drawn).tolist() == [number]
            checked += 1
    assert checked == 16


def test_the_formulas_are_those_of_the_papers(net: netspec.Network) -> None:
    """He et al. 2015, Delving Deep, equation 10; Glorot and Bengio 2010, equation 16."""
    nodes = net.inference.nodes
    assert "sqrt(2 / 200)" in at_first(nodes["he"])
    assert "sqrt(6 / (400 + 1600))" in at_first(nodes["xavier"])
    assert "sqrt(2 / 256)" in at_first(nodes["up"])  # a pixel gets 16 / 4 cells of each of 64 maps
    # Krizhevsky et al. 2012, section 5: deviation 0.01; biases 1 in the second, fourth, fifth and the hidden layers
    alexnet = netspec.load("alexnet").inference.nodes
    assert {at_first(n) for n in alexnet.values() if n.result.weights} == {
        f"weight normal, deviation 0.01, bias {bias}" for bias in (0, 1)
    }
    ones = [path for path, n in alexnet.items() if n.result.weights and at_first(n).endswith("bias 1")]
    assert ones == ["net.conv2.conv", "net.conv4.conv", "net.conv5.conv", "fc6", "fc7"]
