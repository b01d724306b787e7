"""Every variant of the catalogue: counts of the papers and libraries, shapes, and agreement of the two targets."""

from __future__ import annotations

import gc
import math
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
import torch
from conftest import agreement, how_many, sampled
from netspec_onnx.options import OnnxOptions
from netspec_onnx.versions import lowest
from onnx import helper
from parity import (
    SPECS,
    TARGETS,
    images,
    inputs,
    network,
    onnx_outputs,
    onnx_run,
    onnx_session,
    randomise,
    smaller,
    torch_outputs,
    torch_run,
)
from reference import made, nets
from reference.googlenet import GoogLeNet

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import Reporter
from netspec.ir.graph import Graph, Ref
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw

QUICK = ("lenet5", "dsn", "nin_cifar10")
"""Their outputs are compared in every run; all others with --slow."""

# Szegedy et al. 2014, Table 1, column "output size"
TABLE_1 = {
    "3a": (256, 28, 28),
    "3b": (480, 28, 28),
    "4a": (512, 14, 14),
    "4b": (512, 14, 14),
    "4c": (512, 14, 14),
    "4d": (528, 14, 14),
    "4e": (832, 14, 14),
    "5a": (832, 7, 7),
    "5b": (1024, 7, 7),
}


ROUGH = [
    "highway",
    "highway19_cifar",
    "resnet110_scaled",
    "resnet110_scaled_0_1",
    "resnet110_scaled_05_1",
    "resnet110_exclusive_gate",
    "resnet110_exclusive_gate_0",
    "resnet110_exclusive_gate_7",
    "resnet110_shortcut_gate",
    "resnet110_shortcut_gate_0",
    "resnet110_conv",
    "plain32_cifar",
    "plain44_cifar",
    "plain56_cifar",
    "se_bn_inception",
]
"""Dozens of gates, or no shortcuts that keep their input: they amplify rounding or forget the image. Their weights are
scaled layer by layer on images, and float64 is what they are compared in."""

FAMILIES = sorted({t["family"] for t in TARGETS.values()})
REFERENCES = {v: net for family in FAMILIES for v, net in nets(family).items() if v in TARGETS}
"""Plain modules written from the papers; for the others there are the libraries' own, in `test_checkpoints`."""

LARGE = 30_000_000
"""Above so many parameters one variant of each family is compared with onnxruntime; all are counted."""


def in_onnxruntime() -> list[str]:
    """Every variant up to `LARGE` parameters, and of each family the first above them."""
    large: dict[str, str] = {}
    for v, t in TARGETS.items():
        if (t["params"] or LARGE + 1) > LARGE:
            large.setdefault(t["family"], v)
    return [v for v, t in TARGETS.items() if v in large.values() or (t["params"] or LARGE + 1) <= LARGE]


def variants(names: Iterable[str], quick: Collection[str] = QUICK) -> list[Any]:
    """Variants; those that are not quick are marked slow."""
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in names]


@pytest.fixture(autouse=True)
def _memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """Gives the arrays of one large network back before the next."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


def params(graph: Graph) -> int:
    """Trained parameters, counted from the shapes of the tensors."""
    return sum(math.prod(map(int, shape)) for shape, trained, _ in graph.tensors().values() if trained)


def test_every_target_is_shipped() -> None:
    missing = []
    for family in FAMILIES:
        path = SPECS / f"{family}.yaml"
        document = read_document(path, Reporter()) if path.is_file() else None
        for name, target in TARGETS.items():
            if target["family"] == family:
                known = {} if document is None else document.blocks if "/" in family else document.variants
                missing += [n for n in (name, target.get("alias", name)) if n not in known]
    assert not missing


def test_every_target_has_a_reference_or_a_checkpoint() -> None:
    assert not [v for v, t in TARGETS.items() if "checkpoint" not in t and v not in REFERENCES]


FIRST = {t["family"]: v for v, t in reversed(TARGETS.items()) if v not in ("polynet", "amoebanet_a", "nasnet_a_large")}
"""The first variant of each family, a third of which is counted in every run; but those of thousands of nodes."""


@pytest.mark.parametrize(
    "variant", variants(sampled(TARGETS, 1, lambda v: TARGETS[v]["family"], slow=3), sampled(FIRST.values(), 15))
)
@pytest.mark.quick(5)
def test_counts_and_input(variant: str) -> None:
    target, net = TARGETS[variant], network(variant)
    graph = net.inference
    if target["input"] is not None:
        assert [n.shape for n in graph.inputs] == [("N", *target["input"])]
    if target["params"] is not None:
        assert params(graph) == target["params"]
        trained = target.get("params_with_aux") or target.get("train_params") or target["params"]
        assert params(net.graph) == trained
    if target["macs"] is not None:
        assert sum(n.result.macs or 0 for n in graph.nodes.values()) == target["macs"]


@pytest.mark.parametrize(
    "spec, until, shape",
    [
        ("mobilenet_v2", "conv1", (32, 112, 112)),
        ("mobilenet_v2", "bottleneck.0", (16, 112, 112)),
        ("mobilenet_v2", "bottleneck.3", (64, 14, 14)),
        ("mobilenet_v2", "bottleneck.3.0", (64, 14, 14)),
        ("mobilenet_v2", "bottleneck.5.0", (160, 7, 7)),
        ("mobilenet_v2", "bottleneck", (320, 7, 7)),
        ("resnet", "layer1", (64, 56, 56)),
        ("resnet", "layer3", (256, 14, 14)),
        ("resnet", "layer4.0", (512, 7, 7)),
    ],
)
@pytest.mark.quick(3)
def test_a_base_network_ends_at_a_step_or_at_a_round(
    spec: str, until: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "on.yaml"
    path.write_text(
        f"netspec: 1\nname: top\nuse: [{spec}]\ninput: [3, 224, 224]\nbody:\n  - base = {spec}: {{until: {until}}}\n",
        encoding="utf-8",
    )
    graph = netspec.load(path).inference
    assert [graph.shape(o.ref)[1:] for o in graph.outputs.values()] == [shape]
    deepest = [n for n in graph.nodes if n.startswith(f"base.{until}")]
    assert deepest and (until != "layer4.0" or not [n for n in graph.nodes if n.startswith("base.layer4.1")])


@pytest.mark.parametrize("variant", ["googlenet", "googlenet_torchvision"])
def test_inception_shapes(variant: str) -> None:
    graph = network(variant).inference
    assert {row: graph.nodes[f"{row}.concat"].shape[1:] for row in TABLE_1} == TABLE_1


def inferred(model: onnx.ModelProto, graph: Graph) -> dict[str, tuple[int | str, ...]]:
    """The shape of every value by ONNX's strict inference alone: what the model says of shapes is taken away."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:], bare.graph.initializer[:]
    for key, (shape, _, _) in graph.tensors().items():
        bare.graph.input.append(helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, list(shape)))
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    found = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True).graph
    return {
        v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in [*found.input, *found.value_info, *found.output]
    }


@pytest.mark.parametrize("variant", variants(sampled(in_onnxruntime(), 1, lambda v: TARGETS[v]["family"], slow=1)))
def test_shapes_equal_those_of_onnx(variant: str) -> None:
    from netspec_onnx.build_model import structure

    graph = network(variant).inference
    flat = structure(graph, OnnxOptions(functions="inline"))
    shapes = inferred(flat, graph)
    outputs = {o.ref: name for name, o in graph.outputs.items()}
    for node in graph.nodes.values():
        for i, shape in enumerate(node.shapes):
            ref = Ref(node.path, i)
            found = shapes[outputs.get(ref, str(ref))]
            # ONNX's rule of Reshape abstains where it meets a symbol
            assert (shape[0] if str(found[0]).startswith("unk__") else found[0], *found[1:]) == shape, ref

    if variant not in FIRST.values():  # the others of a family are made of the same blocks
        return
    kept = onnx.inliner.inline_local_functions(structure(graph, OnnxOptions(functions="keep")))
    kept_shapes = inferred(kept, graph)  # equal constants are there once in the flat file, and once in each function
    assert [(n.op_type, [kept_shapes[o] for o in n.output]) for n in kept.graph.node if n.op_type != "Constant"] == [
        (n.op_type, [shapes[o] for o in n.output]) for n in flat.graph.node if n.op_type != "Constant"
    ]


WINDOWS = {"prelu_net"}
"""Families whose plain form has pooling windows of its paper's size."""


def at_small(variant: str) -> Graph:
    """The inference graph, at the small size where it takes it with the same weights, and its plain form too."""
    size = TARGETS[variant]["input"]
    if "small" in TARGETS[variant]:
        return netspec.load(
            SPECS / f"{TARGETS[variant]['family']}.yaml", variant, input=TARGETS[variant]["small"]
        ).inference
    if not size or not isinstance(size[0], int) or TARGETS[variant]["family"] in WINDOWS:
        return network(variant).inference
    return network(variant, input=smaller(variant, size)).inference


LONG = ["yolo_v1", "fcn8s_vgg16", "polynet", "openpose"]
"""Those that take ten seconds each, which are run with --full-size."""
SMOOTH = sorted(
    (v for v in REFERENCES if v not in {*ROUGH, *LONG[how_many(0, 0, 4) :]}), key=lambda v: TARGETS[v]["params"] or 0
)
"""The smallest first, which stands for its family where not all are run; without those of LONG.

What has a checkpoint is compared with its library, in both backends, by `test_checkpoints`.
"""


@pytest.mark.parametrize("variant", variants(sampled(SMOOTH, 1, lambda v: TARGETS[v]["family"], slow=1)))
def test_torch_and_onnxruntime_and_the_paper_in_plain_torch_agree(variant: str, tmp_path: Path) -> None:
    graph = at_small(variant)
    for seed, count in ((0, 2), (1, 3)) if variant == QUICK[0] else ((0, 2),):
        arrays, x = draw(graph, seed), inputs(graph, count, seed + 10)
        found = torch_outputs(get("torch").to_module(graph, arrays), *x)
        agreement(torch_outputs(made(REFERENCES[variant], arrays), *x), found)
        if variant in in_onnxruntime():
            path = tmp_path / "net.onnx"
            opset = max(lowest(graph), (11, 13, 15, 18)[len(variant) % 4])
            get("onnx").emit(graph, arrays, path, OnnxOptions(opset=opset))
            agreement(onnx_outputs(onnx_session(path), *x), found)
            for file in tmp_path.iterdir():
                file.unlink()


@pytest.mark.parametrize("variant", variants(ROUGH))
def test_rough_networks_equal_the_paper_in_float64(variant: str, tmp_path: Path) -> None:
    """onnxruntime, which has float32 alone, may be ten times as far from float64 as PyTorch's own float32 is."""
    graph = network(variant).inference
    module = get("torch").to_module(graph, draw(graph))
    state = randomise(module, TARGETS[variant]["input"], 0).state_dict()
    arrays = {key: state[key].numpy().copy() for key in graph.tensors()}
    (x,) = inputs(graph, 2, 12)
    get("onnx").emit(graph, arrays, tmp_path / "net.onnx", OnnxOptions())
    single, onnx_single = torch_run(module, x), onnx_run(onnx_session(tmp_path / "net.onnx"), x)
    double = torch_run(module.double(), x.astype(np.float64))
    mean = double.mean(0)
    size = np.abs(double - mean).max()  # what depends on the image may be little beside what does not
    assert size > 1e-3 * np.abs(double).max()
    theirs = torch_run(made(REFERENCES[variant], arrays).double(), x.astype(np.float64))
    agreement((theirs - mean) / size, (double - mean) / size, tol=1e-8)
    assert np.abs(onnx_single - double).max() <= 10 * np.abs(single - double).max() <= 1e-2 * np.abs(double).max()


@pytest.mark.slow
def test_auxiliary_heads_equal_those_of_the_paper_in_plain_torch() -> None:
    net = network("googlenet")
    for seed, count in ((0, 2), (1, 3)):
        arrays = draw(net.graph, seed)
        x = images(TARGETS["googlenet"]["input"], count, seed + 30)
        ours = get("torch").to_module(net.graph, arrays, training=True)
        for layer in ours.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.eval()
        with torch.inference_mode():
            theirs = made(partial(GoogLeNet, aux=True), arrays)(torch.from_numpy(x))
            agreement(theirs, ours(torch.from_numpy(x)))
        agreement(theirs["logits"], torch_run(ours, x))
