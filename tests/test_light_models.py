"""The `light_*.onnx` of the pip package onnx: networks of Caffe2 whose weights are constants, against specs of ours.

`graph_of` has the map from what Caffe2 wrote to steps: weights made by ConstantOfShape are drawn, Dropout, Reshape and
Flatten are left out, Sum is Add, a BatchNormalization with the Mul and Add of its scale and shift is one step, an
AveragePool of the whole map is global, a convolution behind it is a Gemm, and the three nodes of a channel shuffle are
one step.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import agreement
from onnx import TensorProto, helper, numpy_helper

import netspec
from netspec.backend import Runs, able
from netspec.ir.graph import Graph, Ref
from netspec.weights.initialise import draw

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
PAGE = (Path(__file__).resolve().parent.parent / "docs" / "parity.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Light:
    """A file, the network of ours that has its geometry, and the size at which outputs are compared."""

    network: str
    size: int
    other: str = ""
    """How the network that the file is called after differs from it."""


MODELS = {
    "bvlc_alexnet": Light("alexnet_caffe2", 96, "LRN with k = 1 and another alpha, images of 224 x 224"),
    "densenet121": Light("densenet121", 64),
    "inception_v1": Light("googlenet_caffe2", 96, "pooling is rounded down"),
    "inception_v2": Light("bn_inception_caffe2", 64, "average pools do not count the zeros around a map"),
    "resnet50": Light("resnet50", 64),
    "shufflenet": Light(
        "shufflenet_caffe2",
        224,
        "4 groups in every unit, inner layers as wide as its output, pools without the zeros around a map",
    ),
    "squeezenet": Light("squeezenet_11", 64),
    "vgg19": Light("vgg19", 32),
    "zfnet512": Light("zfnet512", 96, "512 maps in conv3 to conv5, 1024 features in fc7"),
}
COUNTED = (
    "Conv",
    "Gemm",
    "BatchNormalization",
    "LRN",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
    "Relu",
    "Add",
)


@dataclass(frozen=True)
class Step:
    """A step of either network: what it computes, of which values, with which tensors by their role."""

    op: str
    facts: tuple[object, ...]
    inputs: tuple[str, ...]
    tensors: Mapping[str, str] = field(default_factory=dict)


Steps = dict[str, Step]


def rounded(*numbers: float) -> tuple[float, ...]:
    """Numbers that were float32 once."""
    return tuple(float(f"{number:.5g}") for number in numbers)


# Files


@dataclass
class File:
    """A file, with what its values are called and how large they are."""

    model: onnx.ModelProto

    def __post_init__(self) -> None:
        graph = onnx.shape_inference.infer_shapes(self.model).graph
        known = [*graph.value_info, *graph.input, *graph.output]
        self.shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in known}
        self.same: dict[str, str] = {}
        """Values that are another one, by name."""
        self.constants = {n.output[0] for n in graph.node if n.op_type == "ConstantOfShape"}
        self.constants |= {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
        readers: dict[str, list[str]] = {}
        for node in graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node.op_type)
        self.shuffles = {n.output[0] for n in graph.node if readers.get(n.output[0]) == ["Transpose"]}

    def value(self, name: str) -> str:
        """A value under the name of the step that makes it."""
        while name in self.same:
            name = self.same[name]
        return name

    def leaves_out(self, node: onnx.NodeProto) -> bool:
        """Whether a node is none in the map."""
        kind, of = node.op_type, self.value(node.input[0])
        scales = kind in ("Mul", "Add") and self.value(node.input[1]) in self.constants
        reshapes = kind in ("Reshape", "Flatten") and node.output[0] not in self.shuffles
        return scales or reshapes or kind in ("Dropout", "Unsqueeze", "Transpose", "Softmax") or of in self.constants


def step_of(file: File, node: onnx.NodeProto) -> Step:
    """A node as a step."""
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    kind, shape = node.op_type, file.shapes[node.output[0]]
    values = [file.value(name) for name in node.input]
    inputs = tuple(name for name in values if name not in file.constants)
    window = tuple(attrs.get("kernel_shape", ())), tuple(attrs.get("strides", (1, 1)))
    if kind in ("Conv", "Gemm"):
        tensors = dict(zip(("weight", "bias"), values[1:], strict=False))
        weight = file.shapes[node.input[1]]
        if kind == "Gemm" or file.shapes[node.input[0]][2:] == (1, 1):
            return Step("Gemm", (weight[:2],), inputs[:1], tensors)
        return Step("Conv", (weight, window[1], attrs.get("group", 1), shape[1:]), inputs[:1], tensors)
    if kind == "BatchNormalization":
        tensors = dict(zip(("weight", "bias", "running_mean", "running_var"), values[1:], strict=True))
        return Step(kind, rounded(attrs.get("epsilon", 1e-5)), inputs[:1], tensors)
    if kind == "LRN":
        return Step(kind, (attrs["size"], *rounded(attrs["alpha"], attrs["beta"], attrs["bias"])), inputs)
    if kind == "AveragePool" and shape[2:] == (1, 1) or kind == "GlobalAveragePool":
        return Step("GlobalAveragePool", (), inputs)
    if kind in ("MaxPool", "AveragePool"):
        return Step(kind, (*window, shape[1:]), inputs)
    if kind == "Reshape":
        return Step("Shuffle", (file.shapes[node.output[0]][1],), inputs[:1])
    return Step({"Sum": "Add"}.get(kind, kind), (), inputs)


def steps_of_file(model: onnx.ModelProto) -> tuple[Steps, str]:
    """The steps of a file by the name of their value, and the name of the last one."""
    file, steps, last = File(model), Steps(), ""
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            continue
        of = file.value(node.input[0])
        if file.leaves_out(node):
            file.same[node.output[0]] = of
            if node.op_type in ("Mul", "Add") and of in steps:  # the scale and shift of the batch norm before them
                role = {"Mul": "scale", "Add": "shift"}[node.op_type]
                norm = steps[of]
                assert norm.op == "BatchNormalization"
                steps[of] = Step(norm.op, norm.facts, norm.inputs, {**norm.tensors, role: file.value(node.input[1])})
        else:
            steps[node.output[0]], last = step_of(file, node), node.output[0]
    return steps, last


# Networks of ours

OPS = {
    "conv": "Conv",
    "linear": "Gemm",
    "batch_norm": "BatchNormalization",
    "lrn": "LRN",
    "max_pool": "MaxPool",
    "avg_pool": "AveragePool",
    "global_avg_pool": "GlobalAveragePool",
    "concat": "Concat",
    "add": "Add",
    "relu": "Relu",
    "channel_shuffle": "Shuffle",
}


def steps_of_graph(graph: Graph) -> tuple[Steps, str]:
    """The steps of a network by their path, and the last one."""
    steps, same = Steps(), dict[Ref, str]()
    for node in graph.nodes.values():
        inputs = tuple(same.get(ref, ref.node) for ref in node.inputs)
        if node.op in ("flatten", "dropout"):
            same[Ref(node.path)] = inputs[0]
        elif node.op != "input":
            tensors = {**node.result.weights, **node.result.stats}
            steps[str(node.path)] = Step(
                OPS[node.op],
                tuple(facts(node.op, node.attrs, {k: tuple(map(int, s)) for k, s in tensors.items()}, node.shape)),
                inputs,
                {name: f"{node.weights_at}.{name}" for name in tensors},
            )
    (output,) = graph.outputs.values()
    return steps, same.get(output.ref, output.ref.node)


def facts(
    op: str, attrs: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]], shape: Sequence[int | str]
) -> Iterator[object]:
    """What a step of ours says of what it computes, as `step_of` does."""
    if op == "conv":
        yield from (tensors["weight"], tuple(attrs["stride"]), attrs["groups"], tuple(shape[1:]))
    elif op == "linear":
        yield tensors["weight"]
    elif op == "batch_norm":
        yield from rounded(attrs["eps"])
    elif op == "lrn":
        yield from (attrs["size"], *rounded(attrs["alpha"], attrs["beta"], attrs["k"]))
    elif op in ("max_pool", "avg_pool"):
        yield from (tuple(attrs["kernel"]), tuple(attrs["stride"]), tuple(shape[1:]))
    elif op == "channel_shuffle":
        yield attrs["groups"]


# Both


def signatures(steps: Steps) -> dict[str, int]:
    """A number of each value that is the same where it is computed alike; the operands of Add may change places."""
    found: dict[str, int] = {}
    for name, step in steps.items():
        operands = [found.get(each, 0) for each in step.inputs]
        found[name] = hash((step.op, step.facts, *(sorted(operands) if step.op == "Add" else operands)))
    return found


def pairs(theirs: tuple[Steps, str], ours: tuple[Steps, str]) -> dict[str, str]:
    """Each of their steps with the one of ours that computes the same value of the image."""
    left, right = signatures(theirs[0]), signatures(ours[0])
    alone = next((name for name, signature in right.items() if signature not in left.values()), "")
    assert left[theirs[1]] == right[ours[1]], f"the first step that the file lacks is {alone}: {ours[0][alone]}"
    found: dict[str, str] = {}
    waiting = [(theirs[1], ours[1])]
    while waiting:  # from the outputs on, as branches that compute alike differ by where they are joined
        name, other = waiting.pop()
        if name in theirs[0] and name not in found:
            found[name], step = other, theirs[0][name]
            operands = [list(step.inputs), list(ours[0][other].inputs)]
            if step.op == "Add":
                operands = [sorted(operands[0], key=left.__getitem__), sorted(operands[1], key=right.__getitem__)]
            waiting += zip(*operands, strict=True)
    assert len({*found.values()}) == len(found) == len(ours[0]) == len(theirs[0])
    return found


def light(name: str) -> onnx.ModelProto:
    return onnx.load(FOLDER / f"light_{name}.onnx")


def counts(steps: Steps) -> dict[str, int]:
    found = Counter(step.op for step in steps.values())
    return {op: found[op] for op in COUNTED}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.quick(1)
def test_a_network_has_the_steps_of_the_file(name: str) -> None:
    theirs, ours = steps_of_file(light(name)), steps_of_graph(netspec.load(MODELS[name].network).inference)
    assert counts(theirs[0]) == counts(ours[0])
    pairs(theirs, ours)


def filled(name: str, arrays: Mapping[str, np.ndarray], ours: Steps, size: int) -> onnx.ModelProto:
    """The file with our weights, for images of another size, and with the scores before their softmax as output."""
    model = light(name)
    theirs, last = steps_of_file(model)
    found = pairs((theirs, last), steps_of_graph(netspec.load(MODELS[name].network).inference))
    file, weights = File(model), dict[str, np.ndarray]()
    for at, step in theirs.items():
        keys = dict(ours[found[at]].tensors)
        if "scale" in step.tensors:  # the batch norm itself has none then
            channels = len(arrays[keys["running_var"]])
            weights |= {step.tensors["weight"]: np.ones(channels, "f"), step.tensors["bias"]: np.zeros(channels, "f")}
            keys["scale"], keys["shift"] = keys.pop("weight"), keys.pop("bias")
        weights |= {step.tensors[role]: arrays[key] for role, key in keys.items()}
    nodes = []
    for node in model.graph.node:
        of = node.input[0]
        if node.op_type in ("ConstantOfShape", "Dropout", "Softmax") or file.value(of) in weights:
            if node.op_type == "Unsqueeze":
                nodes.append(node)
            elif node.op_type != "ConstantOfShape":
                file.same[node.output[0]] = of
            continue
        node.input[:] = [file.value(value) for value in node.input]
        if (
            node.op_type == "Reshape"
            and size != 224
            or node.op_type == "Reshape"
            and len(file.shapes[node.output[0]]) == 2
        ):
            node = helper.make_node("Flatten", [node.input[0]], node.output)
        if node.op_type == "AveragePool" and file.shapes[node.output[0]][2:] == (1, 1):
            node = helper.make_node("GlobalAveragePool", node.input, node.output)
        nodes.append(node)
    (image,) = (v.name for v in model.graph.input if len(file.shapes[v.name]) == 4 and file.shapes[v.name][1] == 3)
    convs = {n.input[1] for n in nodes if n.op_type == "Conv"}
    made = [
        numpy_helper.from_array(a.reshape(*a.shape, 1, 1) if key in convs and a.ndim == 2 else a, key)
        for key, a in weights.items()
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(image, TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        [*made, *(t for t in model.graph.initializer if t.data_type == TensorProto.INT64)],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=4)


LARGE = ("bvlc_alexnet", "vgg19", "zfnet512")
"""Drawing their fully connected layers takes seconds."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.full if n in LARGE else pytest.mark.slow) for n in MODELS]
)
def test_a_file_with_the_weights_of_a_network_gives_its_outputs(name: str) -> None:
    size = MODELS[name].size
    graph = netspec.load(MODELS[name].network, input=[3, size, size]).inference
    arrays = draw(graph, 3)
    images = 2 * np.random.default_rng(7).standard_normal((2, 3, size, size), np.float32)
    ((key, ours),) = able("onnx", Runs).run(graph, arrays, {"input": images}).outputs.items()
    model = filled(name, arrays, steps_of_graph(graph)[0], size)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (image,) = (value.name for value in session.get_inputs())
    theirs = [session.run(None, {image: images[i : i + 1]})[0].reshape(1, -1) for i in range(2)]
    agreement({key: np.concatenate(theirs)}, {key: ours})


@pytest.mark.slow
def test_a_step_that_differs_is_seen() -> None:
    theirs, (ours, last) = steps_of_file(light("squeezenet")), steps_of_graph(netspec.load("squeezenet").inference)
    with pytest.raises(AssertionError, match="lacks is conv1.conv"):
        pairs(theirs, (ours, last))


def test_the_page_has_a_row_for_each_file() -> None:
    rows = re.findall(r"^\| `light_(\w+)\.onnx` \| `(\w+)` \| (.*?) ?\|$", PAGE, re.MULTILINE)
    assert {file: (network, other) for file, network, other in rows} == {
        file: (model.network, model.other) for file, model in MODELS.items()
    }
    assert {path.name for path in FOLDER.glob("light_*.onnx")} == {f"light_{name}.onnx" for name in MODELS}
