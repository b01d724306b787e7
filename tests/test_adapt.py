"""Checkpoints for networks of other classes, input channels and sizes: what fits stays, the rest is drawn."""

from __future__ import annotations

import importlib
import re
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import images, randomise, torch_run
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, UsageError
from netspec.network import CheckpointWarning, Network

pytestmark = pytest.mark.slow
SIZE = (3, 64, 64)


@pytest.fixture(scope="module")
def weights(torchvision: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = randomise(torchvision.models.resnet18(weights=None), SIZE, 3)
    path = tmp_path_factory.mktemp("adapt") / "resnet18.safetensors"
    save_file(model.state_dict(), path)
    return path


def loaded(net: Network, weights: Path, **options: object) -> tuple[dict[str, np.ndarray], str]:
    """The weights, and what was said of them."""
    with pytest.warns(CheckpointWarning) as said:
        arrays = net.arrays(weights=weights, adapt=True, **options)  # type: ignore[arg-type]
    return arrays, "\n".join(str(w.message) for w in said)


def test_every_layer_but_the_classifier_comes_from_the_checkpoint(weights: Path) -> None:
    whole = netspec.load("resnet18").arrays(weights=weights)
    net = netspec.load("resnet18", classes=10)
    with pytest.raises(DataError, match="1000 classes in the file and 10 in the network"):
        net.arrays(weights=weights)
    arrays, said = loaded(net, weights, seed=4)
    assert said == "drawn, not from the checkpoint: fc"
    assert {k for k in arrays if not np.array_equal(arrays[k], whole[k])} == {"fc.weight", "fc.bias"}
    assert np.array_equal(arrays["fc.weight"], net.arrays(seed=4)["fc.weight"])


@pytest.mark.parametrize("count", [1, 2, 4, 6, 7])
def test_another_number_of_channels_is_what_timm_makes_of_it(count: int, weights: Path) -> None:
    old = netspec.load("resnet18").arrays(weights=weights)["conv1.conv.weight"]
    arrays, said = loaded(netspec.load("resnet18", input=(count, 64, 64)), weights)
    theirs = importlib.import_module("timm.models").adapt_input_conv(count, torch.from_numpy(old))
    np.testing.assert_allclose(arrays["conv1.conv.weight"], theirs.numpy(), rtol=1e-6)
    how = "summed" if count == 1 else "repeated and scaled"
    assert f"conv1.conv.weight: 3 input channels become {count}, its weights are {how}" in said
    assert "drawn" not in said


@pytest.mark.parametrize("count", [1, 6])
def test_a_grey_picture_gives_what_it_did(count: int, weights: Path) -> None:
    grey = images((1, 64, 64), 2, 5)
    net = netspec.load("resnet18", input=(count, 64, 64))
    with pytest.warns(CheckpointWarning):
        module = net.to_torch(weights=weights, adapt=True)
    whole = netspec.load("resnet18", input=SIZE).to_torch(weights=weights)
    agreement(torch_run(whole, np.repeat(grey, 3, 1)), torch_run(module, np.repeat(grey, count, 1)))


def test_a_layer_that_needs_another_size_is_drawn(torchvision: ModuleType, tmp_path: Path) -> None:
    save_file(torchvision.models.alexnet(weights=None).state_dict(), tmp_path / "w.safetensors")
    arrays, said = loaded(netspec.load("alexnet_torchvision", input=(3, 160, 160)), tmp_path / "w.safetensors")
    assert said == "drawn, not from the checkpoint: fc6" and arrays["fc6.weight"].shape[0] == 4096


FIRST = {"classes": 6, "input": (3, 40, 40)}
"""The own checkpoint that is fine-tuned again: of a network of other classes and size than the spec has by itself."""


@pytest.mark.parametrize(
    ("spec", "second", "drawn"),
    [
        ("resnet18", {"classes": 4, "input": (3, 40, 40)}, {"fc"}),
        ("resnet18", {"classes": 6, "input": (3, 64, 64)}, set()),
        ("resnet18", {}, {"fc"}),
        ("resnet18", {"classes": 4, "input": (1, 40, 40)}, {"fc"}),
        ("resnet20_cifar", {"classes": 4}, {"fc"}),
    ],
)
@pytest.mark.quick(1)
def test_an_own_checkpoint_is_adapted_again(spec: str, second: dict[str, object], drawn: set[str]) -> None:
    """Only what follows from the classes and the size is drawn, whatever of both the file has."""
    first = netspec.load(spec, **FIRST)  # type: ignore[arg-type]
    stored = first.arrays(seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        arrays = netspec.load(spec, **second).arrays(weights=stored, adapt=True, seed=2)  # type: ignore[arg-type]
    grey = {"conv1.conv.weight"} if second.get("input") == (1, 40, 40) else set()
    other = {key for key, value in arrays.items() if not np.array_equal(value, stored[key])} - grey
    heads = [head for head in drawn if not any(key.startswith(head) for key in other)]
    assert not heads and all(key.startswith(tuple(drawn)) for key in other), sorted(other)


def test_a_layer_of_another_size_is_said_of_this_network() -> None:
    """The numbers are those of the network that was asked for, and what follows from its size is drawn alone."""
    stored = netspec.load("alexnet", input=(3, 224, 224), classes=9).arrays()
    net = netspec.load("alexnet", input=(3, 160, 160), classes=3)
    with pytest.warns(CheckpointWarning, match="drawn, not from the checkpoint: fc6, fc8"):
        net.lazy_arrays(weights=stored, adapt=True)
    stored["fc7.weight"] = stored["fc7.weight"][:, :5]
    with pytest.raises(DataError) as caught:
        net.lazy_arrays(weights=stored, adapt=True)
    assert re.findall(r"(\w+)\.weight: (\S+) in the file, (\S+) in", str(caught.value)) == [
        ("fc7", "4096x5", "4096x4096")
    ]


def test_a_wider_network_is_not_adapted() -> None:
    stored = netspec.load("resnet20_cifar").arrays()
    layers = [key for key in stored if key.startswith("layer2") and key.endswith("conv.weight")]
    for key in layers:
        stored[key] = np.repeat(stored[key], 2, 0)
    with pytest.raises(DataError, match=rf"of another shape \({len(layers)}\)"):
        netspec.load("resnet20_cifar", classes=5).lazy_arrays(weights=stored, adapt=True)


def test_an_own_checkpoint_is_adapted_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_numpy(netspec.load("resnet18", **FIRST).arrays(), tmp_path / "own.safetensors")  # type: ignore[arg-type]
    line = ["compile", "resnet18", "-s", "classes=4", "--input", "3x40x40", "--to", "torch"]
    given = ["--weights", str(tmp_path / "own.safetensors"), "--adapt", "-o", str(tmp_path / "net.py")]
    assert run([*line, *given]) == 0
    assert "drawn, not from the checkpoint: fc" in capsys.readouterr().err


def test_the_option_says_what_was_made(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["compile", "resnet18", "-s", "classes=7", "--input", "1x64x64", "--weights", str(weights), "--adapt"]
    assert run([*line, "--to", "torch", "-o", str(tmp_path / "net.py")]) == 0
    said = capsys.readouterr().err
    assert "3 input channels become 1, its weights are summed" in said
    assert "drawn, not from the checkpoint: fc" in said
    assert torch.load(tmp_path / "net.pth", weights_only=True)["fc.weight"].shape == (7, 512)
    assert run(["compile", "resnet18", "--adapt", "--to", "onnx"]) == 2
    assert "--adapt goes with --weights" in capsys.readouterr().err


def test_a_file_of_another_network_is_refused_as_before(weights: Path) -> None:
    with pytest.raises(DataError, match="NS60|layer"):
        netspec.load("resnet34", classes=10).arrays(weights=weights, adapt=True)
    with pytest.raises(UsageError, match="not for blocks"):
        netspec.load("blocks/residual:basic").arrays(weights=weights, adapt=True)


BACKBONE = """\
netspec: 1
name: two_boxes
use: [resnet]
input: [3, 64, 64]
params: {{classes: 4}}
body:
  - backbone = resnet: {{variant: resnet18, until: layer4}}
{more}  - boxes = conv: {{out: 4, kernel: 1}}
  - global_avg_pool
  - flatten
  - fc = linear: =classes
"""


def test_a_backbone_takes_the_checkpoint_of_its_network(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """torchvision's classifier gives all of the backbone by the rules of its spec; what is left and drawn is said."""
    (tmp_path / "net.yaml").write_text(BACKBONE.format(more=""))
    whole = netspec.load("resnet18").arrays(weights=weights)
    net = netspec.load(tmp_path / "net.yaml")
    with pytest.raises(DataError, match=r'`exclude=\["boxes", "fc"\]` loads all else'):
        net.arrays(weights=weights)
    arrays, said = loaded(net, weights, seed=4)
    assert "the weights of resnet are those of backbone; left of the file: backbone.fc" in said
    assert "drawn, not from the checkpoint: boxes, fc" in said
    for key, value in arrays.items():
        inner = key.removeprefix("backbone.")
        assert np.array_equal(value, whole[inner] if inner != key else net.arrays(seed=4)[key]), key
    line = ["compile", str(tmp_path / "net.yaml"), "--input", "1x64x64", "--weights", str(weights), "--adapt"]
    assert run([*line, "--to", "onnx", "-o", str(tmp_path / "net.onnx")]) == 0
    printed = capsys.readouterr().err
    assert "left of the file: backbone.fc" in printed and "3 input channels become 1" in printed


def test_a_shipped_segmenter_takes_the_classifier(torchvision: ModuleType, tmp_path: Path) -> None:
    state = torchvision.models.resnet50(weights=None).state_dict()
    save_file(state, tmp_path / "r50.safetensors")
    net = netspec.load("deeplabv3_resnet50", input=(3, 64, 64))
    with pytest.raises(DataError, match="`adapt=True` loads backbone and draws the rest"):
        net.arrays(weights=tmp_path / "r50.safetensors")
    arrays, said = loaded(net, tmp_path / "r50.safetensors")
    assert "the weights of resnet are those of backbone" in said
    whole = netspec.load("resnet50").arrays(weights=tmp_path / "r50.safetensors")
    below = {key.removeprefix("backbone."): value for key, value in arrays.items() if key.startswith("backbone.")}
    assert whole.keys() - below.keys() == {"fc.weight", "fc.bias"}
    assert all(np.array_equal(whole[key], value) for key, value in below.items())
    del state["layer3.5.conv3.weight"]
    save_file(state, tmp_path / "torn.safetensors")
    with pytest.raises(DataError, match="does not fit"):
        net.arrays(weights=tmp_path / "torn.safetensors", adapt=True)


def test_of_two_backbones_one_is_to_be_named(weights: Path, tmp_path: Path) -> None:
    second = "  - upsample: {size: [64, 64], mode: nearest}\n  - conv: {out: 3, kernel: 1}\n"
    second += "  - other = resnet: {variant: resnet18, until: layer4}\n"
    (tmp_path / "net.yaml").write_text(BACKBONE.format(more=second))
    net = netspec.load(tmp_path / "net.yaml")
    with pytest.raises(DataError, match="is of 2 parts of 'two_boxes': backbone, other"):
        net.arrays(weights=weights, adapt=True)
    arrays, _ = loaded(net, weights, layers=["other"])
    whole = netspec.load("resnet18").arrays(weights=weights)
    assert np.array_equal(arrays["other.conv1.conv.weight"], whole["conv1.conv.weight"])
