"""The ONNX model: names, functions, metadata, shapes, opsets and external data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
from conftest import agreement
from netspec_onnx.options import OnnxOptions
from onnx_harness import HEAD, NESTED, SEVERAL, SHARED, SPECS, emit, load, noise, ort_run, shapes

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import DataError
from netspec.ir.graph import Graph
from netspec.weights.initialise import draw, initialise


@pytest.fixture(params=SPECS)
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Graph:
    return load(tmp_path, SPECS[request.param])


# Structure
def test_initialisers_are_the_state_dict(graph: Graph, tmp_path: Path) -> None:
    arrays = draw(graph, 1)
    for functions in ("keep", "inline"):
        model = emit(graph, tmp_path, functions=functions)
        stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        assert list(stored) == list(graph.tensors())
        assert all(np.array_equal(stored[key], arrays[key]) for key in arrays)


def test_models_are_checked_and_run_at_any_batch(graph: Graph, tmp_path: Path) -> None:
    for functions in ("keep", "inline"):
        emit(graph, tmp_path, f"{functions}.onnx", functions=functions)
        onnx.checker.check_model(str(tmp_path / f"{functions}.onnx"), full_check=True)
    for batch in (1, 2, 7):
        x = {"input": noise(batch, 4, 12, 12)}
        kept, flat = (ort_run(tmp_path / f"{name}.onnx", x) for name in ("keep", "inline"))
        assert list(kept) == list(graph.outputs)
        assert {name: value.shape[1:] for name, value in kept.items()} == {
            name: graph.shape(o.ref)[1:] for name, o in graph.outputs.items()
        }
        agreement(kept, flat)


def test_every_value_has_its_own_shape_in_strict_inference(graph: Graph, tmp_path: Path) -> None:
    """On the flat form, with nothing declared but the inputs."""
    flat = emit(graph, tmp_path, functions="inline")
    kept = onnx.inliner.inline_local_functions(emit(graph, tmp_path, functions="keep"))
    own = Counter(shape for node in graph.nodes.values() if node.op != "input" for shape in node.shapes)
    for model in (flat, kept):
        outputs = {o.name for o in model.graph.output}
        copies = {o for n in model.graph.node if n.op_type == "Identity" for o in n.output} & outputs
        inner = {o for n in model.graph.node if n.op_type not in ("Constant", "Unsqueeze") for o in n.output} - copies
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
        inferred = shapes([*found.value_info, *found.output])
        assert Counter(inferred[name] for name in inner) == own


def test_main_graph_declares_its_values(graph: Graph, tmp_path: Path) -> None:
    """With the free batch left open: tract refuses a symbol between steps where it is told the sizes of an input."""
    model = emit(graph, tmp_path, functions="inline")
    declared = shapes(model.graph.value_info)
    renamed = {f"{name}:0": name for name in graph.outputs}
    assert all(
        graph.nodes[renamed.get(name, name).partition("#")[0]].shapes[int(name.partition("#")[2] or 0)]
        == ("N", *shape[1:])
        and shape[0] is None
        for name, shape in declared.items()
    )
    made = {o for n in model.graph.node if n.op_type not in ("Constant", "Unsqueeze") for o in n.output}
    assert made - set(declared) == set(graph.outputs)


def test_functions_are_the_blocks(tmp_path: Path) -> None:
    model = emit(load(tmp_path, NESTED), tmp_path, functions="keep")
    names = [f.name for f in model.functions]
    # stage [6, 2] twice is one function, [6, 3] another; leaky units differ from others
    assert [n for n in names if n.startswith(("unit", "stage"))] == ["unit", "stage", "stage_2", "unit_2"]
    assert {f.domain for f in model.functions} == {"netspec"}
    calls = {n.name: (n.domain, n.op_type) for n in model.graph.node}
    assert calls == {
        f"/{step}": ("netspec", block)
        for step, block in {"a": "stage", "b": "stage", "c": "stage_2", "d": "unit_2", "e": "unit"}.items()
    }
    unit = model.functions[names.index("unit")]
    assert unit.doc_string == "A convolution, normalised"
    assert list(unit.input) == [
        "x",
        "conv_bn.conv.weight",
        "conv_bn.bn.weight",
        "conv_bn.bn.bias",
        "conv_bn.bn.running_mean",
        "conv_bn.bn.running_var",
    ]
    assert [(n.name, n.op_type) for n in unit.node] == [("/conv_bn", "conv_bn"), ("/act/Relu", "Relu")]
    assert [o.version for o in model.opset_import if o.domain == "netspec"] == [1]


def test_models_have_neither_functions_nor_their_domain_unless_asked(tmp_path: Path) -> None:
    """OpenVINO, MNN and tract have no conversion for a function of a model."""
    model = emit(load(tmp_path, NESTED), tmp_path)
    assert not model.functions
    assert model == emit(load(tmp_path, NESTED), tmp_path, functions="inline")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]


def test_shared_blocks_are_one_function_with_the_same_weights(tmp_path: Path) -> None:
    graph = load(tmp_path, SHARED)
    model = emit(graph, tmp_path, functions="keep")
    assert sorted({t.name.rpartition(".")[0] for t in model.graph.initializer}) == [
        "last",
        "loop.batch_norm",
        "loop.conv",
        "one.batch_norm",
        "one.conv",
        "three.batch_norm",
    ]
    calls = {n.name: n for n in model.graph.node}
    assert [n.op_type for n in model.graph.node][:6] == ["unit", "unit", "unit_2", "unit", "unit", "unit"]
    assert calls["/one"].input[1:] == calls["/two"].input[1:]
    assert calls["/three"].input[1] == "one.conv.weight" and calls["/three"].input[2] == "three.batch_norm.weight"
    assert {tuple(calls[f"/loop/{i}"].input[1:]) for i in range(3)} == {tuple(calls["/loop/0"].input[1:])}


def test_nodes_are_named_by_their_path_and_know_where_they_are_written(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "net.yaml").write_text(HEAD + NESTED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    graph = netspec.load("net.yaml").inference
    model = emit(graph, tmp_path)
    named = {n.name: {p.key: p.value for p in n.metadata_props} for n in model.graph.node}
    assert len(named) == len(model.graph.node), "names are unique"
    line = next(i for i, text in enumerate((HEAD + NESTED).splitlines(), 1) if "side:" in text)
    assert named["/a/side/conv/Conv"] == {"namespace": "a/side", "netspec.source": f"net.yaml:{line}:18"}
    assert named["/c/main/unit/2/act/Relu"]["namespace"] == "c/main/unit/2"
    line = next(i for i, text in enumerate((HEAD + NESTED).splitlines(), 1) if "c = stage" in text)
    model = emit(graph, tmp_path, functions="keep")
    kept = {n.name: {p.key: p.value for p in n.metadata_props} for n in model.graph.node}
    assert kept["/c"] == {"netspec.source": f"net.yaml:{line}:9"}


def test_a_step_of_several_nodes_is_a_place_of_its_own(tmp_path: Path) -> None:
    """Model Explorer folds nodes by `namespace`: those of one step are one box, its constants among them."""
    spec = "blocks:\n  mix: {body: [channel_shuffle: 2, flip: height]}\nbody: [mix]\n"
    model = emit(load(tmp_path, spec), tmp_path)
    places = {n.name: {p.key: p.value for p in n.metadata_props}["namespace"] for n in model.graph.node}
    assert places == {
        "/mix/channel_shuffle/Reshape": "mix/channel_shuffle",
        "/mix/channel_shuffle/Reshape.1": "mix/channel_shuffle",
        "/mix/channel_shuffle/Transpose": "mix/channel_shuffle",
        "/mix/channel_shuffle/Reshape_2": "mix/channel_shuffle",
        "/mix/channel_shuffle/Reshape_2.1": "mix/channel_shuffle",
        **dict.fromkeys(["/mix/flip/Slice", *(f"/mix/flip/Slice.{i}" for i in range(1, 4))], "mix"),
    }


@pytest.mark.parametrize("functions", ["keep", "inline"])
def test_node_names_are_unique_in_every_function(graph: Graph, tmp_path: Path, functions: str) -> None:
    model = emit(graph, tmp_path, functions=functions)
    for nodes in (model.graph.node, *(f.node for f in model.functions)):
        assert len({n.name for n in nodes}) == len(nodes)


def test_model_says_what_it_is(tmp_path: Path) -> None:
    model = emit(load(tmp_path, NESTED), tmp_path)
    assert (model.producer_name, model.producer_version) == ("netspec", netspec.__version__)
    assert (model.graph.name, model.doc_string, model.ir_version) == ("net", "A net of the tests", 8)
    assert shapes(model.graph.input) == {"input": ("N", 4, 12, 12)}


def test_outputs_keep_their_names_beside_steps_of_the_same_name(tmp_path: Path) -> None:
    """`join` is a step and the name of another value; one value has two names; an input is an output."""
    graph = load(tmp_path, SEVERAL)
    emit(graph, tmp_path)
    x = noise(2, 4, 12, 12)
    out = ort_run(tmp_path / "net.onnx", {"input": x})
    assert {name: value.shape for name, value in out.items()} == {
        "map": (2, 8, 12, 12),
        "join": (2, 3),
        "same": (2, 8, 12, 12),
        "scores": (2, 3),
        "x0": (2, 4, 12, 12),
    }
    assert np.array_equal(out["map"], out["same"]) and np.array_equal(out["x0"], x)


BASE = """netspec: 1
name: base
input: [4, 12, 12]
use: [blocks/common]
body:
  - first = conv_relu: [6, 3]
  - pool1 = max_pool: [2, 2]
  - second = conv_relu: [8, 3]
  - pool2 = max_pool: [2, 2]
  - flatten
  - linear: 10
"""


def test_a_network_inside_a_network_gives_its_inner_values(tmp_path: Path) -> None:
    """The function of a tapped block has an output for every value that is read outside."""
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    graph = load(
        tmp_path,
        "body:\n  - base: {until: pool2}\n  - upsample: {scale: 2, mode: nearest}\n"
        "  - concat:\n    from: [upsample, base.pool1]\n",
        HEAD.replace("blocks/common", "./base"),
    )
    model = emit(graph, tmp_path, functions="keep")
    (call,) = [n for n in model.graph.node if n.op_type == "base"]
    assert list(call.output) == ["base.pool1", "base.pool2"]
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    emit(graph, tmp_path, "flat.onnx")
    x = {"input": noise(2, 4, 12, 12)}
    kept, flat = ort_run(tmp_path / "net.onnx", x), ort_run(tmp_path / "flat.onnx", x)
    assert kept["output"].shape == (2, 14, 6, 6)
    agreement(kept, flat)


def test_an_output_with_the_name_of_an_input_is_refused(tmp_path: Path) -> None:
    """A spec cannot have such names, a block alone can: `inputs: [image]`, `outputs: [image]`."""
    graph = load(
        tmp_path,
        "body:\n  - conv: [2, 1]\n    from: image\noutputs: {result: conv}\n",
        HEAD.replace("input: [4, 12, 12]", "input: {image: [4, 12, 12]}"),
    )
    graph.outputs = {"image": graph.outputs["result"]}
    with pytest.raises(DataError, match="'image' is an input and an output"):
        emit(graph, tmp_path)
    assert not (tmp_path / "net.onnx").exists()


def test_several_inputs_with_their_own_leading_sizes(tmp_path: Path) -> None:
    graph = load(
        tmp_path,
        "body:\n  - a = conv: [2, 1]\n    from: map\n  - b = linear: 3\n    from: 1st\noutputs: [a, b]\n",
        HEAD.replace("input: [4, 12, 12]", "input: {map: [4, 12, 12], 1st: {shape: [R, 5]}}"),
    )
    model = emit(graph, tmp_path)
    assert shapes(model.graph.input) == {"map": ("N", 4, 12, 12), "1st": ("R", 5)}
    out = ort_run(tmp_path / "net.onnx", {"map": noise(2, 4, 12, 12), "1st": noise(9, 5)})
    assert {name: value.shape for name, value in out.items()} == {"a": (2, 2, 12, 12), "b": (9, 3)}


@pytest.mark.slow
def test_the_same_network_gives_the_same_bytes(folder: Path) -> None:
    program = (
        "import sys, netspec; from netspec.weights.initialise import initialise\nfrom pathlib import Path\n"
        "from netspec.backend import get\nfrom netspec_onnx.options import OnnxOptions\n"
        "g = netspec.load(sys.argv[1]).inference\n"
        "get('onnx').emit(g, initialise(g, 3), Path(sys.argv[2]), OnnxOptions())\n"
    )
    (folder / "net.yaml").write_text(HEAD + NESTED, encoding="utf-8")
    # Another process, because sets of strings are in another order there.
    command = [sys.executable, "-c", program, "net.yaml", "1.onnx"]
    subprocess.run(command, cwd=folder, check=True, env=os.environ | {"PYTHONHASHSEED": "1"}, timeout=300)
    graph = netspec.load("net.yaml").inference
    get("onnx").emit(graph, initialise(graph, 3), folder / "2.onnx", OnnxOptions())
    assert (folder / "1.onnx").read_bytes() == (folder / "2.onnx").read_bytes()


def test_the_file_is_the_model(graph: Graph, tmp_path: Path) -> None:
    """It is written tensor by tensor; protobuf's own writer gives the same message."""
    from netspec_onnx.build_model import build_model

    assert emit(graph, tmp_path) == build_model(graph, draw(graph, 1), OnnxOptions())


def test_what_onnx_takes_by_default_and_equal_constants_are_not_written_again(tmp_path: Path) -> None:
    """Conv-18: dilations default to 1, group is 1; a runtime reads each node and each constant when it is loaded."""
    spec = (
        "body:\n  - a = conv: [8, 3]\n  - relu6\n  - b = conv: {out: 8, kernel: 3, dilation: 2, groups: 2}\n  - relu6\n"
    )
    model = emit(load(tmp_path, spec), tmp_path)
    attributes = {n.name: {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in model.graph.node}
    assert attributes["/a/Conv"].keys() == {"kernel_shape", "strides", "pads"}
    assert attributes["/b/Conv"]["dilations"] == [2, 2] and attributes["/b/Conv"]["group"] == 2
    held = [attributes[n.name]["value"] for n in model.graph.node if n.op_type == "Constant"]
    assert sorted(float(onnx.numpy_helper.to_array(tensor)) for tensor in held) == [0, 6]


def test_a_sum_of_three_is_additions_that_onnxruntime_fuses(tmp_path: Path) -> None:
    """It takes an Add and what follows into the convolution before it; a Sum of three operands stays as it is."""
    ort = pytest.importorskip("onnxruntime")
    branches = "a: [conv: {out: 8, kernel: 3, pad: 1}], b: [conv: [8, 1]], c: [conv: [8, 1]]"
    spec = f"body:\n  - add: {{{branches}}}\n  - relu\n"
    model = emit(load(tmp_path, spec), tmp_path)
    assert Counter(n.op_type for n in model.graph.node) == {"Conv": 3, "Add": 2, "Relu": 1}
    settings = ort.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "fused.onnx")
    settings.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    fused = onnx.load(tmp_path / "fused.onnx").graph.node
    if any(n.domain == "com.microsoft.nchwc" for n in fused):  # its kernels for x86, which take what is added
        assert not {"Add", "Sum", "Relu"} & {n.op_type for n in fused}
