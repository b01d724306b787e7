"""Strides: an input that is larger by so many cells makes a map larger by that over its stride."""

from __future__ import annotations

from math import lcm
from pathlib import Path

import pytest
from conftest import sampled
from shipped_networks import firsts

import netspec
from netspec.analysis.strides import strides

HEAD = "netspec: 1\nname: net\ninput: [4, 24, 24]\n"
FIXED = {"alexnet_ten_crop", "prelu_net_a"}
"""They have crops, and grids of pools, of a size that does not follow the input's."""
BROADCAST = {"aspp.image.upsample"}
"""One value laid over a map."""


@pytest.mark.parametrize(
    "name", sampled(["efficientnet_b0", *sorted({*firsts()} - FIXED - {"efficientnet_b0"})], 4, slow=20)
)
def test_a_larger_input_makes_each_map_larger_by_its_stride(name: str) -> None:
    """Every step of the network has a stride by which it grows, or does not grow; what is flat has none."""
    net = netspec.load(name)
    if len(net.graph.inputs) != 1 or len(net.graph.inputs[0].shape) != 4:
        pytest.skip("it has more than one input, or no map")
    apart = strides(net.graph)
    step = lcm(*(side.numerator for sides in apart.values() if sides is not None for side in sides))
    channels, height, width = (int(size) for size in net.graph.inputs[0].shape[1:])
    larger = netspec.load(name, input=(channels, height + step, width + 2 * step)).graph
    for path, node in net.graph.nodes.items():
        sides = apart[path]
        if len(node.shape) != 4:
            assert sides is None
            continue
        grown = [int(b) - int(a) for a, b in zip(node.shape[2:], larger.nodes[path].shape[2:], strict=True)]
        if sides is None:
            assert grown == [0, 0] or path in BROADCAST, f"{path} grows by {grown}, and has no stride"
        else:
            assert [sides.height * grown[0], sides.width * grown[1]] == [step, 2 * step], f"{path}: {sides}"


@pytest.mark.parametrize(
    ("body", "output", "expected"),
    [
        ("conv: [8, 3, 2, 1], gate = tee: [global_avg_pool, conv: [8, 1]]", "gate", None),
        ("conv: [8, 3, 2, 1], mul: {map: [], gate: [global_avg_pool]}", "mul", 2),
        ("conv: [8, 3, 2, 1], mul: {gate: [global_max_pool, conv: [8, 1], sigmoid], map: []}", "mul", 2),
        ("conv: [8, 3, 2, 1], group_norm: 2", "group_norm", 2),
        ("conv: [8, 3, 2, 1], add: {a: [], b: [max_pool: [2, 2], upsample: [2, nearest]]}", "add", 2),
        ("max_pool: [[4, 2], [4, 2]]", "max_pool", (4, 2)),
        ("conv: [8, 3, 5, 1], upsample: {size: [24, 24], mode: bilinear}", "upsample", 1),
        ("concat: {a: [max_pool: [2, 2], crop: {offset: 0, size: 8}], b: [max_pool: [3, 3]]}", "concat", None),
    ],
)
@pytest.mark.quick(3)
def test_a_value_of_no_position_takes_no_stride_away(
    body: str, output: str, expected: int | tuple[int, int] | None, tmp_path: Path
) -> None:
    """A gate is the same everywhere; maps of several strides have none together."""
    (tmp_path / "net.yaml").write_text(f"{HEAD}body: [{body}]\noutputs: [{output}]\n", encoding="utf-8")
    net = netspec.load(tmp_path / "net.yaml")
    found = strides(net.graph)[next(iter(net.graph.outputs.values())).ref.node]
    sides = expected if isinstance(expected, tuple) else (expected, expected)
    assert found == (None if expected is None else sides)


def test_offsets_do_not_stand_in_for_the_map_that_is_read(tmp_path: Path) -> None:
    """A deformable convolution of stride 2 reads a map of stride 2, and offsets of its own size, of stride 4."""
    body = "body:\n  - map = conv: [8, 3, 2, 1]\n  - offsets = conv: [18, 3, 2, 1]\n"
    body += "  - deform_conv: [8, 3, 2, 1]\n    from: [map, offsets]\n"
    (tmp_path / "net.yaml").write_text(HEAD + body, encoding="utf-8")
    assert strides(netspec.load(tmp_path / "net.yaml").graph)["deform_conv"] == (4, 4)


def test_a_stride_without_bound_is_none(tmp_path: Path) -> None:
    """Pads that are larger than the map let strides multiply for ever."""
    body = "body:\n  - {max_pool: {kernel: 8, stride: 1000, pad: 4}, repeat: 20}\n"
    (tmp_path / "net.yaml").write_text(HEAD + body, encoding="utf-8")
    apart = list(strides(netspec.load(tmp_path / "net.yaml").graph).values())
    assert apart[4] == (10**12, 10**12) and apart[-1] is None
