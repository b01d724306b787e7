"""widen_groups: which groups are joined, which convolutions are left alone, and what they compute."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import sampled
from pass_harness import equal, spec

from netspec.ir.module import Module
from netspec.passes import NAMED

WIDEN = NAMED["widen_groups"]
GROUPS = {  # channels in and out, groups before: groups after
    (128, 128, 32): 8,  # ResNeXt 32x4d: groups of 4 channels
    (48, 48, 6): 3,  # RegNetY-400MF: groups of 8
    (32, 64, 4): 2,  # 8 in, 16 out
    (64, 32, 4): 2,  # 16 in, 8 out
    (64, 64, 4): 4,  # 16 already
    (104, 104, 13): 13,  # an odd count of groups of 8
    (32, 32, 16): 16,  # eight groups of 2 would be one
    (32, 32, 32): 32,  # depthwise
    (32, 64, 32): 32,  # depthwise, two outputs each
    (24, 24, 1): 1,
}


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "onnx"])
@pytest.mark.parametrize("case", sampled(GROUPS, 2))
def test_groups_are_joined_to_blocks_of_16(case: tuple[int, int, int], backend: str, tmp_path: Path) -> None:
    channels, out, groups = case
    step = f"c = conv: {{out: {out}, kernel: 3, pad: 1, groups: {groups}}}"
    before = Module(spec(tmp_path, f"input: [{channels}, 5, 4]\nbody:\n  - {step}\n  - relu\n").unfolded)
    after = WIDEN(before)
    assert after.graph.nodes["c"].attrs["groups"] == GROUPS[case]
    assert (after is before) == (GROUPS[case] == groups) and WIDEN(after) is after
    if after is not before:
        equal(before.graph, after, backend)


def test_layers_that_share_weights_are_left_alone(tmp_path: Path) -> None:
    grouped = "conv: {out: 32, kernel: 3, pad: 1, groups: 8}\n"
    body = f"  - a = {grouped}  - b = {grouped}    share: a\n"
    module = Module(spec(tmp_path, f"input: [32, 5, 4]\nbody:\n{body}").unfolded)
    assert [node.weights_at for node in module.graph.nodes.values()][1:] == ["a", "a"]
    assert WIDEN(module) is module
