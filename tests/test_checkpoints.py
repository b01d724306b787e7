"""Checkpoints of torchvision and timm, with random values: every tensor is mapped, or what does not fit is listed."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import SPECS, TARGETS, images, network, onnx_run, onnx_session, randomise, smaller, torch_run
from safetensors.torch import save_file
from torch import nn

from netspec.cli.main import run
from netspec.diagnostics.errors import DataError
from netspec.network import Network

CHECKPOINTS = {v: t["checkpoint"] for v, t in TARGETS.items() if "checkpoint" in t}
QUICK = "squeezenet_11"
SIZE = (3, 224, 224)
OPTIONS: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {"act": "relu6"},
    "mobilenet_v3_large_075": {"eps": 1e-5},
    "mobilenet_v3_small_075": {"eps": 1e-5},
    "darknet53": {"slope": 0.01},
}
"""What the published weights were trained with and the paper does not have."""

State = dict[str, torch.Tensor]


def model(torchvision: ModuleType, name: str) -> nn.Module:
    """A model without weights by the name of its library: `torchvision:mobilenet_v2(width_mult=1.4)`."""
    found = re.fullmatch(r"(torchvision|timm):(\w+)(?:\((\w+)=([\d.]+)\))?", name)
    assert found
    # No time is spent on weights that are drawn again; but torchvision's RegNet computes its widths with tensors.
    with torch.device("cpu" if "regnet" in name else "meta"):
        if found[1] == "timm":
            empty = importlib.import_module("timm").create_model(found[2], pretrained=False)
        else:
            options: dict[str, Any] = {found[3]: float(found[4])} if found[3] else {}
            if found[2] in ("googlenet", "inception_v3"):
                options |= {"init_weights": False}
            if found[2] in torchvision.models.list_models(module=torchvision.models.segmentation):
                options |= {"weights_backbone": None, "aux_loss": not found[2].startswith("lraspp")}
            empty = torchvision.models.get_model(found[2], weights=None, **options)
    model = empty.to_empty(device="cpu")
    for name, buffer in model.named_buffers():
        buffer.fill_(1 if name.endswith("running_var") else 0)
    return model


def command(variant: str, weights: Path, out: Path, to: str = "onnx") -> subprocess.CompletedProcess[str]:
    """What `netspec compile SPEC --variant V --weights FILE --to TARGET -o OUT` gives, without a process of its own."""
    spec = SPECS / f"{TARGETS[variant]['family']}.yaml"
    line = ["compile", str(spec), "--variant", variant, "--weights", str(weights), "--to", to, "-o", str(out)]
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        code = run(line)
    said = [stream.buffer.getvalue().decode() for stream in streams]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(line, code, *said)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files, which are large, go when the test ends."""
    yield tmp_path
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.unlink()


def save(state: State, path: Path) -> Path:
    """Writes a state with torch.save or as safetensors."""
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    return path


KINDS = {
    *("resnet50", "resnetv2_50", "se_resnet50", "mobilenet_v3_small", "regnet_y_400mf", "fcn_resnet50"),
    "lraspp_mobilenet_v3_large",
}
"""Networks with other blocks than the first of their family."""
LONG = {"nasnet_a_large", "pnasnet5_large", "inception_resnet_v2", "vgg_a", "inception_v4", "deeplabv3_resnet50"}
"""Those that take ten seconds each."""


def marks(variant: str) -> list[pytest.MarkDecorator]:
    """One of each kind is slow; what differs from it by numbers alone is left to parity, which compares all."""
    first = next(v for v in CHECKPOINTS if TARGETS[v]["family"] == TARGETS[variant]["family"])
    full = variant not in {QUICK, first, *KINDS} or variant in LONG
    return [pytest.mark.slow] * (variant != QUICK) + [pytest.mark.full] * full


@pytest.mark.parametrize("variant", [pytest.param(v, marks=marks(v)) for v in CHECKPOINTS])
def test_a_checkpoint_gives_the_outputs_of_its_library(
    torchvision: ModuleType,
    variant: str,
    folder: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Within 1e-4 in float32. Some drawn networks amplify rounding, or depend little on the image: of these, what
    depends on it is compared in float64, on small images, and onnxruntime, which has float32 alone, may be a hundred
    times as far from float64 as the library's own float32 is, and within 1 %.
    """
    size = TARGETS[variant]["input"]
    if not request.config.getoption("--full-size"):
        size = smaller(variant, size, **OPTIONS.get(variant, {}))
    theirs = randomise(model(torchvision, CHECKPOINTS[variant]), size, 0)
    weights = save(theirs.state_dict(), folder / "weights.safetensors")
    net, expected, by_torch, by_onnx = compare(variant, theirs, weights, size, folder)
    scale = np.abs(expected).max()
    error_onnx, error_torch = (float(np.abs(v - expected).max() / scale) for v in (by_onnx, by_torch))
    rough = max(error_onnx, error_torch) > 1e-4 or np.abs(expected[0] - expected[1]).max() < 0.02 * scale
    for name, value in (
        ("tensors", len(net.inference.tensors())),
        ("onnxruntime", error_onnx),
        ("torch", error_torch),
        ("float64", rough),
    ):
        record_property(name, value)
    if not rough:
        agreement(expected, by_onnx, tol=1e-4)
        return agreement(expected, by_torch, tol=1e-4)
    x = images(size, 2, 5).astype(np.float64)
    double, ours = torch_run(theirs.double(), x), torch_run(net.to_torch(weights=weights).double(), x)
    mean, spread = double.mean(0), np.abs(double - double.mean(0)).max()
    assert spread > 1e-3 * np.abs(double).max()
    agreement((double - mean) / spread, (ours - mean) / spread, tol=1e-8)
    assert np.abs(by_onnx - double).max() <= 100 * np.abs(expected - double).max()
    assert np.abs(by_onnx - double).max() <= 1e-2 * np.abs(double).max()
    return None


def compare(
    variant: str, theirs: nn.Module, weights: Path, size: Sequence[int], folder: Path
) -> tuple[Network, np.ndarray, np.ndarray, np.ndarray]:
    """The network at a size, and what the library, PyTorch and onnxruntime give for two images, with one checkpoint."""
    net, x = network(variant, input=tuple(size), **OPTIONS.get(variant, {})), images(size, 2, 5)
    net.to_onnx(folder / "net.onnx", weights=weights)
    return (
        net,
        torch_run(theirs, x),
        torch_run(net.to_torch(weights=weights), x),
        onnx_run(onnx_session(folder / "net.onnx"), x),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, suffix",
    [
        (QUICK, ".safetensors"),
        *(
            pytest.param(v, suffix, marks=pytest.mark.slow)
            for v, suffix in ((QUICK, ".pth"), ("resnet18", ".pth"), ("resnet18", ".safetensors"))
        ),
    ],
)
@pytest.mark.quick(1)
def test_a_checkpoint_by_the_command(torchvision: ModuleType, variant: str, suffix: str, folder: Path) -> None:
    theirs = randomise(model(torchvision, CHECKPOINTS[variant]), SIZE, 1)
    x = images(SIZE, 3, 6)
    done = command(variant, save(theirs.state_dict(), folder / f"weights{suffix}"), folder / "net.onnx")
    assert done.returncode == 0, done.stderr
    agreement(torch_run(theirs, x), onnx_run(onnx_session(folder / "net.onnx"), x), tol=1e-4)


@pytest.mark.parametrize("variant", [pytest.param(v, marks=pytest.mark.slow) for v in ("squeezenet_11", "resnet50")])
def test_a_checkpoint_gives_torchvisions_outputs_in_the_written_source(
    torchvision: ModuleType, variant: str, folder: Path
) -> None:
    theirs = randomise(model(torchvision, CHECKPOINTS[variant]), SIZE, 2)
    done = command(variant, save(theirs.state_dict(), folder / "weights.pth"), folder / "net.py", "torch")
    assert done.returncode == 0, done.stderr
    space: dict[str, Any] = {"__name__": "net"}
    exec(compile((folder / "net.py").read_text(encoding="utf-8"), "net.py", "exec"), space)
    name = variant.replace("_", "").lower()
    module = next(v for k, v in space.items() if k.lower() == name)()
    module.load_state_dict(torch.load(folder / "net.pth", weights_only=True))
    x = images(SIZE, 2, 8)
    agreement(torch_run(theirs, x), torch_run(module, x), tol=1e-4)


@pytest.fixture(scope="module")
def resnet18(torchvision: ModuleType) -> nn.Module:
    """One model whose state the tests below spoil in copies."""
    return randomise(model(torchvision, "torchvision:resnet18"), SIZE, 3)


def drop(state: State) -> str:
    del state["layer2.0.downsample.1.running_var"]
    return r"missing in the file \(1\):\n    layer2\.0\.shortcut\.downsample\.bn\.running_var"


def add(state: State) -> str:
    state["layer5.0.conv1.weight"] = torch.zeros(3)
    state["surprise"] = torch.zeros(3)
    return r"unexpected in the file \(2\):\n    layer5\.0\.conv1\.weight .*\n    surprise"


def narrow(state: State) -> str:
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"][:, :32].clone()
    return r"layer1\.0\.conv1\.weight: 64x32x3x3 in the file, 64x64x3x3 in the network"


def everything(state: State) -> str:
    return ".*".join((drop(state), add(state), narrow(state)))


@pytest.mark.parametrize(
    "spoil, to",
    [
        (everything, "onnx"),
        (drop, "onnx"),
        (add, "onnx"),
        (narrow, "onnx"),
        (everything, "torch"),
    ],
)
@pytest.mark.slow
def test_tensors_that_do_not_fit_are_listed_and_nothing_is_written(
    resnet18: nn.Module, spoil: Callable[[State], str], to: str, folder: Path
) -> None:
    state = resnet18.state_dict()
    message = spoil(state)
    weights = save(state, folder / "weights.safetensors")
    (folder / "out").mkdir()
    done = command("resnet18", weights, folder / "out" / "net", to)
    assert done.returncode == 1, done.stderr
    assert re.search(message, done.stderr, re.DOTALL), done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert [f for f in folder.rglob("*") if f.is_file()] == [weights]


@pytest.mark.slow
def test_a_checkpoint_of_another_variant_is_refused(resnet18: nn.Module, folder: Path) -> None:
    done = command("resnet34", save(resnet18.state_dict(), folder / "weights.pth"), folder / "net.onnx")
    assert done.returncode == 1
    assert "layer1.2" in done.stderr and not (folder / "net.onnx").exists()


def test_a_pickle_that_runs_code_is_refused(folder: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (folder / "ran",)

    torch.save({"conv1.weight": Attack()}, folder / "weights.pth")
    done = command("resnet18", folder / "weights.pth", folder / "net.onnx")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "ran").exists() and not (folder / "net.onnx").exists()


def zero(key: str) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        state[key] = torch.zeros_like(state[key])

    return spoil


def swap(one: str, other: str) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        assert state[one].shape == state[other].shape
        state[one], state[other] = state[other], state[one]

    return spoil


SPOILED = [
    swap("layer1.0.conv1.weight", "layer1.0.conv2.weight"),
    zero("layer3.1.bn2.bias"),
    zero("conv1.weight"),
    zero("layer4.0.downsample.1.running_mean"),
    zero("fc.bias"),
    swap("layer4.1.bn1.weight", "layer4.1.bn2.weight"),
    swap("bn1.running_mean", "bn1.bias"),
    swap("bn1.running_var", "bn1.weight"),
    swap("layer2.0.downsample.1.weight", "layer2.0.bn2.weight"),
]


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILED)
def test_the_comparison_sees_a_lost_and_a_swapped_tensor(
    resnet18: nn.Module, spoil: Callable[[State], None], folder: Path
) -> None:
    state = dict(resnet18.state_dict())
    spoil(state)
    weights = save(state, folder / "weights.safetensors")
    x = images(SIZE, 2, 9)
    network("resnet18").to_onnx(folder / "net.onnx", weights=weights)
    with pytest.raises(AssertionError, match=r"max\|a - b\|"):
        agreement(torch_run(resnet18, x), onnx_run(onnx_session(folder / "net.onnx"), x), tol=1e-4)


@pytest.mark.slow
def test_auxiliary_heads_are_loaded_for_training_and_may_be_missing_otherwise(
    torchvision: ModuleType, folder: Path
) -> None:
    theirs = model(torchvision, "torchvision:googlenet")
    for tensor in theirs.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape))
    state, net = theirs.state_dict(), network("googlenet_torchvision")
    path = save(state, folder / "weights.safetensors")
    arrays = net.arrays(weights=path, training=True)
    assert sum(a.size for k, a in arrays.items() if "running" not in k) == 13_004_888
    for key, ours in (
        ("aux1.conv.conv.weight", "aux1.aux_head.conv.conv.weight"),
        ("aux2.fc1.bias", "aux2.aux_head.fc1.bias"),
        ("aux2.fc2.weight", "aux2.aux_head.fc2.weight"),
    ):
        assert np.array_equal(arrays[ours], state[key].numpy())
    assert net.arrays(weights=path).keys() == net.inference.tensors().keys()
    bare = save({k: v for k, v in state.items() if not k.startswith("aux")}, folder / "bare.safetensors")
    assert net.arrays(weights=bare).keys() == net.inference.tensors().keys()
    with pytest.raises(DataError, match=r"aux1\.aux_head\.conv\.conv\.weight"):
        net.arrays(weights=bare, training=True)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_checkpoint_by_the_specs_own_names(suffix: str, folder: Path) -> None:
    from netspec.weights.initialise import draw

    net = network("squeezenet_complex_bypass")
    arrays = draw(net.inference, 4)
    path = folder / f"own{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save({k: torch.from_numpy(v) for k, v in arrays.items()}, path)
    found = net.arrays(weights=path)
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[k], v) for k, v in arrays.items())
