"""Networks that people use today: what torchvision has, the forms of RepVGG, the stages of RegNet, heads for pixels."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import agreement
from netspec_onnx.options import OnnxOptions
from parity import SPECS, TARGETS, images, network, onnx_run, onnx_session, randomise, torch_run
from safetensors.torch import save_file
from test_checkpoints import model

import netspec
from netspec.backend import get
from netspec.weights.initialise import draw

Arrays = dict[str, np.ndarray]

TRANSFORMERS = ("vit_", "swin_", "maxvit_")


@pytest.mark.slow
def test_every_convolutional_classifier_of_torchvision_is_compared_with_it(torchvision: ModuleType) -> None:
    models = set(torchvision.models.list_models(module=torchvision.models))
    segmentation = set(torchvision.models.list_models(module=torchvision.models.segmentation))
    convolutional = {name for name in models if not name.startswith(TRANSFORMERS)}
    shipped = {t["checkpoint"].partition(":")[2] for t in TARGETS.values() if "checkpoint" in t}
    assert convolutional | segmentation <= shipped, sorted((convolutional | segmentation) - shipped)
    page = " ".join((SPECS.parent / "docs" / "parity.md").read_text(encoding="utf-8").split())
    assert f"{len(models)} classifiers, {len(models - convolutional)} of which are transformers" in page
    assert f"The other {len(convolutional)} are convolutional, and all {len(convolutional)} load" in page
    assert f"So do all {len(segmentation)} of its networks for segmentation" in page


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["fcn_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_auxiliary_heads_of_segmentation_are_loaded_for_training(
    torchvision: ModuleType, variant: str, tmp_path: Path
) -> None:
    theirs = torchvision.models.get_model(variant, weights=None, weights_backbone=None, aux_loss=True).eval()
    for tensor in theirs.state_dict().values():
        if tensor.ndim == 1:
            tensor.copy_(torch.linspace(0.5, 1.5, len(tensor)))
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    ours = network(variant, input=(3, 96, 64)).to_torch(training=True, weights=tmp_path / "weights.safetensors").eval()
    ours.training = True  # of the network alone: its layers stay as they are at inference
    x = torch.from_numpy(images((3, 96, 64), 2))
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    assert list(found) == ["out", "aux"]
    for name, value in expected.items():
        assert torch.allclose(value, found[name], rtol=1e-4, atol=1e-4 * float(value.abs().max())), name


# Radosavovic et al. 2020, Figures 15 and 16: d_i, blocks of the stages, and w_i, their widths
FIGURES = {
    "regnet_x_400mf_paper": ((1, 2, 7, 12), (32, 64, 160, 384)),
    "regnet_x_800mf": ((1, 3, 7, 5), (64, 128, 288, 672)),
    "regnet_x_1_6gf": ((2, 4, 10, 2), (72, 168, 408, 912)),
    "regnet_x_3_2gf": ((2, 6, 15, 2), (96, 192, 432, 1008)),
    "regnet_x_8gf": ((2, 5, 15, 1), (80, 240, 720, 1920)),
    "regnet_x_16gf": ((2, 6, 13, 1), (256, 512, 896, 2048)),
    "regnet_x_32gf": ((2, 7, 13, 1), (336, 672, 1344, 2520)),
    "regnet_y_400mf": ((1, 3, 6, 6), (48, 104, 208, 440)),
    "regnet_y_800mf_paper": ((1, 3, 8, 2), (64, 128, 320, 768)),
    "regnet_y_1_6gf": ((2, 6, 17, 2), (48, 120, 336, 888)),
    "regnet_y_3_2gf": ((2, 5, 13, 1), (72, 216, 576, 1512)),
    "regnet_y_8gf_paper": ((2, 4, 10, 1), (168, 448, 896, 2016)),
    "regnet_y_16gf": ((2, 4, 11, 1), (224, 448, 1232, 3024)),
    "regnet_y_32gf": ((2, 5, 12, 1), (232, 696, 1392, 3712)),
}


@pytest.mark.quick(3)
@pytest.mark.parametrize("variant", FIGURES)
def test_the_six_numbers_of_a_regnet_give_the_stages_that_the_paper_prints(variant: str) -> None:
    graph = network(variant).inference
    depths, widths = [0] * 4, [0] * 4
    for path, node in graph.nodes.items():
        if block := re.fullmatch(r"stage(\d)\.\d+\.relu", path):
            depths[int(block[1]) - 1] += 1
            widths[int(block[1]) - 1] = int(node.shape[1])
    assert (tuple(depths), tuple(widths)) == FIGURES[variant]


def merged(arrays: Arrays) -> Arrays:
    """The weights of RepVGG's merged form, of those of its training form (section 3.3, equations 2 to 4)."""

    def folded(kernel: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
        scale = arrays[f"{norm}.weight"] / np.sqrt(arrays[f"{norm}.running_var"] + 1e-5)
        return kernel * scale[:, None, None, None], arrays[f"{norm}.bias"] - arrays[f"{norm}.running_mean"] * scale

    found = {key: array for key, array in arrays.items() if key.startswith("fc.")}
    for key, dense in arrays.items():
        if not key.endswith(".dense.conv_bn.conv.weight"):
            continue
        block = key.removesuffix(".dense.conv_bn.conv.weight")
        parts = [folded(dense, f"{block}.dense.conv_bn.bn")]
        point = np.pad(arrays[f"{block}.pointwise.conv_bn.conv.weight"], ((0, 0), (0, 0), (1, 1), (1, 1)))
        parts.append(folded(point, f"{block}.pointwise.conv_bn.bn"))
        if f"{block}.identity.bn.weight" in arrays:
            same = np.zeros_like(dense)
            for channel in range(len(dense)):
                same[channel, channel % dense.shape[1], 1, 1] = 1
            parts.append(folded(same, f"{block}.identity.bn"))
        found[f"{block}.conv3.weight"] = sum(kernel for kernel, _ in parts)
        found[f"{block}.conv3.bias"] = sum(bias for _, bias in parts)
    return found


@pytest.mark.parametrize(
    "variant, settings",
    [
        ("repvgg_b1g4", {"a": 0.25, "b": 0.25}),
        pytest.param("repvgg_a0", {}, marks=pytest.mark.slow),
        pytest.param("repvgg_b1g4", {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_the_merged_form_of_repvgg_computes_what_its_training_form_does(
    variant: str, settings: dict[str, float], tmp_path: Path
) -> None:
    size = (3, 64, 64)
    training, inference = (network(v, input=size, **settings).inference for v in (variant, f"{variant}_merged"))
    arrays = draw(training)
    weights = merged(arrays)
    assert {key: value.shape for key, value in weights.items()} == {
        key: tuple(map(int, shape)) for key, (shape, _, _) in inference.tensors().items()
    }
    x = images(size, 2)
    expected = torch_run(get("torch").to_module(training, arrays), x)
    agreement(expected, torch_run(get("torch").to_module(inference, weights), x))
    get("onnx").emit(inference, weights, tmp_path / "net.onnx", OnnxOptions())
    agreement(expected, onnx_run(onnx_session(tmp_path / "net.onnx"), x))


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, name, settings",
    [
        ("convnext_tiny", "timm:convnext_tiny", {}),
        ("mobilenet_v3_small", "timm:mobilenetv3_small_100", {"eps": 1e-5}),
        ("regnet_y_400mf", "timm:regnety_004", {}),
    ],
)
def test_the_weights_of_timm_load_where_those_of_torchvision_do(
    torchvision: ModuleType, variant: str, name: str, settings: dict[str, float], tmp_path: Path
) -> None:
    size = (3, 96, 96)
    theirs = randomise(model(torchvision, name), size, 0)
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    ours = network(variant, input=size, **settings).to_torch(weights=tmp_path / "weights.safetensors")
    x = images(size, 2, 5)
    agreement(torch_run(theirs, x), torch_run(ours, x), tol=1e-4)


@pytest.mark.slow
def test_the_merged_weights_of_timm_load_into_the_merged_form(tmp_path: Path) -> None:
    theirs = importlib.import_module("timm").create_model("repvgg_a0", pretrained=False).eval()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            if not name.endswith("num_batches_tracked") and tensor.ndim == 1:
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng))
    x = images((3, 64, 64), 2)
    expected = torch_run(theirs, x)
    for block in list(theirs.modules()):
        if hasattr(block, "reparameterize"):
            block.reparameterize()
    save_file(theirs.state_dict(), tmp_path / "merged.safetensors")
    ours = network("repvgg_a0_merged", input=(3, 64, 64)).to_torch(weights=tmp_path / "merged.safetensors")
    mean = expected.mean(0)
    size = np.abs(expected - mean).max()
    agreement((expected - mean) / size, (torch_run(ours, x) - mean) / size, tol=1e-3)


def test_weights_of_unet_by_the_names_of_its_most_used_implementation(tmp_path: Path) -> None:
    """A narrow one, by the `state_dict` keys of milesial's Pytorch-UNet."""
    net = netspec.load(SPECS / "unet.yaml", variant="unet_padded", width=4)
    arrays = draw(net.inference)

    def convolutions(ours: str, theirs: str) -> dict[str, str]:
        """Two 3x3 convolutions and their norms."""
        found = {}
        for n in range(2):
            found[f"{ours}.double_conv.step.{n}.conv.weight"] = f"{theirs}.double_conv.{3 * n}.weight"
            for name in ("weight", "bias", "running_mean", "running_var"):
                found[f"{ours}.double_conv.step.{n}.bn.{name}"] = f"{theirs}.double_conv.{3 * n + 1}.{name}"
        return found

    names = convolutions("down0", "inc")
    for k in range(1, 5):
        names |= convolutions(f"down{k}", f"down{k}.maxpool_conv.1") | convolutions(f"up{4 - k}", f"up{k}.conv")
        names |= {f"up{4 - k}.up.{name}": f"up{k}.up.{name}" for name in ("weight", "bias")}
    names |= {f"score_map.{name}": f"outc.conv.{name}" for name in ("weight", "bias")}
    assert names.keys() == arrays.keys()
    save_file({names[key]: torch.from_numpy(value) for key, value in arrays.items()}, tmp_path / "unet.safetensors")
    found = net.arrays(weights=tmp_path / "unet.safetensors")
    assert all(np.array_equal(found[key], value) for key, value in arrays.items())
