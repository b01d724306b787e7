"""Values of a checkpoint that are not weights: other types, NaN, what single precision does not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_checkpoints import small, tensors
from safetensors.numpy import save_file

import netspec
from netspec.backend import read_checkpoint
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError
from netspec.network import CheckpointWarning, Network
from netspec.weights.checkpoints.files import states_of
from netspec.weights.checkpoints.stored import Need


@pytest.fixture
def net(tmp_path: Path) -> Network:
    return small(tmp_path)


def test_float8_tensors_are_what_torch_has(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    codes = torch.arange(256, dtype=torch.uint8)
    kinds = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
    save_torch({k: codes.clone().view(t) for k, t in kinds.items()}, tmp_path / "w.safetensors")
    (state,) = states_of(tmp_path / "w.safetensors", Need(), read_checkpoint)
    for key, kind in kinds.items():
        np.testing.assert_array_equal(state.tensors[key].read(), codes.view(kind).float().numpy())


def test_types_that_are_no_weights(net: Network, tmp_path: Path) -> None:
    rest = {k: v for k, v in net.arrays().items() if k != "bn.weight"}
    for dtype in ("F8_E8M0", "I8", "BOOL", "U8"):
        header = {k: {"dtype": "F32", "shape": list(v.shape), "data_offsets": [0, 0]} for k, v in rest.items()}
        header["bn.weight"] = {"dtype": dtype, "shape": [8], "data_offsets": [0, 0]}
        data, at = b"", 0
        for key, entry in header.items():
            part = rest[key].tobytes() if key in rest else bytes(8)
            entry["data_offsets"], at = [at, at + len(part)], at + len(part)
            data += part
        (tmp_path / "w.safetensors").write_bytes(tensors(header, data))
        with pytest.raises(DataError, match=r"bn\.weight: \w+ in the file, a network's weights are float|read"):
            net.arrays(weights=tmp_path / "w.safetensors")


# Values
@pytest.mark.parametrize(
    "key, value, message",
    [
        ("fc.weight", np.nan, "NaN in fc.weight"),
        ("bn.running_mean", np.inf, "infinite values in bn.running_mean"),
        ("c.bias", -np.inf, "infinite values in c.bias"),
        ("bn.running_var", -0.5, "negative variances in bn.running_var"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
def test_values_that_are_no_weights_are_warned_of(
    net: Network, key: str, value: float, message: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = net.arrays(seed=1)
    arrays[key].flat[3] = value
    path = tmp_path / f"w{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".pth":
        torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, path)
    else:
        save_file(arrays, path)
    with pytest.warns(CheckpointWarning, match=f"the checkpoint has {message}"):
        net.arrays(weights=path)
    if (key, suffix) == ("fc.weight", ".npz"):
        line = ["compile", str(tmp_path / "n.yaml"), "--to", "onnx", "--weights", str(path)]
        assert run([*line, "-o", str(tmp_path / "loose.onnx")]) == 0
        assert f"warning[NS604]: the checkpoint has {message}" in capsys.readouterr().err
        assert run([*line, "-o", str(tmp_path / "strict.onnx"), "--strict"]) == 1
        assert f"error[NS604]: the checkpoint has {message}" in capsys.readouterr().err
        assert not (tmp_path / "strict.onnx").exists()


@pytest.mark.slow
def test_the_first_tensors_are_named(tmp_path: Path) -> None:
    net = netspec.load("resnet18")
    np.savez(
        tmp_path / "w.npz", **{k: np.full_like(v, np.nan) if "bn.running" in k else v for k, v in net.arrays().items()}
    )
    with pytest.warns(CheckpointWarning, match=r"NaN in conv1\.bn\.running_mean, .*, and 35 more$"):
        net.arrays(weights=tmp_path / "w.npz")


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
def test_a_double_beyond_single_is_an_error(net: Network, suffix: str, tmp_path: Path) -> None:
    arrays = {k: v.astype(np.float64) for k, v in net.arrays(seed=1).items()}
    path = tmp_path / f"w{suffix}"
    for value, wrong in ((1e39, True), (-1e300, True), (3.4e38, False), (1e-300, False)):
        arrays["fc.bias"][2] = value
        if suffix == ".npz":
            np.savez(path, **arrays)
        elif suffix == ".pth":
            torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, path)
        else:
            save_file(arrays, path)
        if wrong:
            with pytest.raises(DataError, match="fc.bias has float64 values beyond float32"):
                net.arrays(weights=path)
        else:
            assert net.arrays(weights=path)["fc.bias"][2] == np.float32(value)
