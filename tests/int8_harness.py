"""What the tests of models in int8 share: a network, images that are unlike each other, and what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from netspec_onnx.options import OnnxOptions

from netspec.backend import Written, get
from netspec.network import load
from netspec.weights.initialise import draw

SPEC = """\
netspec: 1
name: net
use: [blocks/common]
input: [3, 16, 16]
body:
  - stem = conv_bn_relu: [8, 3]
  - body = conv_bn_relu: [12, 3]
  - join = add:
      deep:
        - one = conv_bn_relu: [12, 3]
        - two = conv_bn: [12, 3]
      side: []
  - global_avg_pool
  - flatten
  - fc = linear: 4
"""
INT8 = OnnxOptions(dtype="int8", calibrate="images.npz")


def pictures(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """Images that are unlike each other, as photographs are: each has its colour, its contrast and a slope."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-1, 1, size)[:, None] * rng.standard_normal((count, 3, 1, 1))
    detail = rng.standard_normal((count, 3, size, size)) * rng.uniform(0.2, 1, (count, 1, 1, 1))
    return np.asarray(rng.standard_normal((count, 3, 1, 1)) + slope + detail, np.float32)


def written(options: OnnxOptions, name: str = "q.onnx", spec: str = "net.yaml") -> tuple[Written, onnx.ModelProto]:
    graph = load(spec).inference
    done = get("onnx").emit(graph, draw(graph, 1), Path(name), options)
    return done, onnx.load(name)


def outputs(name: str, images: np.ndarray) -> np.ndarray:
    run = ort.InferenceSession(name, providers=["CPUExecutionProvider"])
    return np.concatenate([run.run(None, {"input": image[None]})[0] for image in images]).astype(np.float64)
