"""The layer table: its numbers are those of the papers and of torchvision, its forms agree."""

from __future__ import annotations

import csv
import io
import json

import pytest
from conftest import sampled

import netspec
from netspec.analysis.cost import output_shape, totals
from netspec.analysis.receptive_field import receptive_field
from netspec.ops.base import show
from netspec.reports.summary import as_json, rows, to_csv, to_json, to_text

# Szegedy et al. 2014, Table 1: the output of each row.
GOOGLENET = {
    "conv1": "64x112x112",
    "pool1": "64x56x56",
    "conv2": "192x56x56",
    "pool2": "192x28x28",
    "3a": "256x28x28",
    "3b": "480x28x28",
    "pool3": "480x14x14",
    "4a": "512x14x14",
    "4b": "512x14x14",
    "4c": "512x14x14",
    "4d": "528x14x14",
    "4e": "832x14x14",
    "pool4": "832x7x7",
    "5a": "832x7x7",
    "5b": "1024x7x7",
}


@pytest.fixture(scope="module")
def googlenet() -> netspec.Network:
    return netspec.load("googlenet")


def test_rows_of_table_1(googlenet: netspec.Network) -> None:
    table = {r.path: r for r in rows(googlenet.inference, depth=1)}
    assert {path: show(table[path].shape) for path in GOOGLENET} == GOOGLENET
    assert {path: show(output_shape(googlenet.inference, path) or ()) for path in GOOGLENET} == GOOGLENET
    # 3a has six convolutions: Table 1 gives their widths, each has a bias for each of its outputs
    widths = [(192, 64, 1), (192, 96, 1), (96, 128, 3), (192, 16, 1), (16, 32, 5), (192, 32, 1)]
    assert table["3a"].params == sum(i * o * k * k + o for i, o, k in widths)
    assert table["3a"].macs == sum(i * o * k * k for i, o, k in widths) * 28 * 28


@pytest.mark.parametrize("depth", [None, 1, 2, 3, 9])
def test_folding_keeps_the_sums(googlenet: netspec.Network, depth: int | None) -> None:
    table = rows(googlenet.inference, depth)
    assert sum(r.params for r in table) == 6_998_552
    assert sum(r.macs or 0 for r in table) == 1_582_671_872
    assert depth is None or max(r.depth for r in table) <= depth


def test_json_has_the_agreed_keys(googlenet: netspec.Network) -> None:
    data = json.loads(to_json(googlenet.inference))
    assert data["name"] == "googlenet"
    assert (data["totals"]["params"], data["totals"]["macs"]) == (6_998_552, 1_582_671_872)
    for layer in data["layers"]:
        assert {"path", "op", "shape", "params", "macs", "source"} <= set(layer)
        file, line, column = layer["source"].rsplit(":", 2)
        assert file.endswith(".yaml") and int(line) > 0 and int(column) > 0
    assert [n["path"] for n in data["layers"]] == list(googlenet.inference.nodes)


def test_csv_is_the_same_table(googlenet: netspec.Network) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(googlenet.inference))))
    layers = as_json(googlenet.inference)["layers"]
    assert [(r["path"], int(r["params"]), int(r["macs"])) for r in lines] == [
        (n["path"], n["params"], n["macs"]) for n in layers
    ]


def test_text_states_its_conventions() -> None:
    text = to_text(netspec.load("resnet18").inference, depth=1)
    assert "11,689,512" in text and "1,814,073,344" in text  # torchvision's ResNet-18
    assert "without bias" in text and "Running statistics apart: 9,600." in text
    assert "\x1b" not in text


def test_shared_weights_count_once(tmp_path) -> None:
    path = tmp_path / "shared.yaml"
    path.write_text(
        "netspec: 1\nname: shared\ninput: [8, 16, 16]\nbody:\n"
        "  - a = conv: {out: 8, kernel: 3, pad: 1}\n    repeat: 3\n    share: true\n"
    )
    graph = netspec.load(path).inference
    assert totals(graph.nodes.values()).params == 8 * 8 * 9 + 8
    assert sum(r.params for r in rows(graph)) == 8 * 8 * 9 + 8
    assert totals(graph.nodes.values()).macs == 3 * 8 * 8 * 9 * 16 * 16


def test_receptive_field_of_vgg_stages(tmp_path) -> None:
    """Simonyan and Zisserman 2014, section 2.3: two 3x3 layers see 5x5, three see 7x7; with pooling 2 + 5, then x2."""
    path = tmp_path / "field.yaml"
    path.write_text(
        "netspec: 1\nname: field\ninput: [3, 64, 64]\nbody:\n  - a = conv: {out: 4, kernel: 3, pad: 1}\n"
        "  - b = conv: {out: 4, kernel: 3, pad: 1}\n  - c = conv: {out: 4, kernel: 3, pad: 1}\n"
        "  - pool = max_pool: {kernel: 2, stride: 2}\n  - d = conv: {out: 4, kernel: 3, pad: 2, dilation: 2}\n"
    )
    graph = netspec.load(path).inference
    found = {n.path: receptive_field(graph, ref) for n in graph.nodes.values() for ref in n.inputs}
    assert found == {"a": (1, 1), "b": (3, 3), "c": (5, 5), "pool": (7, 7), "d": (8, 8)}
    # a dilated 3x3 spans 5 cells of jump 2: 8 + 4 * 2
    assert receptive_field(graph, next(iter(graph.outputs.values())).ref) == (16, 16)


FIELDS = [
    ["conv_transpose: {out: 4, kernel: 4, stride: 2, pad: 1}"],
    [
        "conv: {out: 4, kernel: 3, stride: 2, pad: 1}",
        "conv: {out: 4, kernel: 5, pad: 2}",
        "conv_transpose: {out: 4, kernel: 4, stride: 2, pad: 1}",
        "conv: {out: 4, kernel: 3, pad: 1}",
    ],
    [
        "conv: {out: 4, kernel: 3, stride: 2, pad: 1}",
        "upsample: {scale: 2, mode: nearest}",
        "conv: {out: 4, kernel: 3, pad: 1}",
    ],
    [
        "conv: {out: 4, kernel: 3, pad: 2, dilation: 2}",
        "avg_pool: {kernel: 3, stride: 2, pad: 1}",
        "conv_transpose: {out: 4, kernel: 3, stride: 2, pad: 1}",
    ],
    ["avg_pool: [1, 3]", "upsample: {scale: 2, mode: bilinear}", "upsample: {scale: 2, mode: bilinear}"],
    [
        "avg_pool: [1, 3]",
        "upsample: {scale: 3, mode: nearest}",
        "conv_transpose: {out: 4, kernel: 5, stride: 2, pad: 2}",
    ],
    [
        "conv: {out: 4, kernel: 3, stride: 4, pad: 1}",
        "conv_transpose: {out: 4, kernel: 4, stride: 2, pad: 1}",
        "conv_transpose: {out: 4, kernel: 16, stride: 8, pad: 4}",
    ],
]


@pytest.mark.parametrize("steps", sampled(FIELDS, 3))
def test_receptive_fields_are_what_gradients_reach(steps: list[str], tmp_path) -> None:
    """The widest stretch of the input on which a value in the middle of the output depends, by PyTorch's autograd."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "field.yaml"
    path.write_text("netspec: 1\nname: field\ninput: [3, 64, 64]\nbody:\n" + "".join(f"  - {s}\n" for s in steps))
    network = netspec.load(path)
    field = receptive_field(network.inference, next(iter(network.inference.outputs.values())).ref)
    module = network.to_torch().double()
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.0)
    widest = 0
    for row in range(24, 40):
        x = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
        (grad,) = torch.autograd.grad(module(x)[0, :, row, 24:40].sum(), x)
        rows = grad.abs().sum((0, 1, 3)).nonzero()
        widest = max(widest, int(rows.max() - rows.min() + 1))
    assert field is not None and field[0] == widest
