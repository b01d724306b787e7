"""Values of steps as outputs: those of torchvision's layers with the same weights, channels and strides as timm's."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from conftest import agreement
from parity import images, onnx_session, randomise
from safetensors.torch import save_file
from torch import nn

import netspec
from netspec.diagnostics.errors import UsageError

STEPS = ["layer3", "layer1", "layer4"]
SIZE = (3, 96, 96)


@pytest.fixture(scope="module")
def resnet18(torchvision: ModuleType) -> nn.Module:
    return randomise(torchvision.models.resnet18(weights=None), SIZE, 3).eval()


@pytest.fixture(scope="module")
def weights(resnet18: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "resnet18.safetensors"
    save_file(resnet18.state_dict(), path)
    return path


def hooked(model: nn.Module, steps: list[str], x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the layers of a model give."""
    found: dict[str, torch.Tensor] = {}
    hooks = [
        model.get_submodule(step).register_forward_hook(lambda _, __, out, step=step: found.update({step: out}))
        for step in steps
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return {step: found[step] for step in steps}


@pytest.mark.slow
def test_features_are_what_torchvisions_layers_give(resnet18: nn.Module, weights: Path, tmp_path: Path) -> None:
    net = netspec.load("resnet18", input=SIZE)
    x = torch.from_numpy(images(SIZE, 2, 5))
    expected = hooked(resnet18, STEPS, x)
    module = net.features(STEPS, weights=weights)
    with torch.no_grad():
        found = module(x)
    assert list(found) == STEPS
    agreement(expected, found)
    whole = net.to_torch(weights=weights).state_dict()
    assert list(module.state_dict()) == [key for key in whole if not key.startswith("fc.")]
    net.tapped(STEPS).to_onnx(tmp_path / "f.onnx", weights=weights)
    assert [o.name for o in onnx.load(tmp_path / "f.onnx").graph.output] == STEPS
    session = onnx_session(tmp_path / "f.onnx")
    agreement(expected, dict(zip(STEPS, session.run(None, {session.get_inputs()[0].name: x.numpy()}), strict=True)))


@pytest.mark.parametrize(
    ("spec", "model", "steps"),
    [
        ("resnet50", "resnet50", ["conv1", "layer1", "layer2", "layer3", "layer4"]),
        pytest.param(
            "mobilenet_v2", "mobilenetv2_100", [f"bottleneck.{i}" for i in (0, 1, 2, 4, 6)], marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.slow
def test_channels_and_strides_are_timms(spec: str, model: str, steps: list[str], torchvision: ModuleType) -> None:
    info = importlib.import_module("timm").create_model(model, features_only=True, pretrained=False).feature_info
    module = netspec.load(spec).features(steps)
    assert list(module.channels.values()) == info.channels()  # type: ignore[operator, union-attr]
    assert list(module.strides.values()) == info.reduction()  # type: ignore[operator, union-attr]


def test_one_feature_is_a_dict_too_and_a_title_is_a_name() -> None:
    module = netspec.load("resnet18", input=SIZE).features(["conv3_x"])
    made = module(torch.zeros(1, *SIZE))
    assert list(made) == ["conv3_x"] and tuple(made["conv3_x"].shape) == (1, 128, 12, 12)
    again = pickle.loads(pickle.dumps(module))
    assert (again.channels, again.strides) == ({"conv3_x": 128}, {"conv3_x": 8})


@pytest.mark.slow
def test_what_sees_the_whole_input_has_no_stride() -> None:
    module = netspec.load("googlenet").features(["3b", "fc"])
    assert module.strides == {"3b": 8, "fc": None} and module.channels == {"3b": 480, "fc": 1000}


@pytest.mark.slow
def test_features_after_a_pass_are_the_same(weights: Path) -> None:
    net, x = netspec.load("resnet18", input=SIZE), torch.from_numpy(images(SIZE, 2, 5))
    with torch.no_grad():
        plain, folded = (
            net.features(["layer2"], weights=weights, passes=passes)(x) for passes in ((), ["fold_batch_norm"])
        )
    agreement(plain, folded)


@pytest.mark.parametrize(
    ("steps", "said"),
    [(["layer9"], "did you mean 'layer"), ([], "list of paths"), ("layer1", "list of paths"), ([""], "no step ''")],
)
def test_a_step_that_is_not_there_is_named(steps: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        netspec.load("resnet18").features(steps)


@pytest.mark.slow
def test_a_picture_and_a_table_of_features_end_at_them() -> None:
    net = netspec.load("resnet18").tapped(["layer2"])
    assert [row["path"] for row in net.summary(depth=1).to_dict()][-1] == "layer2"
    assert "layer3" not in str(net.draw("dot"))


@pytest.mark.slow
def test_the_weights_are_those_of_the_whole_network() -> None:
    net = netspec.load("resnet18")
    whole, part = net.arrays(seed=3), net.tapped(["layer2"]).arrays(seed=3)
    assert part and all(np.array_equal(whole[key], value) for key, value in part.items())
