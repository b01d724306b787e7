"""Arrays by TensorFlow's names and layouts, against a network that computes on N x H x W x C as TensorFlow does."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.diagnostics.errors import DataError
from netspec.network import CheckpointWarning
from netspec.weights.checkpoints.tensorflow import NOTE

SPEC = """\
netspec: 1
name: n
input: [3, 6, 6]
body:
  - conv1 = conv: [4, 3]
  - bn1 = batch_norm: {eps: 1.0e-3}
  - relu
  - dw = conv: {out: 8, kernel: 3, groups: 4}
  - flatten
  - relu
  - dropout: 0.5
  - fc1 = linear: 5
  - fc2 = linear: 2
"""


def conv(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A valid convolution of N x H x W x C with a kernel of H x W x in x out."""
    h, w = kernel.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(1, 2))
    return np.einsum("nyxihw,hwio->nyxo", windows, kernel)


def depthwise(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Kernel of H x W x channels x multiplier; output channel c * multiplier + m."""
    h, w, c, m = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(1, 2))
    return np.einsum("nyxihw,hwim->nyxim", windows, kernel).reshape(*windows.shape[:3], c * m)


def weights(keras: bool) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    kernel, bias, end = ("kernel", "bias", ":0") if keras else ("weights", "biases", "")

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    found = {
        f"conv1/{kernel}": drawn(3, 3, 3, 4),
        f"conv1/{bias}": drawn(4),
        "bn1/gamma": drawn(4),
        "bn1/beta": drawn(4),
        "bn1/moving_mean": drawn(4),
        "bn1/moving_variance": drawn(4) ** 2 + 0.1,
        f"dw/depthwise_{kernel}": drawn(3, 3, 4, 2),
        f"dw/{bias}": drawn(8),
        f"fc1/{kernel}": drawn(32, 5),
        f"fc1/{bias}": drawn(5),
        f"fc2/{kernel}": drawn(5, 2),
        f"fc2/{bias}": drawn(2),
    }
    return {key + end: value for key, value in found.items()}


def forward(w: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The network as TensorFlow computes it."""
    by = {key.removesuffix(":0").replace("weights", "kernel").replace("biases", "bias"): v for key, v in w.items()}
    x = conv(x, by["conv1/kernel"]) + by["conv1/bias"]
    x = (x - by["bn1/moving_mean"]) / np.sqrt(by["bn1/moving_variance"] + 1e-3) * by["bn1/gamma"] + by["bn1/beta"]
    x = depthwise(np.maximum(x, 0), by["dw/depthwise_kernel"]) + by["dw/bias"]
    x = np.maximum(x.reshape(len(x), -1), 0)
    return (x @ by["fc1/kernel"] + by["fc1/bias"]) @ by["fc2/kernel"] + by["fc2/bias"]


@pytest.mark.parametrize("keras", [True, False], ids=["Keras", "Slim"])
@pytest.mark.parametrize("prefix", ["", "net/"])
def test_names_and_layouts_of_tensorflow(keras: bool, prefix: str, tmp_path: Path) -> None:
    import torch

    (tmp_path / "n.yaml").write_text(SPEC, encoding="utf-8")
    given = weights(keras)
    np.savez(tmp_path / "w.npz", **{prefix + key: value for key, value in given.items()})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = netspec.load(tmp_path / "n.yaml").to_torch(weights=tmp_path / "w.npz")
    assert [str(w.message) for w in caught if w.category is CheckpointWarning] == [
        NOTE,
        *(["stripped `net.` from the names"] if prefix else []),
    ]
    x = np.random.default_rng(4).standard_normal((2, 6, 6, 3), np.float32)
    ours = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    np.testing.assert_allclose(ours, forward(given, x), rtol=1e-3, atol=1e-3)


def test_an_order_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(
        """\
netspec: 1
name: n
input: [3, 4, 4]
body:
  - concat:
      a: [flatten]
      b: [global_avg_pool, flatten]
  - fc = linear: 2
""",
        encoding="utf-8",
    )
    np.savez(tmp_path / "w.npz", **{"fc/kernel": np.ones((51, 2), np.float32), "fc/bias": np.ones(2, np.float32)})
    with pytest.raises(DataError, match="'fc' reads several flattened maps"):
        netspec.load(tmp_path / "n.yaml").arrays(weights=tmp_path / "w.npz")
