"""What ops do in training alone, and their defaults: facts of the papers and of PyTorch's own layers."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conformance import in_a_chain, one_op

import netspec
from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.ops import OPS
from netspec.weights.initialise import draw, initialise

pytestmark = pytest.mark.slow


def trained(graph: Graph, weights: dict[str, np.ndarray]) -> torch.nn.Module:
    """The module in training mode."""
    return get("torch").to_module(graph, weights, training=True).train()


@pytest.mark.parametrize("momentum", [0.3, 0.01, 1.0, None])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6,)])
def test_batch_norm_moves_its_statistics_by_the_share_of_the_new(
    shape: tuple[int, ...], momentum: float | None
) -> None:
    """PyTorch's convention: running = (1 - momentum) * running + momentum * batch, the variance unbiased; 0.1."""
    attrs = {} if momentum is None else {"momentum": momentum}
    for graph in (one_op("batch_norm", attrs, (shape,)), in_a_chain("batch_norm", attrs, shape)):
        weights = draw(graph, seed=3)
        module, x = trained(graph, weights), torch.randn(64, *shape) * 3 + 1
        y = module(x)
        held = {key.rpartition(".")[2]: value for key, value in module.state_dict().items()}
        old = {key.rpartition(".")[2]: torch.from_numpy(value) for key, value in weights.items()}
        axes, share = [0, *range(2, x.dim())], 0.1 if momentum is None else momentum
        for name, new in (("running_mean", x.mean(axes)), ("running_var", x.var(axes, correction=1))):
            assert torch.allclose(held[name], (1 - share) * old[name] + share * new, rtol=1e-4, atol=1e-5), name
        normed = y if y.dim() == 2 else y.movedim(1, -1)
        assert torch.allclose(normed.flatten(0, -2).mean(0), old["bias"], atol=1e-3)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout_zeroes_a_share_p_of_the_elements_and_scales_the_rest(p: float) -> None:
    """Srivastava et al. 2014 in its inverted form: the expectation stays."""
    torch.manual_seed(0)
    for graph in (one_op("dropout", {"p": p}, ((20, 30, 30),)), in_a_chain("dropout", {"p": p}, (20, 30, 30))):
        y = trained(graph, {})(torch.ones(4, 20, 30, 30))
        assert abs(float((y == 0).float().mean()) - p) < 0.02
        assert torch.allclose(y[y != 0], torch.tensor(1 / (1 - p)))
        assert 0.2 < float((y[0] == 0).float().std()) and (y[0, 0] != y[0, 1]).any()


@pytest.mark.parametrize("p", [0.2, 0.7, 0.0])
@pytest.mark.quick(1)
def test_drop_path_zeroes_whole_items_and_scales_the_rest(p: float) -> None:
    """Huang et al. 2016: one draw for an item of the batch; the survivors are scaled so that the expectation stays."""
    torch.manual_seed(0)
    x = torch.randn(3000, 2, 3, 3)
    for graph in (one_op("drop_path", {"p": p}, ((2, 3, 3),)), in_a_chain("drop_path", {"p": p}, (2, 3, 3))):
        y = trained(graph, {})(x)
        dropped = (y == 0).flatten(1)
        assert torch.equal(dropped.all(1), dropped.any(1))
        assert abs(float(dropped.all(1).float().mean()) - p) < 0.03
        assert torch.allclose(y[~dropped.all(1)], x[~dropped.all(1)] / (1 - p))


def default(op: str, name: str) -> Any:
    """The default of an attribute."""
    return OPS[op].param(name).default


@pytest.mark.parametrize(
    "op, layer, names",
    [
        ("batch_norm", torch.nn.BatchNorm2d, {"eps": "eps", "momentum": "momentum", "affine": "affine"}),
        ("lrn", torch.nn.LocalResponseNorm, {"alpha": "alpha", "beta": "beta", "k": "k"}),
        (
            "conv",
            torch.nn.Conv2d,
            {"stride": "stride", "pad": "padding", "dilation": "dilation", "groups": "groups", "bias": "bias"},
        ),
        (
            "conv_transpose",
            torch.nn.ConvTranspose2d,
            {
                "stride": "stride",
                "pad": "padding",
                "output_pad": "output_padding",
                "dilation": "dilation",
                "groups": "groups",
                "bias": "bias",
            },
        ),
        ("linear", torch.nn.Linear, {"bias": "bias"}),
        ("max_pool", torch.nn.MaxPool2d, {"pad": "padding", "dilation": "dilation", "ceil": "ceil_mode"}),
        ("avg_pool", torch.nn.AvgPool2d, {"pad": "padding", "ceil": "ceil_mode", "count_pad": "count_include_pad"}),
    ],
)
def test_defaults_are_those_of_pytorchs_layer(op: str, layer: type, names: dict[str, str]) -> None:
    theirs = inspect.signature(layer).parameters
    assert {mine: default(op, mine) for mine in names} == {mine: theirs[name].default for mine, name in names.items()}


def test_layer_norm_has_the_eps_of_convnext() -> None:
    """1e-6 (Liu et al. 2022, and timm's LayerNorm2d), which shows on values that are as small."""
    graph = one_op("layer_norm", {"affine": False}, ((4,),))
    x = np.array([[1e-3, -1e-3, 1e-3, -1e-3]], np.float32)  # the variance is 1e-6
    for backend in ("torch", "onnx"):
        got = get(backend).run(graph, {}, {"x0": x}).outputs["y0"]
        assert np.allclose(got, x / np.sqrt(2e-6), rtol=1e-4), backend


def test_l2_norm_divides_by_no_less_than_eps() -> None:
    graph = one_op("l2_norm", {}, ((4,),))
    x = np.array([[3e-8, 0, -4e-8, 0], [3e-3, 0, -4e-3, 0]], np.float32)
    for backend in ("torch", "onnx"):
        got = get(backend).run(graph, {}, {"x0": x}).outputs["y0"]
        assert np.allclose(got, x / np.array([[1e-6], [5e-3]]), rtol=1e-4), backend


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_begins_he_normal_by_the_weights_that_meet_in_a_pixel(groups: int) -> None:
    """He et al. 2015, equation 10: n is the number of weights in a sum, C / groups * kh * kw / stride^2 of them."""
    graph = one_op("conv_transpose", {"out": 32, "kernel": 4, "stride": 2, "groups": groups}, ((64, 4, 4),))
    weight = initialise(graph, 0)["step.weight"]
    assert abs(weight.std() / np.sqrt(2 / (64 / groups * 4)) - 1) < 0.03


def test_prelu_begins_at_a_quarter() -> None:
    """He et al. 2015, section 2.1, and PyTorch's nn.PReLU."""
    assert set(initialise(one_op("prelu", {}, ((5,),)))["step.weight"].tolist()) == {
        float(torch.nn.PReLU().weight.detach())
    }


@pytest.mark.parametrize("factor", [2, 4])
def test_bilinear_weights_are_interpolation(factor: int) -> None:
    """Long et al. 2015, section 3.3; a kernel of 2f or 2f - 1 and a stride of f enlarge f times."""
    for kernel in (2 * factor, 2 * factor - 1):
        graph = one_op("conv_transpose", {"out": 3, "kernel": kernel, "stride": factor, "bias": False}, ((3, 5, 5),))
        (x, step) = graph.nodes.values()
        weight = initialise(Graph("up", [x, replace(step, init={"weight": "bilinear"})], graph.outputs))["step.weight"]
        data = torch.randn(1, 3, 5, 5)
        up = torch.nn.functional.conv_transpose2d(data, torch.from_numpy(weight), stride=factor)
        inside = slice(factor, -factor)
        if kernel % 2:  # its tents stand on pixels: every f-th result is the pixel itself, the one between a mean
            middle = up[:, :, factor - 1 :: factor, factor - 1 :: factor]
            assert torch.allclose(middle[..., :5, :5], data, atol=1e-5)
            between = up[:, :, factor - 1 :: factor, factor - 1 + factor // 2 :: factor][..., :5, :4]
            assert torch.allclose(between, (data[..., :-1] + data[..., 1:]) / 2, atol=1e-5)
        else:
            expected = torch.nn.functional.interpolate(data, scale_factor=factor, mode="bilinear", align_corners=False)
            cut = up[:, :, factor // 2 : -(factor // 2), factor // 2 : -(factor // 2)]
            assert torch.allclose(cut[:, :, inside, inside], expected[:, :, inside, inside], atol=1e-5)


@pytest.mark.parametrize("p", [0.15, 0.6])
@pytest.mark.quick(1)
def test_a_mean_leaves_out_paths_of_a_batch_but_never_all(p: float) -> None:
    """Larsson et al. 2016, section 2.1, local: each input of a join goes with probability p, one survives.

    Of three inputs k survive with C(3, k) (1 - p)^k p^(3 - k); where none would, one that is drawn does.
    """
    torch.manual_seed(0)
    graph = one_op("mean", {"drop_paths": p}, ((2, 2, 2),) * 3)
    module = trained(graph, {})
    xs = [torch.full((4, 2, 2, 2), float(value)).requires_grad_() for value in (1, 10, 100)]
    means = {sum(c) / len(c): len(c) for n in (1, 2, 3) for c in itertools.combinations((1.0, 10.0, 100.0), n)}
    counts, rounds = [0, 0, 0, 0], 2000
    for _ in range(rounds):
        y = module(*xs)
        (left,) = y.unique().tolist()  # one draw for the batch
        counts[next(k for mean, k in means.items() if abs(mean - left) < 1e-3)] += 1
    expected = [0, 3 * (1 - p) * p**2 + p**3, 3 * (1 - p) ** 2 * p, (1 - p) ** 3]
    assert all(abs(count / rounds - share) < 0.04 for count, share in zip(counts, expected, strict=True))
    y.sum().backward()
    reached = [float(x.grad.abs().sum()) for x in xs if x.grad is not None]
    assert len(reached) == 3 and abs(sum(reached) - y.numel()) < 1e-3 and len({r for r in reached if r}) == 1
    assert torch.equal(module.eval()(*xs), torch.stack(xs).mean(0))


def test_at_inference_a_join_takes_all_of_its_paths() -> None:
    """FractalNet's inference graph and source are those of the plain mean."""
    net = netspec.load("fractalnet", variant="fractalnet_drop_path")
    joins = [node for node in net.graph.nodes.values() if node.op == "mean"]
    assert len(joins) == 10 and all(node.attrs == {"drop_paths": 0.15} for node in joins)
    assert sum(node.op == "dropout" for node in net.graph.nodes.values()) == 4 * 7
    plain = netspec.load("fractalnet").inference
    assert net.inference.nodes.keys() == plain.nodes.keys()
    assert all(node.attrs == plain.nodes[path].attrs for path, node in net.inference.nodes.items())
