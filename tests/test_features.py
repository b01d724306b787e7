"""Values of steps as outputs: those of torchvision's layers with the same weights, channels and strides as timm's."""

from __future__ import annotations

import importlib
import pickle
import runpy
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
from netspec.cli.main import run
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
        ("efficientnet_b0", "efficientnet_b0", [f"stage{i}" for i in (2, 3, 4, 6, 8)]),
        ("mobilenet_v3_large", "mobilenetv3_large_100", [*(f"bneck.{i}" for i in (0, 2, 5, 11)), "conv2"]),
        ("se_resnet50", "seresnet50", ["conv1", "layer1", "layer2", "layer3", "layer4"]),
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
    [
        (["layer9"], "did you mean 'layer"),
        ([], "no step is named"),
        ("layer9", "did you mean 'layer"),
        ([""], "no step ''"),
        (["layer1", "layer2", "layer1"], "the step 'layer1' is named twice"),
    ],
)
def test_a_step_that_is_not_there_is_named(steps: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        netspec.load("resnet18").features(steps)


@pytest.mark.slow
def test_the_command_line_ends_a_network_at_steps(
    resnet18: nn.Module, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same values by name in both targets, in the order asked; channels and strides as timm has them."""
    x, line = torch.from_numpy(images(SIZE, 2, 5)), ["compile", "resnet18", "--input", "3x96x96"]
    line += ["--features", "layer3,layer1", "--features", "layer4", "--weights", str(weights)]
    expected = hooked(resnet18, STEPS, x)
    assert run([*line, "--to", "torch", "-o", str(tmp_path / "net.py")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == [
        "layer3: 256 channels, stride 16",
        "layer1: 64 channels, stride 4",
        "layer4: 512 channels, stride 32",
    ]
    module = runpy.run_path(str(tmp_path / "net.py"))["load"]()
    assert list(module.channels.items()) == [("layer3", 256), ("layer1", 64), ("layer4", 512)]
    assert module.strides == {"layer3": 16, "layer1": 4, "layer4": 32}
    with torch.no_grad():
        found = module(x)
    assert list(found) == STEPS
    agreement(expected, found)
    assert run([*line, "--to", "onnx", "-o", str(tmp_path / "net.onnx")]) == 0
    session = onnx_session(tmp_path / "net.onnx")
    assert [o.name for o in session.get_outputs()] == STEPS
    agreement(expected, dict(zip(STEPS, session.run(None, {session.get_inputs()[0].name: x.numpy()}), strict=True)))
    assert run(["compile", "resnet18", "--features", "layer1,layr4", "--to", "onnx"]) == 2
    assert "did you mean 'layer4'?" in capsys.readouterr().err


@pytest.mark.slow
def test_a_head_is_cut_off_and_the_rest_of_a_checkpoint_fits(
    resnet18: nn.Module, weights: Path, tmp_path: Path
) -> None:
    """One step is a tensor; files of the whole, of other classes, and of the part alone are all taken."""
    x = torch.from_numpy(images(SIZE, 2, 5))
    expected = hooked(resnet18, ["avgpool"], x)["avgpool"]
    net = netspec.load("resnet18", input=SIZE).tapped(["avgpool"])
    state = resnet18.state_dict()
    save_file({**state, "fc.weight": torch.ones(7, 512), "fc.bias": torch.ones(7)}, tmp_path / "seven.safetensors")
    save_file({k: v for k, v in state.items() if not k.startswith("fc.")}, tmp_path / "part.safetensors")
    for file in (weights, tmp_path / "seven.safetensors", tmp_path / "part.safetensors"):
        with torch.no_grad():
            agreement(expected, net.to_torch(weights=file)(x))


@pytest.mark.slow
def test_features_are_trained_with_what_the_network_drops() -> None:
    """torchvision's EfficientNet-B0 drops paths in the blocks with a shortcut: 9 of 16."""
    steps = ["stage3", "stage8"]
    module = netspec.load("efficientnet_b0", input=(3, 64, 64)).features(steps, training=True, freeze=["stage1"])
    drops = [part for part in module.modules() if type(part).__name__ == "DropPath"]
    assert len(drops) == 9 and module.training and not module.stage1.training  # type: ignore[union-attr]
    found = module(torch.zeros(2, 3, 64, 64))
    assert list(found) == steps and found["stage8"].requires_grad
    heads = netspec.load("googlenet").tapped(["aux1", "3b"])
    assert [str(o.ref.node) for o in heads.trained.outputs.values()][1].startswith("3b.")


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "step", "taken", "left"),
    [
        ("faster_rcnn", "base.layer1", "image", ["rois"]),
        ("faster_rcnn_fpn", "base.layer1", "image", ["rois2", "rois3", "rois4", "rois5"]),
        ("light_head_rcnn", "base.layer1", "image", ["rois"]),
        ("siamese", "second", "right", ["left"]),
    ],
)
def test_an_input_that_nothing_is_computed_of_any_more_goes(
    spec: str, step: str, taken: str, left: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the module, the source, the file and the session; the second branch of two reads the weights of the first."""
    size = {"image": [3, 64, 64]} if taken == "image" else None
    net = netspec.load(spec, input=size)
    assert [str(node.path) for node in net.graph.inputs if node.path != taken] == left
    part = net.tapped([step])
    assert [str(node.path) for node in part.graph.inputs] == [taken] == [*netspec.Session(part, threads=1).inputs]
    x = torch.randn(2, *map(int, part.graph.inputs[0].shape[1:]), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net.features([step])(x)
        args = [str(tmp_path / "made.py"), "--input", "image=3x64x64"][: 3 if size else 1]
        assert run(["compile", spec, "--features", step, "--to", "torch", "-o", *args]) == 0
        assert f"{', '.join(left)}: no input, as nothing that is left is computed of it" in capsys.readouterr().err
        source = runpy.run_path(str(tmp_path / "made.py"))["load"]()
        agreement(expected, {step: source(x)})
    part.to_onnx(tmp_path / "made.onnx")
    session = onnx_session(tmp_path / "made.onnx")
    assert [value.name for value in session.get_inputs()] == [taken]
    agreement(expected, {step: session.run(None, {taken: x.numpy()})[0]})


def test_an_input_that_is_read_stays() -> None:
    net = netspec.load("siamese")
    assert [str(node.path) for node in net.tapped(["first", "second"]).graph.inputs] == ["left", "right"]
