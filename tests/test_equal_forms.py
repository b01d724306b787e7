"""Forms of one network that the papers call equal give equal outputs, with weights rearranged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import images, network, torch_run

from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.weights.initialise import draw, initialise

Arrays = dict[str, np.ndarray]


def run(graph: Graph, arrays: Arrays, x: np.ndarray) -> np.ndarray:
    """The output in PyTorch; every tensor must be there."""
    assert arrays.keys() == graph.tensors().keys()
    return torch_run(get("torch").to_module(graph, arrays), x)


@pytest.mark.slow
def test_alexnet_with_groups_is_alexnet_in_two_towers() -> None:
    grouped, towers = network("alexnet").inference, network("alexnet_towers").inference
    arrays, halves = draw(grouped, 0), {}
    for key, value in arrays.items():
        net, _, layer = key.partition(".conv")
        if net != "net":
            halves[key] = value
            continue
        number, _, kind = layer.split(".")  # 1.conv.weight
        for tower, half in enumerate(np.split(value, 2)):
            inside = f"conv{number}" if number in "45" else "conv_relu"
            halves[f"net.conv{'5' if number == '4' else number}.tower.{tower}.{inside}.conv.{kind}"] = half
    x = images((3, 227, 227), 2, 1)
    agreement(run(grouped, arrays, x), run(towers, halves, x))


@pytest.mark.slow
def test_vgg_applied_densely_is_vgg_on_one_window_and_a_map_on_a_larger_image() -> None:
    plain, dense = network("vgg_d").inference, network("vgg_d_dense").inference
    arrays = draw(plain, 0)
    shapes = {key: tuple(map(int, shape)) for key, (shape, _, _) in dense.tensors().items()}
    assert shapes["fc6.weight"] == (4096, 512, 7, 7)
    as_convolutions = {key: arrays[key].reshape(shape) for key, shape in shapes.items()}
    x = images((3, 384, 384), 2, 1)
    found = run(dense, as_convolutions, x)
    assert found.shape == (2, 1000, 6, 6)
    small = x[:, :, :224, :224].copy()
    on_window = torch_run(get("torch").to_module(dense, as_convolutions), small)
    agreement(run(plain, arrays, small), on_window[:, :, 0, 0])


@pytest.mark.slow
def test_fcn_begins_with_bilinear_interpolation() -> None:
    """Long et al. 2015, section 3.3: a transposed convolution doubles a map by interpolation at the start."""
    arrays = initialise(network("fcn8s_vgg16").inference)
    weight = torch.from_numpy(arrays["upscore2.weight"])
    x = torch.randn(1, 21, 9, 9)
    up = torch.nn.functional.conv_transpose2d(x, weight, stride=2)[:, :, 1:-1, 1:-1]
    expected = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(up[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], atol=1e-6)


@pytest.mark.slow
def test_the_three_forms_of_a_resnext_block() -> None:
    """Xie et al. 2016, Figure 3: 32 paths summed, joined early, or as one grouped convolution."""
    graphs = {form: network(f"resnext_block_{form}").inference for form in "abc"}
    c = draw(graphs["c"], 0)
    reduce, transform, expand = (c[f"residual.{name}.weight"] for name in ("reduce", "transform", "expand"))
    a, b = {}, {"residual.expand.weight": expand}
    for path in range(32):
        part = slice(4 * path, 4 * path + 4)
        for arrays, at in ((a, f"path.{path}"), (b, f"residual.paths.path.{path}")):
            arrays |= {f"{at}.reduce.weight": reduce[part], f"{at}.transform.weight": transform[part]}
        a[f"path.{path}.expand.weight"] = expand[:, part]
    x = images((256, 56, 56), 2, 1)
    expected = run(graphs["c"], c, x)
    agreement(expected, run(graphs["a"], a, x))
    agreement(expected, run(graphs["b"], b, x))
