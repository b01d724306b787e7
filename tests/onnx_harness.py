"""Networks that are written as ONNX models, and what is read of those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from netspec_onnx.options import OnnxOptions
from parity import onnx_session

import netspec
from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.weights.initialise import draw

ONNX = get("onnx")


HEAD = "netspec: 1\nname: net\ntitle: A net of the tests\ninput: [4, 12, 12]\nuse: [blocks/common]\n"


NESTED = """\
blocks:
  unit:
    doc: A convolution, normalised
    params: {width: int, act: {type: block, default: relu}}
    body:
      - conv_bn: [=width, 3]
      - act
  stage:
    params: {width: int, n: int}
    body:
      - add:
          main:
            - unit: =width
              repeat: n
          side: [conv: [=width, 1]]
body:
  - a = stage: [6, 2]
  - b = stage: [6, 2]
  - c = stage: [6, 3]
  - d = unit: {width: 5, act: {leaky_relu: 0.1}}
  - e = unit: 5
"""


SHARED = """\
blocks:
  unit:
    body: [conv: {out: 4, kernel: 3, pad: 1, bias: false}, batch_norm, relu]
body:
  - one = unit
  - two = unit:
    share: one
  - three = unit:
    share: {of: one, own: [batch_norm]}
  - loop = unit:
    repeat: 3
    share: true
  - last = conv: [4, 1]
  - again = conv: [4, 1]
    share: last
"""


SEVERAL = """\
blocks:
  cell:
    inputs: [cur, prev]
    outputs: [new, cur]
    body:
      - new = add:
          a: {from: cur, do: [conv: {out: 4, kernel: 3, pad: 1}, relu]}
          b: {from: prev, do: [conv: [4, 1]]}
  pair:
    outputs: [left, right]
    body:
      - s = split: {parts: [1, 3]}
      - left = conv: [4, 1]
        from: s.0
      - right = conv: [4, 1]
        from: s.1
body:
  - p = pair
  - cells = cell:
    repeat: 3
  - join = concat:
    from: [cells.new, cells.cur]
  - gate = mul:
      main: []
      gate: [global_avg_pool, conv: [8, 1], sigmoid]
  - head = tee: [flatten, linear: 3]
outputs: {map: gate, join: head, same: gate, scores: head, x0: input}
"""


RECURSIVE = """\
blocks:
  fractal:
    params: {depth: int}
    body:
      - mean:
          short: [conv: {out: 4, kernel: 3, pad: 1}]
          long:
            do:
              - fractal: =depth - 1
                repeat: 2
            only_if: depth > 1
body:
  - fractal: 4
"""


SPECS = {"nested": NESTED, "shared": SHARED, "several": SEVERAL, "recursive": RECURSIVE}


def load(folder: Path, text: str, head: str = HEAD) -> Graph:
    path = folder / "net.yaml"
    path.write_text(head + text, encoding="utf-8")
    return netspec.load(path).inference


def emit(graph: Graph, folder: Path, name: str = "net.onnx", **options: Any) -> onnx.ModelProto:
    ONNX.emit(graph, draw(graph, 1), folder / name, OnnxOptions(**options))
    return onnx.load(folder / name)


def ort_run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnx_session(path)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def shapes(values: Any) -> dict[str, tuple[int | str | None, ...]]:
    """Of each value a number or a symbol for each dimension, None for one that is open."""

    def size(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
        kind = dim.WhichOneof("value")
        return kind and getattr(dim, kind)

    return {v.name: tuple(map(size, v.type.tensor_type.shape.dim)) for v in values}
