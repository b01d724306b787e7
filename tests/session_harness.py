"""What the tests of sessions and of devices share: a small network in a file, values for it, and what it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

import netspec

SPEC = """\
netspec: 1
name: net
input: [4, 12, 12]
use: [blocks/common]
body: [conv_bn_relu: [6, 3], flatten, linear: 5]
"""


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def written(folder: Path) -> Path:
    """The network as ONNX; its spec is next to it."""
    (folder / "net.yaml").write_text(SPEC, encoding="utf-8")
    netspec.load(folder / "net.yaml").to_onnx(folder / "net.onnx", seed=1)
    return folder / "net.onnx"


def plain(path: Path, value: np.ndarray) -> np.ndarray:
    """What onnxruntime alone gives."""
    found = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"input": value})[0]
    assert isinstance(found, np.ndarray)
    return found
