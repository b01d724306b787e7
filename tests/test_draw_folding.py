"""What is folded in pictures: repeats, scopes that are collapsed or merged, and what the counts stand for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import netspec
from netspec.draw import View, picture
from netspec.draw.model import Frame
from netspec.ir.graph import Graph

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


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


HARD = ROOT / "tests" / "data" / "pictures"


def counted(frame: Frame, times: int = 1) -> int:
    """The nodes that a picture says it stands for: those of its boxes, times the counts written around them."""
    found = 0
    for item in frame.items:
        if isinstance(item, Frame):
            assert item.times == 1 or f"\u00d7{item.times}" in item.title
            found += counted(item, times * item.times)
        else:
            assert item.times == 1 or any(f"\u00d7{item.times}" in line for line in item.lines)
            found += len(item.nodes) * times * item.times
    return found


@cache
def graph_of(name: str) -> Graph:
    """A network's graph, elaborated once."""
    return netspec.load(name).graph


@pytest.mark.parametrize("depth", [None, 1, 2, 3, 9])
@pytest.mark.parametrize("name", FAMILIES)
def test_folding_hides_nothing_without_a_count(name: str, depth: int | None) -> None:
    graph = graph_of(name)
    assert counted(picture(graph, View(depth=depth)).root) == len(graph.nodes)


def test_repeats_fold_to_what_the_paper_counts() -> None:
    """Table 1 of ResNet: 3, 4, 6, 3 bottlenecks, of which the first of each stage has a projection."""
    boxes = picture(netspec.load("resnet50").graph, View(depth=2)).root.boxes()
    assert [b.times for b in boxes if b.kind == "block"] == [1, 2, 1, 3, 1, 5, 1, 2]


def test_shared_weights_are_told_from_copies(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    text = "netspec: 1\nname: t\ninput: [8, 8, 8]\nbody:\n  - a = conv: [8, 3, 1, 1]\n    repeat: 3\n{}"
    said = []
    for more in ("", "    share: true\n"):
        path.write_text(text.format(more), encoding="utf-8")
        said.append([b.lines for b in picture(netspec.load(path).graph, View(depth=1)).root.boxes()][1])
    assert said[0] != said[1] and "shared" in said[1][-1] and "shared" not in said[0][-1]


def test_a_block_alone_shows_its_layers_one_by_one() -> None:
    """Szegedy et al. 2015, Figure 5 has two 3x3 in a row; in a whole network they are folded, as those of VGG are."""
    graph = netspec.load(ROOT / "specs" / "inception_v3.yaml:inception_35x35").graph
    lines = [b.lines[0] for b in picture(graph).root.boxes()]
    assert {"conv2: 3\u00d73 conv, 96", "conv3: 3\u00d73 conv, 96"} <= set(lines)
    assert {3} <= {b.times for b in picture(netspec.load("vgg16").graph).root.boxes()}


def test_only_what_is_alike_to_its_readers_is_folded_beside_each_other(tmp_path: Path) -> None:
    """The gates of a GRU and the heads of a deeply supervised network are no repeats: others read each of them."""
    gru = picture(netspec.load(ROOT / "specs" / "blocks" / "gates.yaml:gru").graph, View(depth=1))
    assert {"r", "z"} <= {b.path for b in gru.root.boxes()} and {b.times for b in gru.root.boxes()} == {1}
    dsn = picture(netspec.load("dsn").graph)
    arrows = {(a.source, a.target) for a in dsn.arrows}
    ends = {target: source for source, target in arrows if target.startswith("output companion")}
    assert len(ends) == len(set(ends.values())) == 2
    head = "blocks:\n  head:\n    body:\n      - conv: [4, 1]\n      - relu\n      - conv: [4, 1]\n"
    steps = "".join(f"  - b{i} = head:\n    from: a\n" for i in range(8))
    one, two = "b0, b1, b2, b3", "b4, b5, b6, b7"
    for join, times in (
        (f"  - add: [{one}, {two}]\n", {1, 8}),
        (f"  - one = add: [{one}]\n  - two = add: [{two}]\n  - add: [one, two]\n", {1}),
    ):
        text = f"netspec: 1\nname: t\ninput: [3, 8, 8]\n{head}body:\n  - a = conv: [4, 1]\n{steps}{join}"
        (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
        drawn = picture(netspec.load(tmp_path / "t.yaml").graph, View(depth=1))
        assert {b.times for b in drawn.root.boxes()} == times


STATES = """\
netspec: 1
name: states
input: [8, 16, 16]
blocks:
  cell:
    inputs: [cur, prev]
    outputs: [new, cur]
    body:
      - c = conv: [8, 1]
        from: prev
      - new = add: [cur, c]
body:
  - one = conv: [8, 1]
  - two = conv: [8, 1]
  - cell{i} = cell:
    repeat: 4
    from: [two, one]
  - last = add: [cell3.new, cell3.cur]
"""


def test_a_state_that_a_later_round_reads_is_what_the_count_stands_for(tmp_path: Path) -> None:
    """`two` enters the first round as `cur`, and comes to the second as `prev`; that is no arrow from `two`."""
    (tmp_path / "states.yaml").write_text(STATES, encoding="utf-8")
    graph = netspec.load(tmp_path / "states.yaml").graph
    opened = {(a.source, a.target) for a in picture(graph, View(depth=2)).arrows}
    assert ("one", "cell0.c") in opened and ("two", "cell0.new") in opened and ("two", "cell0.c") not in opened
    collapsed = [(a.source, a.into) for a in picture(graph, View(depth=1)).arrows if a.target == "cell0"]
    assert sorted(collapsed) == [("one", "prev"), ("two", "cur")]


SKIPS = """\
netspec: 1
name: skips
input: [8, 16, 16]
blocks:
  up:
    inputs: [x1, side]
    body:
      - both = add: [x1, side]
      - conv: [8, 1]
body:
  - a = conv: [8, 1]
  - b = conv: [8, 1]
  - c = conv: [8, 1]
  - u1 = up:
    from: [c, b]
  - u2 = up:
    from: [u1, a]
"""


def test_what_each_round_reads_of_its_own_is_drawn(tmp_path: Path) -> None:
    """As in a network whose decoder reads another stage of the encoder in every round."""
    (tmp_path / "skips.yaml").write_text(SKIPS, encoding="utf-8")
    arrows = picture(netspec.load(tmp_path / "skips.yaml").graph, View(depth=1)).arrows
    assert {(a.source, a.into) for a in arrows if a.target == "u1"} == {("c", "x1"), ("b", "side"), ("a", "side")}


def test_arrows_out_of_a_repeat_say_of_which_rounds_they_come(tmp_path: Path) -> None:
    """The reduction cell of NASNet reads the last two normal cells; block (b) of ResNeXt joins all of its 32 paths."""
    labels = {(a.target, a.into): a.label for a in picture(netspec.load("nasnet_a_large").graph, View(depth=1)).arrows}
    assert labels["reduction_cell_0", "cur"] == "1008x42x42"
    assert labels["reduction_cell_0", "prev"] == "cell_4: 1008x42x42"
    paths = picture(netspec.load(ROOT / "specs" / "blocks" / "resnext.yaml:resnext_block_b").graph).arrows
    assert "32 \u00d7 4x56x56" in [a.label for a in paths]


def test_numbers_of_a_repeat_are_those_of_all_its_rounds() -> None:
    """Of layer l in a dense block: 2 k_l + 128 k_l in front, 256 and 36,864 behind; k_l = 64 + 32 l."""
    layers = [2 * k + 128 * k + 256 + 36864 for k in (64 + 32 * i for i in range(6))]
    graph = netspec.load("densenet121").graph
    view = View(depth=3, show=frozenset(("params",)), heat="params")
    box = next(b for b in picture(graph, view).root.boxes() if b.path.endswith("denseblock1.denselayer1"))
    assert box.facts == (f"{layers[0] / 1000:.1f}k to {layers[-1] / 1000:.1f}k parameters each",)
    heats = {b.path.split(".")[1]: b.intensity for b in picture(graph, view).root.boxes() if "denselayer" in b.path}
    assert heats["denseblock3"] == 1.0 and 0.7 < (heats["denseblock4"] or 0) < 0.8  # 2.84M and 2.16M


def test_repeats_with_another_rate_of_dropout_are_not_folded() -> None:
    graph = netspec.load("fractalnet_drop_path").graph
    texts = [line for b in picture(graph, View(depth=9)).root.boxes() for line in b.lines]
    assert all(any(text.startswith(f"dropout 0.{i}") for text in texts) for i in (1, 2, 3, 4))


def test_collapsed_groups_say_what_they_hold() -> None:
    said = {b.path: b.lines for b in picture(netspec.load("vgg16").graph, View(depth=1)).root.boxes()}
    assert said["stage3"] == ("stage3", "3\u00d73 conv, 256 \u00d73", "2\u00d72 max pool, /2")  # column D of Table 1
    said = {b.path: b.lines for b in picture(netspec.load("googlenet").graph, View(depth=1)).root.boxes()}
    assert said["aux1"] == ("aux1: aux_head",) and said["conv2"] == ("conv2", "1\u00d71 conv, 64 + 3\u00d73 conv, 192")


def test_weights_that_are_shared_are_said_and_counted_once(tmp_path: Path) -> None:
    """A 1x1 convolution of 16 to 16 channels has 16 x 16 weights and 16 biases."""
    path = tmp_path / "sh.yaml"
    path.write_text(
        "netspec: 1\nname: sh\ninput: [16, 8, 8]\nbody:\n  - m = conv: [16, 1]\n    repeat: 3\n    share: true\n",
        encoding="utf-8",
    )
    graph = netspec.load(path).graph
    boxes = {b.path: b for b in picture(graph, View(show=frozenset(("params",)))).root.boxes()}
    assert [boxes[f"m.{i}"].facts for i in range(3)] == [("272 parameters",), (), ()]
    assert boxes["m.1"].lines[-1] == boxes["m.2"].lines[-1] == "weights of m.0"
    view = View(show=frozenset(("params",)), collapse=("m",))
    assert [b.facts for b in picture(graph, view).root.boxes() if b.path == "m"] == [("272 parameters",)]


def test_rounds_in_rounds_are_counted_one_by_one() -> None:
    """A 1x1 and a 3x3 convolution of 16 to 16 channels, 4 times in each of 3 rounds: 272 and 2,320 parameters each."""
    view = View(depth=9, show=frozenset(("params",)), heat="params")
    boxes = {b.path: b for b in picture(netspec.load(HARD / "nested.yaml").graph, view).root.boxes()}
    assert boxes["o.0.inn.0.conv"].facts == ("272 parameters each",)
    assert boxes["o.0.inn.0.conv_2"].facts == ("2.32k parameters each",)
    assert [len(b.iterations) for b in boxes.values() if b.nodes] == [1, 12, 12, 3]


def test_values_that_leave_a_repeat_are_arrows_of_their_own() -> None:
    arrows = picture(netspec.load(HARD / "places.yaml").graph, View(depth=2)).arrows
    joined = sorted((a.source, a.label) for a in arrows if a.target == "concat")
    assert joined == [("g.0", "2 \u00d7 16x8x8"), ("g.0", "2 \u00d7 8x8x8"), ("g.0", "2 \u00d7 8x8x8")]
    arrows = picture(netspec.load(HARD / "chain.yaml").graph, View(depth=1)).arrows
    assert {a.outof for a in arrows if a.target == "concat"} == {"state", "y"}


def test_shapes_inside_a_repeat_are_those_of_all_rounds() -> None:
    """Table 1 of Simonyan and Zisserman: stage 4 has maps of 28 x 28, stage 5 of 14 x 14, and both 512 channels."""
    labels = {(a.source, a.target): a.label for a in picture(netspec.load("vgg16").graph, View(depth=2)).arrows}
    assert labels["stage4.conv1", "stage4.pool"] == "512x28x28 to 512x14x14"
    assert labels["stage3.pool", "stage4.conv1"] == "256x28x28" and labels["stage4.pool", "flatten"] == "512x7x7"


def test_collapsed_scopes_name_the_weights_they_share() -> None:
    boxes = {b.path: b for b in picture(netspec.load(HARD / "shares.yaml").graph, View(depth=1)).root.boxes()}
    assert (boxes["b"].lines[-1], boxes["t2"].lines[-1]) == ("weights of a", "weights of t1")
    assert not any("weights of" in line for path in ("a", "t1") for line in boxes[path].lines)


def test_scopes_that_hold_one_other_are_one() -> None:
    drawn = picture(netspec.load("se_resnet50").graph, View(depth=2))
    assert [f.title for f in drawn.root.frames()] == ["conv2_x", "conv3_x", "conv4_x", "conv5_x"]
    assert {"0: se_bottleneck, /2", "1 to 2: se_bottleneck"} <= {b.lines[0] for b in drawn.root.boxes()}
    opened = picture(netspec.load("googlenet").graph, View(depth=1, expand=("aux_head",)))
    assert [f.title for f in opened.root.frames()] == ["aux1: aux_head", "aux2: aux_head"]


def test_collapsed_scopes_say_window_scale_and_what_is_in_parallel() -> None:
    """Tables 1 of Szegedy et al. 2016 (a stem of stride 8) and of Tan and Le 2019 (5 x 5, stride 2, 2 layers)."""
    boxes = {b.path: b.lines for b in picture(netspec.load("efficientnet_b0").graph, View(depth=1)).root.boxes()}
    assert boxes["stage4"] == ("stage4, /2", "mbconv, 5\u00d75 \u00d72")
    stem = next(b for b in picture(netspec.load("inception_v4").graph, View(depth=1)).root.boxes() if b.path == "stem")
    assert stem.lines == ("stem: inception_v4_stem, /8",)
    cells = {b.path: b.lines for b in picture(netspec.load("nasnet_a_large").graph, View(depth=1)).root.boxes()}
    # Of what enters cell 6 only the state before the last is halved; a reduction cell halves both.
    assert (cells["cell_6"], cells["reduction_cell_1"]) == (("Normal Cell 7",), ("Reduction Cell 4, /2",))
    towers = {b.path: b.lines for b in picture(netspec.load("alexnet_towers").graph).root.boxes()}
    assert towers["net.conv1.tower"][-1] == "11\u00d711 conv, 48, /4 \u00d72 in parallel"


def test_scopes_that_are_one_keep_names_of_inputs_and_owners_of_weights(tmp_path: Path) -> None:
    head = "netspec: 1\nname: t\ninput: [8, 8, 8]\n"
    cell = "blocks:\n  cell:\n    inputs: [h, v]\n    body:\n      - add: [h, v]\n      - conv: [8, 1]\n      - relu\n"
    two = "blocks:\n  two:\n    body:\n      - conv: [8, 1]\n      - conv: [8, 1]\n"
    texts = {
        "ports": f"{head}{cell}body:\n  - a = conv: [8, 1]\n  - g = do:\n      - c = cell:\n        from: [a, input]\n",
        "share": f"{head}{two}body:\n  - t1 = two\n  - g = do:\n      - xx = two:\n        share: t1\n    repeat: 3\n",
        "names": f"{head}body:\n  - a = do: [{{xx = do: [conv: [8, 3], conv: [8, 1]]}}]\n"
        "  - b = do: [{yy = do: [conv: [8, 3], conv: [8, 1]]}]\n  - relu\n",
    }
    found = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        graph = netspec.load(tmp_path / f"{name}.yaml").graph
        found[name] = {b.path: b for b in picture(graph, View(depth=1)).root.boxes()}
        if name == "ports":
            assert {a.into for a in picture(graph, View(depth=1)).arrows if a.target == "g"} == {"h", "v"}
    assert found["ports"]["g"].ins == ("h", "v")
    assert found["share"]["g"].lines == ("g", "two \u00d73 shared", "weights of t1")
    assert {"a", "b"} <= set(found["names"])  # other names inside: no repeats
