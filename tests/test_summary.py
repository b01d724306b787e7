"""The layer table: its numbers are those of the papers and of torchvision, its forms agree."""

from __future__ import annotations

import csv
import io
import json

import pytest
from conftest import sampled

import netspec
from netspec.analysis.cost import totals
from netspec.analysis.measures import Measured
from netspec.analysis.receptive_field import receptive_field
from netspec.diagnostics.errors import UsageError
from netspec.ops.base import show
from netspec.reports.comparison import Compared, comparison
from netspec.reports.summary import COLUMNS, as_json, columns_of, rows, table, to_json, to_text

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
    found = {r.path: r for r in rows(googlenet.inference, depth=1)}
    assert {path: show(found[path].shape) for path in GOOGLENET} == GOOGLENET
    graph, measured = googlenet.inference, Measured(googlenet.inference)
    gives = {path: measured.at(path).gives for path in GOOGLENET}
    assert {path: show(graph.shape(ref)) for path, ref in gives.items() if ref is not None} == GOOGLENET
    # 3a has six convolutions: Table 1 gives their widths, each has a bias for each of its outputs
    widths = [(192, 64, 1), (192, 96, 1), (96, 128, 3), (192, 16, 1), (16, 32, 5), (192, 32, 1)]
    assert found["3a"].params == sum(i * o * k * k + o for i, o, k in widths)
    assert found["3a"].macs == sum(i * o * k * k for i, o, k in widths) * 28 * 28


@pytest.mark.parametrize("depth", [None, 1, 2, 3, 9])
def test_folding_keeps_the_sums(googlenet: netspec.Network, depth: int | None) -> None:
    lines = rows(googlenet.inference, depth)
    assert sum(r.params for r in lines) == 6_998_552
    assert sum(r.macs or 0 for r in lines) == 1_582_671_872
    assert depth is None or max(r.level for r in lines) <= depth


def test_json_has_the_agreed_keys(googlenet: netspec.Network) -> None:
    data = json.loads(to_json(googlenet.inference))
    assert data["name"] == "googlenet"
    assert (data["totals"]["params"], data["totals"]["macs"]) == (6_998_552, 1_582_671_872)
    for layer in data["layers"]:
        assert {"path", "op", "shape", "params", "macs", "source"} <= set(layer)
        file, line, column = layer["source"].rsplit(":", 2)
        assert file.endswith(".yaml") and int(line) > 0 and int(column) > 0
    assert [n["path"] for n in data["layers"]] == list(googlenet.inference.nodes)


def test_columns_of_alexnet() -> None:
    """Krizhevsky et al. 2012, Figure 2 and section 3.5: kernels, strides, groups of the two towers, what enters."""
    graph = netspec.load("alexnet").inference
    asked = ["kernel", "stride", "groups", "filter", "input", "depth", "neurons"]
    found = {str(line["path"]): [line[name] for name in asked] for line in table(graph, 2, asked).rows}
    assert found["net.conv1"] == ["11x11", "4", "1", "11x11x3x96", "3x227x227", 1, 290_400]
    assert found["net.conv2"] == ["5x5", "1", "2", "5x5x48x256", "96x27x27", 1, 186_624]
    assert found["net.pool1"] == ["3x3", "2", None, "3x3", "96x55x55", 0, 0]
    assert found["fc6"] == [None, None, None, "9216x4096", "9216", 1, 4096]
    data = as_json(graph, 2, asked)
    assert data["totals"]["depth"] == 8 and data["layers"][1]["kernel"] == "11x11"


def test_a_folded_step_has_what_its_layers_have_in_common() -> None:
    """ResNet's basic block has two 3x3 convolutions; an inception module has windows of three sizes."""
    kernels = {
        name: [line["kernel"] for line in table(netspec.load(name).inference, 1, ["kernel"]).rows if line["path"] == at]
        for name, at in (("plain18", "layer1"), ("googlenet", "3a"), ("vgg_c", "stage3"))
    }
    assert kernels == {"plain18": ["3x3"], "googlenet": [None], "vgg_c": [None]}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_column_fits_a_terminal(width: int, googlenet: netspec.Network) -> None:
    """Columns that do not fit next to others stand below, each once, with the steps beside them."""
    text = table(googlenet.inference, 1, COLUMNS).render("text", width)
    assert max(map(len, text.splitlines())) <= width
    shown = " ".join(text.split())
    assert text.count("  conv2 ") > 1 and "6,998,552" in shown and "1,582,671,872" in shown and "\u2026" not in text
    for name in ("kernel", "stride", "dilation", "depth"):
        assert any(name in line.split() for line in text.splitlines())


def test_a_column_that_is_not_there_is_an_error_with_a_suggestion() -> None:
    assert columns_of("+depth, memory") == ["op", "shape", "params", "macs", "depth", "memory"]
    assert columns_of("depth") == ["depth"] and columns_of(None) is None
    with pytest.raises(UsageError) as error:
        columns_of("kernels")
    assert "kernel" in error.value.help
    with pytest.raises(UsageError):
        columns_of(",")


def test_csv_is_the_same_table(googlenet: netspec.Network) -> None:
    lines = list(csv.DictReader(io.StringIO(table(googlenet.inference, people=False).render("csv"))))
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


def test_a_column_of_titles_that_is_empty_is_left_out() -> None:
    """The titles of FCN-8s are those of the VGG inside it, which one row stands for."""
    graph = netspec.load("fcn8s_vgg16").inference
    heads = [[column.key for column in table(graph, depth).columns] for depth in (1, 3)]
    assert "title" not in heads[0] and "title" in heads[1]


@pytest.mark.parametrize(
    ("columns", "said", "unsaid"),
    [
        (["memory"], ["memory (MiB): Bytes of all values that are alive"], ["MACs are", "parameters include"]),
        (["macs"], ["MACs are multiply-accumulates"], ["parameters include", "Running statistics"]),
        (["params"], ["Parameters include biases"], ["MACs are"]),
        (["depth"], ["which leads through no gate"], ["MACs are", "parameters include"]),
    ],
)
def test_notes_belong_to_the_columns_that_are_shown(columns: list[str], said: list[str], unsaid: list[str]) -> None:
    """A summary and a comparison say the same of the same columns."""
    network = netspec.load("lenet5")
    of_all = [
        " ".join(table(network.inference, 1, columns).notes),
        " ".join(comparison([Compared("lenet5", network.inference, network.graph)], columns).notes),
    ]
    for notes in of_all:
        assert all(text in notes for text in said) and not any(text in notes for text in unsaid), notes
