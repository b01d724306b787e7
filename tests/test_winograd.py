"""winograd: which convolutions become tiles, how many multiplications are left, and what they compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import sampled
from pass_harness import equal, spec

import netspec
from netspec.ir.module import Module
from netspec.passes import NAMED
from netspec.passes.winograd import OF_KERNEL, OF_MAP, OF_PRODUCTS

WINOGRAD = NAMED["winograd"]
TAKEN = {  # attributes and the map: whether its sides are tiles of 4x4 as they are
    ("{out: 512, kernel: 3, pad: 1}", (24, 28)): True,
    ("{out: 513, kernel: 3, pad: half, bias: false}", (25, 30)): False,
    ("{out: 512, kernel: 3}", (26, 26)): True,  # a valid one, 24 x 24
    ("{out: 512, kernel: 3}", (27, 32)): False,
    ("{out: 512, kernel: 3, pad: [0, 2, 3, 1]}", (25, 24)): False,
}
LEFT = {
    "{out: 511, kernel: 3, pad: 1}": "too few channels",
    "{out: 512, kernel: 3, pad: 1, stride: 2}": "a stride",
    "{out: 512, kernel: 3, pad: 2, dilation: 2}": "a dilation",
    "{out: 512, kernel: 3, pad: 1, groups: 2}": "groups",
    "{out: 512, kernel: [3, 5], pad: [1, 2]}": "another kernel",
    "{out: 512, kernel: 3}": "a map of 23 x 23",
}


def written(folder: Path, attrs: str, size: tuple[int, int], channels: int = 256) -> Module:
    """A network of one convolution and an activation."""
    body = f"input: [{channels}, {size[0]}, {size[1]}]\nbody:\n  - c = conv: {attrs}\n  - relu\n"
    return Module(spec(folder, body).unfolded)


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "onnx"])
@pytest.mark.parametrize("case", sampled(TAKEN, 2))
def test_convolutions_of_many_channels_become_tiles(
    case: tuple[str, tuple[int, int]], backend: str, tmp_path: Path
) -> None:
    before = written(tmp_path, *case)
    after = WINOGRAD(before)
    assert after.times == 1 and WINOGRAD(after) is after
    assert after.graph.nodes["c"].op == ("pixel_shuffle" if TAKEN[case] else "crop")
    assert after.graph.nodes["c"].shape == before.graph.nodes["c"].shape
    equal(before.graph, after, backend)


@pytest.mark.parametrize("attrs", LEFT)
def test_others_are_left_alone(attrs: str, tmp_path: Path) -> None:
    before = written(tmp_path, attrs, (25, 25) if "23" in LEFT[attrs] else (50, 50))
    assert WINOGRAD(before) is before


def test_layers_that_share_weights_are_left_alone(tmp_path: Path) -> None:
    layer, small = "conv: {out: 512, kernel: 3, pad: 1}\n", "input: [512, 24, 24]\nbody:\n"
    shared = Module(spec(tmp_path, f"{small}  - a = {layer}  - b = {layer}    share: a\n").unfolded)
    own = Module(spec(tmp_path, f"{small}  - a = {layer}  - b = {layer}").unfolded)
    assert WINOGRAD(shared) is shared and WINOGRAD(own).times == 2


def test_vgg_has_tiles_where_its_layers_are_of_512_channels() -> None:
    """conv4-1 to conv4-3 of Simonyan and Zisserman 2014, table 1, D, on maps of 28 x 28; conv5 has 14 x 14."""
    module = Module(netspec.load("vgg16").unfolded)
    found = WINOGRAD(module)
    assert [path for path in module.graph.nodes if found.graph.nodes[path].op == "pixel_shuffle"] == [
        f"stage4.conv{i}.conv" for i in (1, 2, 3)
    ]
    assert WINOGRAD.at(["stage4.conv2"])(module).times == 1


def test_a_quarter_of_the_multiplications_is_left(tmp_path: Path) -> None:
    """Lavin and Gray 2016, section 4.3: F(4x4, 3x3) takes 36 instead of 144 for a tile, besides the transforms."""
    before = written(tmp_path, "{out: 512, kernel: 3, pad: 1}", (56, 56), 256)
    nodes = WINOGRAD(before).graph.nodes
    assert before.graph.nodes["c"].result.macs == 512 * 256 * 9 * 56 * 56
    assert nodes["c_products"].result.macs * 4 == before.graph.nodes["c"].result.macs
    tiles = 14 * 14
    assert nodes["c_squares"].result.macs == 256 * 36 * 36 * tiles
    assert nodes["c_tiles"].result.macs == 512 * 16 * 36 * tiles


def test_the_transforms_give_a_convolution_of_one_dimension() -> None:
    """A' [(G g) * (B' d)] is the correlation of d with g, as numpy computes it."""
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal(6), rng.standard_normal(3)
    found = np.array(OF_PRODUCTS) @ ((np.array(OF_KERNEL) @ g) * (np.array(OF_MAP) @ d))
    np.testing.assert_allclose(found, np.correlate(d, g, "valid"), rtol=1e-12)
