"""What the tests of `netspec run` share: models of one op."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

CASES = Path(__file__).with_name("cases")
Netspec = Callable[..., tuple[int, str, str]]
IMAGE = ("n", 3, "h", "w")


def model(path: str, op: str, inputs: dict[str, tuple[int, Any]], result: int, dims: Any = None, **attrs: Any) -> str:
    """A model of one op, by the element types and the shapes of its inputs."""
    infos = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    out = helper.make_tensor_value_info("y", result, dims)
    graph = helper.make_graph([helper.make_node(op, list(inputs), ["y"], **attrs)], "g", infos, [out])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    Path(path).write_bytes(made.SerializeToString())
    return path


def identity(kind: int = TensorProto.FLOAT, shape: Any = ("n", 3)) -> str:
    return model("m.onnx", "Identity", {"x": (kind, shape)}, kind, shape)
