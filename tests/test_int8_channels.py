"""Weights that are made ready for int8: the network computes the same, and small channels lose no more than others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from netspec_onnx.calibration import read_calibration
from netspec_onnx.channels import Equaliser, Seen, look
from netspec_onnx.noise import Noise
from netspec_onnx.options import OnnxOptions
from onnx import numpy_helper

from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.network import load
from netspec.weights.initialise import draw

SPEC = """\
netspec: 1
name: net
input: [3, 16, 16]
body:
  - stem = conv: [16, 3, 1, 1]
  - relu6
  - depthwise = conv: {out: 16, kernel: 3, pad: 1, groups: 16}
  - relu6
  - project = conv: [8, 1]
  - join = add:
      deep: [wide = conv: [32, 1], relu, grouped = conv: {out: 32, kernel: 3, pad: 1, groups: 4}, relu, conv: [8, 1]]
      side: []
  - expand = conv: [24, 1]
  - max_pool: [2, 2]
  - relu
  - last = conv: [12, 1]
  - hard_swish
  - global_avg_pool
  - flatten
  - fc = linear: 4
"""
SCALED = {"stem": "depthwise", "depthwise": "project", "join.deep.wide": "join.deep.grouped", "expand": "last"}
"""Layers whose channels are scaled, and those that read them."""


def images(count: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    colour, contrast = rng.standard_normal((count, 3, 1, 1)), rng.uniform(0.2, 1, (count, 1, 1, 1))
    return np.asarray(0.5 * colour + 0.5 * contrast * rng.standard_normal((count, 3, 16, 16)), np.float32)


@pytest.fixture
def graph(folder: Path) -> Graph:
    (folder / "net.yaml").write_text(SPEC)
    np.savez(folder / "images.npz", input=images())
    return load("net.yaml").inference


def uneven(graph: Graph) -> dict[str, np.ndarray]:
    """Weights of the same network, in which some channels have a fortieth of the values that they had."""
    arrays = draw(graph, 1)
    rng = np.random.default_rng(2)
    for layer, reader in SCALED.items():
        weight, read = arrays[f"{layer}.weight"], arrays[f"{reader}.weight"]
        factors = np.exp(rng.uniform(np.log(1 / 40), 0, len(weight))).astype(np.float32)
        arrays[f"{layer}.weight"] = weight * factors[:, None, None, None]
        arrays[f"{layer}.bias"] = arrays[f"{layer}.bias"] * factors
        each = factors.reshape(-1, read.shape[1]) if read.shape[1] < len(factors) else factors[None]
        by_row = np.repeat(each, len(read) // len(each), 0)
        arrays[f"{reader}.weight"] = read / by_row[:, :, None, None]
    return arrays


def written(graph: Graph, arrays: Mapping[str, np.ndarray], dtype: str = "float32", name: str = "m.onnx") -> Path:
    more = {"calibrate": "images.npz", "keep_float": ()} if dtype == "int8" else {}
    get("onnx").emit(graph, arrays, Path(name), OnnxOptions(dtype=dtype, **more))  # type: ignore[arg-type]
    return Path(name)


def ran(model: Path | onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    data = model if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": x})[0])


def centred(exact: np.ndarray, found: np.ndarray) -> float:
    noise = Noise()
    noise.add(exact, found)
    return noise.centred


def seen_in(path: Path, graph: Graph) -> tuple[onnx.ModelProto, dict[str, Seen]]:
    model = onnx.load(path)
    return model, look(model, read_calibration(Path("images.npz"), graph))


@pytest.mark.quick(1)
def test_scaled_channels_compute_the_same_and_have_like_ranges(graph: Graph) -> None:
    path = written(graph, uneven(graph))
    model, seen = seen_in(path, graph)
    before = {name: s.size for name, s in seen.items()}
    assert Equaliser(model, seen).equalise() > 0
    exact = ran(path, images())
    np.testing.assert_allclose(ran(model, images()), exact, atol=2e-5 * float(np.abs(exact).max()))
    after = look(model, read_calibration(Path("images.npz"), graph))
    for reader in SCALED.values():
        value = next(n.input[0] for n in model.graph.node if n.name == f"/{reader.replace('.', '/')}/Conv")
        uneven_by, even_by = (float(sizes.max() / sizes.min()) for sizes in (before[value], after[value].size))
        assert even_by < uneven_by / 4
    for name, own in seen.items():  # what was known of each value is known of it still
        np.testing.assert_allclose(own.size, after[name].size, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(own.mean, after[name].mean, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_relu6_cuts_no_more_than_it_did(folder: Path) -> None:
    """A sum of what a ReLU6 gives is larger than 6: its channels have the factors of the sum, and would be cut."""
    text = (
        "netspec: 1\nname: sums\ninput: [3, 16, 16]\nbody: [a = conv: [16, 3, 1, 1], relu6: , "
        "add: {deep: [b = conv: [16, 3, 1, 1], relu6: ], side: []}, c = conv: [4, 1]]\n"
    )
    (folder / "sums.yaml").write_text(text)
    np.savez(folder / "images.npz", input=images())
    graph = load("sums.yaml").inference
    arrays = draw(graph, 1)
    sizes = np.geomspace(0.5, 20, 16, dtype=np.float32).reshape(-1, 1, 1, 1)
    arrays["a.weight"] = arrays["a.weight"] * sizes
    arrays["deep.b.weight"] = arrays["deep.b.weight"] * sizes
    path = written(graph, arrays)
    model, seen = seen_in(path, graph)
    exact = ran(path, images())
    assert Equaliser(model, seen).equalise() > 0
    np.testing.assert_allclose(ran(model, images()), exact, atol=2e-5 * float(np.abs(exact).max()))


@pytest.mark.slow
def test_what_is_not_homogeneous_or_is_read_from_outside_keeps_its_channels(graph: Graph) -> None:
    """A hard swish of twice a value is not twice its hard swish; inputs and outputs are what users see."""
    path = written(graph, draw(graph, 1))
    model, seen = seen_in(path, graph)
    before = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    Equaliser(model, seen).equalise()
    after = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not {"fc.weight", "fc.bias", "last.bias"} & changed
    assert {"stem.weight", "stem.bias", "depthwise.weight", "project.weight", "last.weight"} <= changed


@pytest.mark.slow
def test_a_network_with_uneven_channels_is_as_good_in_int8_as_the_same_with_even_ones(graph: Graph) -> None:
    x = images()
    found = {}
    for kind, arrays in {"even": draw(graph, 1), "uneven": uneven(graph)}.items():
        exact = ran(written(graph, arrays), x)
        found[kind] = centred(exact, ran(written(graph, arrays, "int8"), x))
    assert found["even"] > 20 and found["uneven"] > found["even"] - 3


@pytest.mark.slow
def test_images_that_were_not_calibrated_with_lose_little_more(graph: Graph) -> None:
    x = images(40, seed=5)
    exact = ran(written(graph, uneven(graph)), x)
    assert centred(exact, ran(written(graph, uneven(graph), "int8"), x)) > 18


@pytest.mark.slow
def test_rounded_weights_do_not_shift_the_mean(graph: Graph) -> None:
    """What int8 adds to an output on the average is small beside what it adds to one image."""
    x = images()
    noise = ran(written(graph, draw(graph, 1), "int8"), x) - ran(written(graph, draw(graph, 1)), x)
    assert float(np.abs(noise.mean(0)).mean()) < 0.5 * float(noise.std(0).mean())


@pytest.mark.slow
def test_the_output_of_the_last_layer_is_not_rounded(graph: Graph) -> None:
    model = onnx.load(written(graph, draw(graph, 1), "int8"))
    last = next(node for node in model.graph.node if model.graph.output[0].name in node.output)
    read = {name: node.op_type for node in model.graph.node for name in node.output}
    assert last.op_type == "Gemm" and {read[name] for name in last.input} == {"DequantizeLinear"}
    assert len(np.unique(ran(Path("m.onnx"), images(64, 3))[:, 0])) == 64
