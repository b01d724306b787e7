"""fill_blocks: which values get channels of zeros, which are left alone, and what is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import sampled
from pass_harness import equal, spec

import netspec
from netspec.ir.module import Module
from netspec.passes import NAMED

FILL, WIDEN = NAMED["fill_blocks"], NAMED["widen_groups"]
SHUFFLENET = """\
input: [116, 6, 5]
body:
  - parts = split: {parts: [58, 58]}
  - a = conv: {out: 58, kernel: 1}
    from: parts.1
  - relu
  - d = conv: {out: 58, kernel: 3, pad: 1, groups: 58, bias: false}
  - b = conv: {out: 58, kernel: 1}
  - j = concat:
    from: [parts.0, b]
"""
REGNET = """\
input: [16, 6, 5]
body:
  - a = conv: [104, 1]
  - relu
  - g = conv: {out: 104, kernel: 3, pad: 1, groups: 13}
  - relu
  - m = mul:
      gate: [global_avg_pool, s = conv: [26, 1], relu, e = conv: [104, 1], sigmoid]
      id: []
  - c = conv: [40, 1]
"""
FILLED = {  # channels out and groups after, of the steps that change
    SHUFFLENET: {"a": (64, 1), "d": (64, 64), "b": (58, 1)},
    REGNET: {"a": (112, 1), "g": (112, 14), "m.gate.s": (32, 1), "m.gate.e": (112, 1), "c": (40, 1)},
    "input: [16, 6, 5]\nbody:\n  - a = conv: [50, 3]\n  - max_pool: [2, 2]\n  - gelu\n  - b = conv: [20, 1]\n": {
        "a": (64 if 64 <= 1.25 * 50 else 50, 1),
        "b": (20, 1),
    },
    "input: [16, 6, 5]\nbody:\n  - a = conv: [62, 3]\n  - max_pool: [2, 2]\n  - gelu\n  - b = conv: [20, 1]\n": {
        "a": (64, 1),
        "b": (20, 1),
    },
}
LEFT = {
    "a multiple of 4": "- a = conv: [60, 1]\n  - relu\n  - b = conv: [8, 1]\n",
    "half as many again": "- a = conv: [10, 1]\n  - relu\n  - b = conv: [8, 1]\n",
    "an output": "- a = conv: [62, 1]\n  - relu\n",
    "read by a concatenation": "- j = concat:\n      a: [a = conv: [62, 1]]\n      b: [conv: [2, 1]]\n"
    "  - b = conv: [8, 1]\n",
    "read by a linear layer": "- a = conv: [62, 1]\n  - flatten\n  - b = linear: 8\n",
    "1 / x of it": "- a = conv: [62, 1]\n  - affine: {power: -1.0}\n  - b = conv: [8, 1]\n",
    "a root of it, which a shift may make negative": "- a = conv: [62, 1]\n  - relu\n  - affine: {shift: -1.0}\n"
    "  - affine: {power: 0.5}\n  - b = conv: [8, 1]\n",
    "its softmax": "- a = conv: [62, 1]\n  - softmax\n  - b = conv: [8, 1]\n",
    "its norm": "- a = conv: [62, 1]\n  - layer_norm\n  - b = conv: [8, 1]\n",
    "shared weights": "- a = conv: [62, 1]\n  - b = conv: [62, 1]\n  - c = conv: [62, 1]\n    share: b\n"
    "  - d = conv: [8, 1]\n",
    "groups that give more than they read": "- a = conv: [62, 1]\n  - b = conv: {out: 124, kernel: 1, groups: 31}\n"
    "  - c = conv: [8, 1]\n",
    "a multiple of depthwise": "- a = conv: [29, 1]\n  - b = conv: {out: 58, kernel: 1, groups: 29}\n  - relu\n"
    "  - c = conv: [8, 1]\n",
    "groups that give fewer, and are read by some that give more": "- a = conv: [78, 1]\n"
    "  - b = conv: {out: 26, kernel: 1, groups: 13}\n  - c = conv: {out: 78, kernel: 1, groups: 13}\n"
    "  - d = conv: [8, 1]\n",
    "whole blocks": "- a = conv: [64, 1]\n  - b = conv: {out: 64, kernel: 3, groups: 8}\n  - c = conv: [8, 1]\n",
}


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "onnx"])
@pytest.mark.parametrize("text", sampled(FILLED, 2))
def test_channels_of_zeros_fill_blocks(text: str, backend: str, tmp_path: Path) -> None:
    before = Module(spec(tmp_path, text).unfolded)
    after = FILL(before)
    assert FILL(after) is after
    convs = {path: node.attrs for path, node in after.graph.nodes.items() if node.op == "conv"}
    assert {path: (a["out"], a["groups"]) for path, a in convs.items()} == FILLED[text]
    assert [str(o.ref) for o in after.graph.outputs.values()] == [str(o.ref) for o in before.graph.outputs.values()]
    if after is not before:
        equal(before.graph, after, backend)


@pytest.mark.parametrize("case", LEFT)
def test_what_cannot_be_filled_is_left_alone(case: str, tmp_path: Path) -> None:
    before = Module(spec(tmp_path, f"input: [16, 6, 5]\nbody:\n  {LEFT[case]}").unfolded)
    assert FILL(before) is before


def test_filled_groups_are_joined_to_blocks(tmp_path: Path) -> None:
    """13 groups of 8 channels, of stage 2 of RegNetY-400MF: an odd count, which widen_groups alone leaves."""
    module = Module(spec(tmp_path, REGNET).unfolded)
    assert WIDEN(module) is module
    after = WIDEN(FILL(module))
    assert after.graph.nodes["g"].attrs["groups"] == 7
    equal(module.graph, after, "onnx")


def test_places(tmp_path: Path) -> None:
    """What is filled reaches beyond the place: all that has the same channels."""
    module = Module(spec(tmp_path, REGNET).unfolded)
    assert FILL.at(["a"])(module) is module  # it reads 16
    assert FILL.at(["m.gate.e"])(module).graph.nodes["m.gate.s"].attrs["out"] == 32
    assert FILL.at(["m.gate.e"])(module).graph.nodes["g"].attrs["groups"] == 13


@pytest.mark.slow
def test_the_second_stage_of_shufflenet_has_blocks_of_64() -> None:
    """Ma et al. 2018, table 5: 1.0x has 116 channels there, 58 in each branch, and 232 and 464 behind it."""
    module = NAMED["fold_batch_norm"](Module(netspec.load("shufflenet_v2_x1_0").unfolded))
    nodes = FILL(module).graph.nodes
    changed = {path for path, node in module.graph.nodes.items() if nodes[path].shape != node.shape}
    assert changed and all(path.startswith("stage2.") for path in changed)
    assert {int(nodes[path].shape[1]) for path in changed} == {64}
