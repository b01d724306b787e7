"""Pictures: what is in them, in which order, and that no text can break them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import netspec
from netspec.analysis.measures import MEASURES, Measured
from netspec.diagnostics.errors import UsageError
from netspec.draw import View, beside, difference, draw, picture
from netspec.draw.annotations import Annotations
from netspec.draw.labels import first_sentence
from netspec.draw.model import Frame
from netspec.draw.numbers import HEATS
from netspec.ir.graph import Graph

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def googlenet() -> Graph:
    return netspec.load("googlenet").graph


def test_every_node_is_drawn_once_at_full_depth(googlenet: Graph) -> None:
    drawn = picture(googlenet, View(unfold=True))
    assert [b.path for b in drawn.root.boxes() if b.kind != "output"] == list(googlenet.nodes)


FAMILIES = [
    "googlenet",
    "resnet50",
    "fractalnet",
    "shufflenet",
    "alexnet",
    "lenet5",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("densenet121", "nasnet_a_mobile", "polynet", "resnext50_32x4d", "efficientnet_b0", "inception_v3")
    ),
]


@pytest.mark.parametrize("name", FAMILIES)
def test_all_nodes_and_edges_are_in_the_unfolded_picture(name: str) -> None:
    graph = netspec.load(name).graph
    drawn = picture(graph, View(unfold=True))
    assert [b.path for b in drawn.root.boxes() if b.kind != "output"] == list(graph.nodes)
    arrows = [(a.source, a.target) for a in drawn.arrows if not a.target.startswith("output ")]
    assert sorted(arrows) == sorted(graph.nx.edges())
    assert {(a.source, a.target) for a in drawn.arrows if a.target.startswith("output ")} == {
        (o.ref.node, f"output {name}") for name, o in graph.outputs.items()
    }


def test_scopes_are_expanded_and_collapsed_by_name() -> None:
    graph = netspec.load("resnet50").graph
    open_one = {b.path for b in picture(graph, View(depth=1, expand=("layer3.2",))).root.boxes()}
    assert {"layer3.2.residual.conv1", "layer3.1", "layer3.3", "layer2"} <= open_one
    assert not {"layer3", "layer3.2"} & open_one
    collapsed = {b.path for b in picture(graph, View(collapse=("layer[12]", "bottleneck"))).root.boxes()}
    assert {"layer1", "layer2", "layer3.0"} <= collapsed
    # A round apart, by its path; and a scope by the end of its path.
    assert "layer1.2" in {b.path for b in picture(graph, View(depth=3, collapse=("layer1.2",))).root.boxes()}
    dense = picture(netspec.load("densenet121").graph, View(depth=1, expand=("denseblock2",)))
    assert "features.denseblock2.denselayer1" in {b.path for b in dense.root.boxes()}
    with pytest.raises(UsageError, match="no block or scope 'layer9'"):
        picture(graph, View(expand=("layer9",)))


def test_numbers_are_the_papers(googlenet: Graph) -> None:
    """Table 1 prints 159K parameters and 128M operations for 3a; 9,472 with biases for conv1, 7 x 7 x 3 x 64 + 64."""
    shown = View(depth=1, show=frozenset(("names", "params", "macs", "rf", "activations")))
    facts = {b.path: b.facts for b in picture(googlenet, shown).root.boxes()}
    assert facts["3a"][:2] == ("164k parameters", "128M MACs")
    assert facts["conv1"] == ("9.47k parameters", "118M MACs", "6.42MB of activations", "sees 7\u00d77")
    assert not any(a.label for a in picture(googlenet, shown).arrows)


def test_heat_is_the_share_of_the_largest(googlenet: Graph) -> None:
    heats = {b.path: b.intensity for b in picture(googlenet, View(depth=1, heat="params")).root.boxes() if b.nodes}
    # An auxiliary head has 128 x 512 + 128, 2048 x 1024 + 1024 and 1024 x 1000 + 1000; the second reads 528 maps.
    head = 528 * 128 + 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000
    assert heats["aux2"] == 1.0 and heats["3a"] == pytest.approx(163_696 / head)


def test_notes_are_written(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("netspec: 1\nname: t\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 1]\n    doc: keeps the size\n")
    graph = netspec.load(path).graph
    assert ("keeps the size",) in [b.facts for b in picture(graph, View(show=frozenset(("notes",)))).root.boxes()]
    assert [b.tooltip for b in picture(graph).root.boxes() if b.tooltip.endswith(". keeps the size")]


@pytest.mark.slow
def test_what_two_networks_share_and_what_not() -> None:
    resnet, resnext = (netspec.load(name).graph for name in ("resnet50", "resnext50_32x4d"))
    marks = {b.path: b.mark for b in difference(resnet, resnext).root.boxes()}
    assert {p for p, m in marks.items() if m == "changed"} == {
        f"{side}/layer{i}.{j}" for side in ("before", "after") for i in (1, 2, 3, 4) for j in (0, 1)
    }
    assert marks["after/conv1"] == marks["before/fc"] == "same"
    assert {b.mark for b in difference(resnet, resnet).root.boxes()} == {"same"}
    # Table 1 of Xie et al. 2017: 32 groups, and twice the width.
    said = {b.path: b.facts for b in difference(resnet, resnext).root.boxes()}
    assert said["after/layer1.0"] == ("width 64 \u2192 128", "groups 1 \u2192 32") and said["before/layer1.0"] == ()
    dense = [netspec.load(name).graph for name in ("densenet121", "densenet169")]
    box = next(b for b in difference(*dense).root.boxes() if b.path == "after/classifier")
    assert (box.mark, box.facts) == ("changed", ("weight 1000x1024 \u2192 1000x1664",))


def test_networks_stand_next_to_each_other() -> None:
    """He et al. 2015, Figure 3: VGG-19, 34 layers without shortcuts, 34 layers with 16 of them."""
    graphs = [netspec.load(name).inference for name in ("vgg19", "plain34", "resnet34")]
    drawn = beside(graphs, View(expand=("basic", "stage1"), unfold=True))
    assert [f.title for f in drawn.root.items if isinstance(f, Frame)] == ["VGG-E (19 layers)", "Plain-34", "ResNet-34"]
    convs = [b.path[0] for b in drawn.root.boxes() if b.kind == "weights"]
    assert [convs.count(n) for n in "123"] == [19, 34, 34 + 3]  # and three projections
    sums = [b.path[0] for b in drawn.root.boxes() if b.kind == "join"]
    assert [sums.count(n) for n in "123"] == [0, 0, 16]
    assert len({b.path for b in drawn.root.boxes()}) == len([*drawn.root.boxes()])
    assert all(a.source[:2] == a.target[:2] for a in drawn.arrows)
    with pytest.raises(UsageError, match="no block or scope 'bsic'"):
        beside(graphs, View(expand=("bsic",)))
    marks = {b.mark for b in difference(graphs[0], graphs[2], View(expand=("basic",))).root.boxes()}
    assert marks == {"added", "removed", "changed", "same"}


@pytest.mark.slow
def test_what_changed_is_found_wherever_it_lies() -> None:
    """Zeiler and Fergus 2013, section 4.1: 7 x 7 with stride 2 in place of 11 x 11 with stride 4; Tan and Le 2019."""
    alexnet, zfnet = netspec.load("alexnet").graph, netspec.load("zfnet").graph
    box = next(b for b in difference(alexnet, zfnet).root.boxes() if b.path == "after/conv1")
    assert box.mark == "changed"
    # AlexNet has a `conv_relu` of its own, so that what is compared is the convolutions in the two blocks.
    assert {"conv: kernel 11x11 \u2192 7x7", "conv: stride 4x4 \u2192 2x2"} <= set(box.facts)
    # Table 1, with ceil(1.1 n) layers in the place of n.
    small, large = netspec.load("efficientnet_b0").graph, netspec.load("efficientnet_b1").graph
    said = {b.path: b.facts for b in difference(small, large, View(depth=1)).root.boxes()}
    times = [said[f"after/stage{i}"][0] for i in range(2, 9)]
    assert times == [f"\u00d7{n} \u2192 \u00d7{n + 1}" for n in (1, 2, 2, 3, 3, 4, 1)]
    resnet, ten = netspec.load("resnet18").graph, netspec.load("resnet18", classes=10).graph
    box = next(b for b in difference(resnet, ten).root.boxes() if b.path == "after/output logits")
    assert (box.mark, box.facts) == ("changed", ("1000 \u2192 10",))


@pytest.mark.slow
def test_whatever_changed_says_how() -> None:
    pairs = (("resnet50", "resnet101", 3), ("all_cnn_a", "all_cnn_b", 1), ("all_cnn_a", "all_cnn_b", 2))
    for before, after, depth in pairs:
        drawn = difference(netspec.load(before).graph, netspec.load(after).graph, View(depth=depth))
        changed = [b for b in drawn.root.boxes() if b.mark == "changed" and b.path.startswith("after/")]
        assert changed and all(b.facts for b in changed), [b.path for b in changed if not b.facts]


def test_all_rounds_are_compared(tmp_path: Path) -> None:
    graphs = []
    for rate in (0.1, 0.2):
        text = (
            f"netspec: 1\nname: t\ninput: [8, 8, 8]\nbody:\n  - s = do:\n      - add:\n          a: [conv: [8, 1], "
            f"drop_path: ={rate} * i]\n          b: []\n    repeat: 4\n"
        )
        (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
        graphs.append(netspec.load(tmp_path / "t.yaml").graph)
    for depth in (1, 2):
        assert "changed" in {b.mark for b in difference(*graphs, View(depth=depth)).root.boxes()}


def test_arrows_carry_the_shapes_of_table_1(googlenet: Graph) -> None:
    labels = {a.source: a.label for a in picture(googlenet, View(depth=1)).arrows}
    assert (labels["input"], labels["3a"], labels["4e"], labels["5b"]) == (
        "3x224x224",
        "256x28x28",
        "832x14x14",
        "1024x7x7",
    )


def test_depth_folds(googlenet: Graph) -> None:
    """GoogLeNet's modules hold layers, DenseNet's features blocks, which hold layers of two convolutions."""
    assert sum(b.kind == "block" for b in picture(googlenet, View(depth=2)).root.boxes()) == 0
    dense = netspec.load("densenet121").graph
    sizes = [len(list(picture(dense, View(depth=d)).root.boxes())) for d in (1, 2, 3, 4)]
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3]
    assert {"3a", "3b", "4a", "5b", "aux1"} <= {b.path for b in picture(googlenet, View(depth=1)).root.boxes()}


@pytest.mark.parametrize("name", ["googlenet", "resnet152", "densenet264", "mobilenet_v2", "squeezenet"])
def test_by_default_it_fits_a_page(name: str) -> None:
    assert len(list(picture(netspec.load(name).graph).root.boxes())) <= 60


def test_layer_and_its_norm_are_one_box_by_default() -> None:
    graph = netspec.load(ROOT / "specs" / "blocks" / "residual.yaml:bottleneck").graph
    lines = [b.lines for b in picture(graph).root.boxes()]
    assert ("conv2: 3\u00d73 conv, 64", "batch norm, ReLU") in lines
    assert not [b for b in picture(graph).root.boxes() if b.lines == ("batch norm",)]
    assert [b.path for b in picture(graph, View(unfold=True)).root.boxes() if b.kind != "output"] == list(graph.nodes)


def test_main_path_is_told_from_training_only(googlenet: Graph) -> None:
    side = {(a.source, a.target) for a in picture(googlenet, View(depth=1)).arrows if not a.main}
    assert side == {("4a", "aux1"), ("aux1", "output aux1"), ("4d", "aux2"), ("aux2", "output aux2")}


HALVES = """\
netspec: 1
name: two
input: [8, 16, 16]
blocks:
  halves:
    inputs: [a, b]
    outputs: [sum, product]
    body:
      - total = add: [a, b]
      - sum = dropout: 0.1
      - product = mul: [a, b]
body:
  - left = conv: [8, 1]
  - thin = dropout: 0.5
  - right = conv: {out: 8, kernel: 3, pad: 1}
    from: input
  - h = halves:
    from: [right, thin]
  - last = concat:
    from: [h.product, h.sum]
"""


@pytest.mark.parametrize("inference", [False, True])
def test_arrows_end_at_the_inputs_of_a_collapsed_block_that_they_feed(tmp_path: Path, inference: bool) -> None:
    (tmp_path / "two.yaml").write_text(HALVES, encoding="utf-8")
    network = netspec.load(tmp_path / "two.yaml")
    drawn = picture(network.inference if inference else network.graph, View(depth=1))
    box = next(box for box in drawn.root.boxes() if box.path == "h")
    assert (box.ins, box.outs) == (("a", "b"), ("sum", "product"))
    assert {(a.source, a.into) for a in drawn.arrows if a.target == "h"} == {("right", "a"), ("left", "b")}
    assert {a.outof for a in drawn.arrows if a.source == "h"} == {"sum", "product"}
    assert [b.ins for b in picture(network.graph, View(depth=2)).root.boxes() if b.ins] == []


@pytest.mark.slow
def test_cells_of_nasnet_read_the_two_before_them() -> None:
    """`cur` is the cell before; in the large network `prev` of a reduction and of what follows is one further back."""
    arrows = picture(netspec.load("nasnet_a_large").graph, View(depth=1)).arrows
    read = {(a.target, a.into): a.source for a in arrows if a.into}
    assert read["cell_0", "cur"] == "cell_stem_1" and read["cell_0", "prev"] == "cell_stem_0"
    assert read["cell_1", "cur"] == "cell_0" and read["cell_1", "prev"] == "cell_stem_1"
    assert read["cell_6", "cur"] == "reduction_cell_0" and read["cell_6", "prev"] == "cell_1"  # a box of five cells
    assert len(read) == 2 * 10 == sum(bool(a.into) for a in arrows)


def test_names_of_inputs_are_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(HALVES, encoding="utf-8")
    graph = netspec.load(tmp_path / "two.yaml").graph
    said = draw(graph, "mermaid", View(depth=1)).decode()
    assert '|"8x16x16 to a"|' in said and '|"product 8x16x16"|' in said
    pytest.importorskip("pygraphviz")
    texts = ["".join(t.itertext()) for t in ET.fromstring(draw(graph, "svg", View(depth=1))).iter(f"{SVG}text")]
    assert {"a", "b", "sum", "product"} <= set(texts)


def test_direct_draws_every_layer_of_a_dense_block_to_all_later_ones() -> None:
    """Huang et al. 2016, section 1: a block of L layers has L (L + 1) / 2 connections."""
    graph = netspec.load(ROOT / "specs" / "blocks" / "dense.yaml:dense_block").graph
    view = View(depth=1, unfold=True, direct=True)
    drawn = picture(graph, view)
    assert len([a for a in drawn.arrows if a.target.startswith("denselayer")]) == 6 * 7 // 2
    assert not [box for box in drawn.root.boxes() if box.kind == "join"]
    page = json.loads(re.findall(r'id="network">(.*?)</script>', draw(graph, "html", view).decode())[0])
    assert len(page["arrows"]) > 6 * 7 // 2


@pytest.mark.slow
def test_direct_refuses_more_arrows_than_anyone_can_see() -> None:
    graph = netspec.load(ROOT / "specs" / "blocks" / "dense.yaml:dense_block", layers=460).graph
    with pytest.raises(UsageError, match="more than 100,000 arrows"):
        picture(graph, View(depth=1, direct=True))


def test_a_block_alone_says_its_arguments_and_what_it_costs() -> None:
    """Module 3a: the row of Table 1 of GoogLeNet, whose 159K parameters are without biases."""
    drawn = picture(netspec.load(ROOT / "specs" / "blocks" / "inception.yaml:inception").graph)
    assert drawn.legend == "inception(n1x1=64, r3x3=96, n3x3=128, r5x5=16, n5x5=32, proj=32): 163,696 parameters"


def test_a_title_is_the_first_sentence_of_a_text() -> None:
    graph = netspec.load(ROOT / "specs" / "blocks" / "inception.yaml:inception_17x17").graph
    assert picture(graph).title.endswith("(Szegedy et al. 2015, Figure 6)")
    graph = netspec.load(ROOT / "specs" / "nasnet.yaml:normal_cell").graph
    assert picture(graph).title == "The normal cell of NASNet-A (Figure 4, left)"
    assert first_sentence("Eq. 4 of He et al. 2016, Sec. 3.2. The rest") == "Eq. 4 of He et al. 2016, Sec. 3.2"


def test_receptive_fields_colour_boxes() -> None:
    """Araujo et al. 2019: AlexNet's last pooling sees 195 x 195; what is linear behind it sees the whole image."""
    drawn = picture(netspec.load("alexnet").graph, View(heat="rf"))
    assert drawn.legend == "heat: receptive field, strongest 195 pixels or the whole input"
    heats = {b.path: round(195 * (b.intensity or 0)) for b in drawn.root.boxes()}
    seen = [heats[f"net.{name}"] for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")]
    assert (seen, heats["fc8"]) == ([11, 19, 51, 67, 99, 131, 163, 195], 195)


def test_more_inputs_than_a_box_can_show_have_no_names(tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    names = [f"i{k}" for k in range(300)]
    inputs = ", ".join(names)
    block = f"blocks:\n  wide:\n    inputs: [{inputs}]\n    body:\n      - concat: [{inputs}]\n"
    body = f"body:\n  - a = relu\n  - wide:\n    from: [{', '.join(['a', 'input'] * 150)}]\n"
    (tmp_path / "t.yaml").write_text(f"netspec: 1\nname: t\ninput: [3, 8, 8]\n{block}{body}", encoding="utf-8")
    graph = netspec.load(tmp_path / "t.yaml").graph
    assert [b.ins for b in picture(graph, View(depth=1)).root.boxes() if b.path == "wide"] == [()]
    assert draw(graph, "svg", View(depth=1)).startswith(b"<?xml")


def test_numbers_are_rounded_before_their_unit_is_chosen() -> None:
    from netspec.draw.labels import short

    assert [short(n) for n in (999_999, 999_499, 1.5e12, 7)] == ["1M", "999k", "1.5T", "7"]


def test_direct_draws_values_between_two_boxes_as_one_arrow() -> None:
    arrows = picture(netspec.load("googlenet").graph, View(depth=1, direct=True)).arrows
    assert [a.label for a in arrows if (a.source, a.target) == ("3a", "3b")] == ["4 values"]


@pytest.mark.parametrize("heat", [name for name in HEATS if name in MEASURES])
def test_a_colour_that_is_called_as_a_measure_is_that_measure(heat: str) -> None:
    """`memory` is the peak that `summary` and `plot` show: the sum of what nodes give is `activations`."""
    graph = netspec.load("lenet5").inference
    whole = Measured(graph).whole
    assert Annotations(graph, View(heat=heat)).value(whole.nodes) == MEASURES[heat].of(whole)
    assert {*HEATS} - {*MEASURES} == {"rf"}
