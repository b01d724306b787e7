"""Measures of networks, against papers and against what can be measured of the PyTorch modules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import how_many, sampled
from shipped_networks import firsts, networks

import netspec
from netspec.analysis.measures import MEASURES, Measured
from netspec.cli.main import run
from netspec.diagnostics.errors import Reporter
from netspec.expressions import identifiers as names
from netspec.ir.graph import Node
from netspec.ops import OPS, Op, Tensor
from netspec.ops.base import Applied
from netspec.reports.catalogue import MEASURED, digest_of, entry, kept_measures, measured_text
from netspec.syntax.library import shipped
from netspec.syntax.reader import read_document

# The layers in the names of the papers, and what lectures and surveys print of those without a number in their name.
DEPTHS = {
    "lenet5": 5,  # LeCun et al. 1998
    "alexnet": 8,  # Krizhevsky et al. 2012, section 3.5: five convolutional and three fully connected layers
    "zfnet": 8,
    "nin_imagenet": 12,  # Lin et al. 2013: four mlpconv layers of three convolutions
    "vgg_a": 11,  # Simonyan and Zisserman 2014, Table 1: weight layers
    "vgg_b": 13,
    "vgg_d": 16,
    "vgg_e": 19,
    "googlenet": 22,  # Szegedy et al. 2014, section 5: 22 layers with parameters
    "prelu_net_a": 19,  # He et al. 2015a, Table 3
    "resnet18": 18,  # He et al. 2015b
    "resnet34": 34,
    "resnet50": 50,
    "resnet101": 101,
    "resnet152": 152,
    "resnet110_cifar": 110,
    "resnet164_cifar": 164,
    "resnet1001_full_pre": 1001,
    "densenet121": 121,  # Huang et al. 2016
    "densenet169": 169,
    "densenet201": 201,
    "densenet161": 161,
    "squeezenet": 18,
    "mobilenet_v1": 28,  # Howard et al. 2017, section 3.2
    "mobilenet_v2": 53,
    "shufflenet": 50,
    "fractalnet": 21,  # Larsson et al. 2016: 20 convolutions and the classifier
    "inception_v3": 48,
    "se_resnet50": 50,  # Hu et al. 2018: gates are not layers of the path
    "senet154": 154,
    # Where a name says another number than its network has: 6, 12, 64 and 48 layers of two convolutions, three
    # transitions, the stem and the classifier are 265; a WRN of depth 6n + 4 counts three convolutions of shortcuts,
    # which lie on no longer path.
    "densenet264": 265,
    "wrn_28_10": 26,
    "wrn_16_8": 14,
}


@pytest.mark.parametrize("name", sampled(list(DEPTHS), 8))
@pytest.mark.quick(4)
def test_the_depth_is_the_number_in_the_name(name: str) -> None:
    assert MEASURES["depth"].of(Measured(netspec.load(name).inference).whole) == DEPTHS[name]


def test_parts_have_the_depths_of_googlenets_table() -> None:
    """Szegedy et al. 2014, Table 1, the column depth."""
    measured = Measured(netspec.load("googlenet").inference)
    table = {
        "conv1": 1,
        "pool1": 0,
        "conv2": 2,
        "pool2": 0,
        "3a": 2,
        "3b": 2,
        "pool3": 0,
        "5b": 2,
        "avgpool": 0,
        "fc": 1,
    }
    assert {path: MEASURES["depth"].of(measured.at(path)) for path in table} == table


def test_measures_of_alexnet_and_network_in_network() -> None:
    """Krizhevsky et al. 2012, section 3.5: 253,440 neurons are a misprint of 55 x 55 x 96, the others are as printed.

    Slides of Lin et al. 2013: 29 MB of Network in Network, which are MiB, and 230 MB of AlexNet.
    """
    measured = Measured(netspec.load("alexnet").inference)
    layers = {"conv1": 290_400, "conv2": 186_624, "conv3": 64_896, "conv4": 64_896, "conv5": 43_264}
    found = {path: MEASURES["neurons"].of(measured.at(f"net.{path}")) for path in layers}
    assert found == layers
    nin = Measured(netspec.load("nin_imagenet").inference)
    alexnet_bytes, nin_bytes = (MEASURES["weights"].of(m.whole) or 0 for m in (measured, nin))
    assert alexnet_bytes == 4 * 60_965_224
    assert (round(alexnet_bytes / 2**20, -1), round(nin_bytes / 2**20)) == (230, 29)


QUICK = ["lenet5", "googlenet", "resnet18", "mobilenet_v2"]


def marks(name: str) -> list[pytest.MarkDecorator]:
    """One network of each family is slow, all are run with --full-size."""
    return [pytest.mark.slow] * (name not in QUICK) + [pytest.mark.full] * (name not in {*QUICK, *firsts()[::3]})


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in networks()])
def test_memory_is_what_the_module_allocates(name: str) -> None:
    from memory_harness import allocated, saved

    network = netspec.load(name)
    whole = Measured(network.inference, trained=network.graph).whole
    assert MEASURES["memory"].of(whole) == pytest.approx(allocated(network.inference), rel=0.1)
    assert MEASURES["training_memory"].of(whole) == pytest.approx(saved(network.graph), rel=0.1)


@pytest.mark.parametrize("name", ["lenet5", "squeezenet_11", "resnet18", "densenet121"][: how_many(1, 4, 4)])
def test_memory_on_the_processor(name: str) -> None:
    """What a module allocates on the CPU is what it would on the device `meta`, which the other tests use."""
    from memory_harness import allocated, out_of_place

    network = netspec.load(name)
    found = MEASURES["memory"].of(Measured(network.inference).whole)
    with out_of_place():
        module = network.to_torch().eval()
    assert found == pytest.approx(allocated(network.inference, module, "cpu"), rel=0.1)


SEEN = [
    ("squeezenet", "squeezenet_11", "fire4"),
    ("googlenet", "googlenet", "3a"),
    ("resnet", "resnet18", "layer2"),
    ("vgg", "vgg_d", "stage3"),
    ("mobilenet_v2", "mobilenet_v2", "bottleneck.2"),
    ("densenet", "densenet121", "features.transition1"),
]


@pytest.mark.parametrize("family, name, until", sampled(SEEN, 1))
def test_the_receptive_field_is_what_gradients_reach(family: str, name: str, until: str, tmp_path: Path) -> None:
    """The widest stretch of the image that a value of a step depends on, by PyTorch's autograd.

    Weights are positive and maxima are means, so that no gradient is 0 by chance.
    """
    torch = pytest.importorskip("torch")
    path = tmp_path / "cut.yaml"
    path.write_text(
        f"netspec: 1\nname: cut\nuse: [{family}]\ninput: [3, 224, 224]\n"
        f"body: [{family}: {{variant: {name}, until: {until}}}]\n"
    )
    network = netspec.load(path)
    module = network.to_torch().eval().double()
    for parent in list(module.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, torch.nn.MaxPool2d):
                mean = torch.nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(parent, key, mean)
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter, 0.01, 0.02)
    x = torch.rand(1, 3, 224, 224, dtype=torch.float64, requires_grad=True)
    y = module(x)
    middle = y.shape[2] // 2
    widest = 0
    for row in range(middle - 1, middle + 1):
        (grad,) = torch.autograd.grad(y[0, :, row, middle].sum(), x, retain_graph=True)
        for axis in (2, 3):
            reached = grad.abs().sum(tuple({0, 1, 2, 3} - {axis})).nonzero()
            widest = max(widest, int(reached.max() - reached.min() + 1))
    assert MEASURES["receptive_field"].of(Measured(network.inference).whole) == widest < 224


def test_arithmetic_intensity_of_a_layer(tmp_path: Path) -> None:
    """A convolution of C to C channels, and a linear layer, which does one MAC with each weight that it reads."""
    path = tmp_path / "layers.yaml"
    path.write_text(
        "netspec: 1\nname: layers\ninput: [8, 16, 16]\nbody:\n  - a = conv: {out: 8, kernel: 1, bias: false}\n"
        "  - flatten\n  - fc = linear: {out: 10, bias: false}\n"
    )
    measured = Measured(netspec.load(path).inference)
    numbers = 8 * 16 * 16
    found = {at: MEASURES["intensity"].of(measured.at(at)) for at in ("a", "flatten", "fc")}
    assert found == {
        "a": 2 * numbers * 8 / (4 * (2 * numbers + 64)),
        "flatten": None,
        "fc": 2 * numbers * 10 / (4 * (numbers + 10 * numbers + 10)),
    }


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_says_what_it_is(name: str) -> None:
    measure = MEASURES[name]
    assert measure.doc and measure.title and measure.doc[0].isupper()
    empty = Measured(netspec.load("lenet5").inference).part("nowhere", [], None)
    assert measure.of(empty) in (0, None)


@pytest.mark.parametrize("name", sampled(networks(), 2, slow=60))
def test_kept_measures_are_those_of_today(name: str) -> None:
    """What `netspec list specs` reads in place of building the networks; `tools/dev docs` writes it."""
    network = netspec.load(name)
    whole = Measured(network.inference, trained=network.graph).whole
    known = [kept for key, kept in kept_measures().items() if key == f"{name} {digest_of(network.document)}"]
    assert known == [{name: measure.of(whole) for name, measure in MEASURES.items()}], "tools/dev docs writes them"


@pytest.mark.parametrize("text", [None, "<<<<<<< HEAD", '{"lenet5 0": {"depth": 6}}'])
def test_measures_that_are_not_kept_are_computed(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the file, with one that cannot be read, and with one of another version."""
    if text is not None:
        (tmp_path / MEASURED).write_text(text)
    monkeypatch.setattr("netspec.reports.catalogue.specs_root", lambda: tmp_path)
    assert kept_measures() == {}
    assert entry(netspec.load("lenet5").document, None).measures["depth"] == 5


def test_what_is_said_of_a_network_does_not_change_what_it_is(tmp_path: Path) -> None:
    digests = []
    for text in (
        "body: [conv: [4, 1]]",
        "title: T\nbody: [conv: [4, 1]]  # a comment\nexpect: {params: 1}",
        "body: [conv: [5, 1]]",
    ):
        path = tmp_path / "t.yaml"
        path.write_text(f"netspec: 1\nname: t\ninput: [3, 8, 8]\n{text}\n")
        document = read_document(path, Reporter())
        assert document is not None
        digests.append(digest_of(document))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "text",
    [
        "params: {source: %d}\nbody:\n  - conv: {out: =source, kernel: 1}",
        "params: {checkpoints: 1}\nvariants: {a: {checkpoints: %d}}\nbody:\n  - conv: {out: =checkpoints, kernel: 1}",
        "blocks:\n  b: {params: {source: 1}, body: [conv: {out: =source, kernel: 1}]}\nbody:\n  - b: {source: %d}",
    ],
    ids=["params", "variant", "call"],
)
def test_a_parameter_changes_what_a_network_is_whatever_its_name(text: str, tmp_path: Path) -> None:
    found = []
    for value in (4, 5):
        path = tmp_path / "t.yaml"
        path.write_text(f"netspec: 1\nname: t\ninput: [3, 8, 8]\n{text % value}\n")
        document = read_document(path, Reporter())
        assert document is not None
        found.append((digest_of(document), params_of(path)))
    assert found[0][1] != found[1][1], "another network"
    assert found[0][0] != found[1][0]


def params_of(path: Path) -> object:
    return MEASURES["params"].of(Measured(netspec.load(path).inference).whole)


def test_the_file_of_measures_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed code gives other numbers of the same specs: none is taken from the file."""
    few = shipped()[:3]
    monkeypatch.setattr("netspec.reports.catalogue.shipped", lambda: few)
    monkeypatch.setattr("netspec.reports.catalogue.measures_of", lambda document, variant: {"depth": 123456})
    assert {*map(str, json.loads(measured_text()).values())} == {"{'depth': 123456}"}


SE = """\
netspec: 1
name: t
input: [8, %d, %d]
body:
  - conv: [8, 3, 1, 1]
  %s
  - flatten
  - linear: 10
"""


@pytest.mark.parametrize("size", [1, 32])
@pytest.mark.parametrize(
    "gated",
    [
        "- mul: [[global_avg_pool, conv: [2, 1], relu, conv: [8, 1], sigmoid], []]",
        "- mul: [[], [global_max_pool, conv: [2, 1], relu, conv: [8, 1], sigmoid]]",
        "- mul: [[channel_mean, conv: [1, 1], sigmoid], []]",
        "- global_avg_pool\n  - mul: [[conv: [2, 1], relu, conv: [8, 1], sigmoid], []]",
    ],
)
def test_the_depth_does_not_depend_on_the_size_of_the_input(gated: str, size: int, tmp_path: Path) -> None:
    """A convolution and a linear layer; the gate between them is no layer of the path (Hu et al. 2018)."""
    path = tmp_path / "t.yaml"
    path.write_text(SE % (size, size, gated))
    assert MEASURES["depth"].of(Measured(netspec.load(path).inference).whole) == 2


def test_a_product_of_two_branches_is_no_gate(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(SE % (8, 8, "- mul: [[conv: [8, 1], relu, conv: [8, 1]], [conv: [8, 1]]]"))
    assert MEASURES["depth"].of(Measured(netspec.load(path).inference).whole) == 4


@pytest.mark.parametrize(
    "body",
    [
        "[conv_transpose: {out: 8, kernel: 4, stride: 2, pad: [0, 1, 0, 1]}]",
        "[conv_transpose: {out: 8, kernel: 4, stride: 2, pad: 1}]",
        "[max_pool: {kernel: 3, stride: 2}, relu, avg_pool: {kernel: 2, stride: 2}]",
        "[max_pool: {kernel: 3, stride: 2}, conv: [8, 1], max_pool: {kernel: 3, stride: 2}]",
    ],
)
def test_memory_of_small_networks(body: str, tmp_path: Path) -> None:
    """Unlike padding is cut from a larger map, and autograd saves nothing of what no weight stands before."""
    from memory_harness import allocated, saved

    path = tmp_path / "t.yaml"
    path.write_text(f"netspec: 1\nname: t\ninput: [8, 32, 32]\nbody: {body}\n")
    network = netspec.load(path)
    whole = Measured(network.inference, trained=network.graph).whole
    assert MEASURES["memory"].of(whole) == allocated(network.inference)
    kept = saved(network.graph) if MEASURES["params"].of(whole) else 0
    assert MEASURES["training_memory"].of(whole) == kept


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_a_layer_is_one_of_pytorch(op: Op) -> None:
    """What an op says of its layer is what the PyTorch backend has: it decides what its block holds while it runs."""
    rows = pytest.importorskip("netspec_torch.lowering").ROWS
    for sample in op.samples:
        tensors = [Tensor(("N", *shape)) for shape in sample.operands]
        result = op.infer(tensors, sample.attrs)
        applied = Applied(result.attrs, [tensor.shape for tensor in tensors], result)
        node = Node(names.Path("a"), op.name, (), result.attrs, result, names.Path("a"))
        row = rows[op.name]
        layer = row.layer(node, applied.operands) if row.layer is not None else None
        plain = all(made is None or made(node, applied.operands) == "{0}" for made in (row.before, row.after))
        assert op.memory.layer(applied) == (layer is not None and plain and op.arity == 1)


def test_a_network_is_explained_with_its_depth_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "vgg11"]) == 0
    said = capsys.readouterr().out
    # the image, and the first convolution and its ReLU, of 64 x 224 x 224 floats each
    mebibytes = 4 * (3 * 224**2 + 2 * 64 * 224**2) / 2**20
    assert "depth       11 layers" in said and f"memory      {mebibytes:.1f} MiB for an image" in said
