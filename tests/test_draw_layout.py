"""The layout of figures: in single blocks no arrow crosses another; no text leaves the page or lies on another."""

from __future__ import annotations

import math
import re
import shlex
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path

import networkx as nx
import pytest
from conftest import sampled
from PIL import ImageFont

import netspec
from netspec.diagnostics.errors import Reporter
from netspec.draw import View, draw, picture
from netspec.draw.formats.crossings import MOST_ARROWS
from netspec.network import build
from netspec.reports.catalogue import shipped
from netspec.syntax.reader import read_document

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
COMMAND = re.compile(r"^    netspec (draw .*)-o docs/img/figures/(\S+)\.svg$", re.MULTILINE)
PAGE = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
COMMANDS = {name: shlex.split(text) for text, name in COMMAND.findall(PAGE)}
BLOCKS = [name for name, args in COMMANDS.items() if ":" in args[1]]
# Fewer are impossible: the one is not planar, the other is all arrows between six boxes, K6 (tests below).
CROSSED = {"nasnet_reduction": 1, "dense_block": 3}
FONT = ImageFont.truetype(str(ROOT / "netspec" / "draw" / "formats" / "assets" / "Arimo-Regular.ttf"), 100)

Place = tuple[float, float]


def curves(root: ET.Element) -> list[list[Place]]:
    """Every arrow as points along its Bezier curves, in the picture's coordinates."""
    found = []
    for group in root.iter(f"{SVG}g"):
        path = group.find(f".//{SVG}path")
        if group.get("class") != "edge" or path is None:
            continue
        numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", path.get("d", ""))]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        line = [points[0]]
        for i in range(0, len(points) - 3, 3):
            a, b, c, d = points[i : i + 4]
            line += [
                tuple(
                    (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t * t * r + t**3 * s
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
                for t in (k / 16 for k in range(1, 17))
            ]  # type: ignore[misc]
        # The path ends where the head begins: the head's tip is its point that is farthest from there.
        head = group.find(f".//{SVG}polygon")
        tips = [] if head is None else [tuple(map(float, p.split(","))) for p in head.get("points", "").split()]
        if tips:
            line.append(max(tips, key=lambda tip: math.dist(tip, line[-1])))  # type: ignore[arg-type]
        found.append(line)
    return found


def crosses(a: Place, b: Place, c: Place, d: Place) -> bool:
    """Whether the segment a b crosses c d."""

    def side(p: Place, q: Place, r: Place) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def crossings(lines: list[list[Place]]) -> int:
    """Pairs of arrows that cross."""
    return sum(
        any(crosses(*s, *t) for s in pairwise(one) for t in pairwise(two)) for one, two in combinations(lines, 2)
    )


def wide_as(text: str, size: float) -> float:
    """The width of a text in points, in the font that the pictures are measured in."""
    return FONT.getlength(text) * size / FONT.size


def drawn(name: str) -> ET.Element:
    """The picture of a figure's command, which is the one in the docs: test_readme.py compares their bytes."""
    return ET.parse(ROOT / "docs" / "img" / "figures" / f"{name}.svg").getroot()


def test_the_count_of_crossings_counts() -> None:
    cross = [[(0.0, 0.0), (2.0, 2.0)], [(0.0, 2.0), (2.0, 0.0)], [(5.0, 0.0), (5.0, 2.0)]]
    assert crossings(cross) == 1


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.quick(4)
def test_arrows_of_a_single_block_do_not_cross(name: str) -> None:
    lines = curves(drawn(name))
    assert len(lines) > 1 and crossings(lines) == CROSSED.get(name, 0)


def test_blocks_whose_arrows_cross_cannot_be_drawn_otherwise() -> None:
    """Kuratowski: a graph that is not planar crosses; Guy 1972: the crossing number of K6 is 3."""
    cell = netspec.load(str(ROOT / COMMANDS["nasnet_reduction"][1])).graph
    assert not nx.check_planarity(nx.Graph(cell.nx))[0]
    dense = netspec.load(str(ROOT / COMMANDS["dense_block"][1]), layers=5).graph
    arrows = picture(dense, View(depth=1, unfold=True, direct=True)).arrows
    assert (
        nx.Graph([(a.source, a.target) for a in arrows[:-1]]).edges
        == nx.complete_graph(["input", *(f"denselayer{i}" for i in range(1, 6))]).edges
    )


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.quick(30)
def test_no_arrow_runs_through_the_title_of_a_frame(name: str) -> None:
    root = drawn(name)
    lines = curves(root)
    for group in root.iter(f"{SVG}g"):
        if group.get("class") != "node title":
            continue
        for text in group.iter(f"{SVG}text"):
            size, x, y = (float(text.get(key, "0")) for key in ("font-size", "x", "y"))
            right = x + wide_as("".join(text.itertext()), size)
            top = y - 0.7 * size
            sides = [((x, y), (right, y)), ((x, top), (right, top)), ((x, y), (x, top))]
            assert not any(crosses(a, b, *side) for line in lines for a, b in pairwise(line) for side in sides)


def check_texts(root: ET.Element) -> None:
    """Asserts that every text lies inside the page and on no other."""
    width, height = (float(root.get(side, "0").removesuffix("pt")) for side in ("width", "height"))
    boxes = []
    for text in root.iter(f"{SVG}text"):
        size, said = float(text.get("font-size", "14")), "".join(text.itertext()).replace("\u00a0", "")
        wide, x, y = wide_as(said, size), float(text.get("x", "0")), float(text.get("y", "0"))
        left = x if text.get("text-anchor") == "start" else x - wide / 2
        boxes.append((left, y - 0.7 * size, left + wide, y, said))
    assert all(-1 <= box[0] and box[2] <= width + 1 and -height <= box[1] for box in boxes)
    for one, two in combinations(boxes, 2):
        apart = one[2] <= two[0] + 2 or two[2] <= one[0] + 2 or one[3] <= two[1] + 1 or two[3] <= one[1] + 1
        assert apart, (one, two)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.quick(12)
def test_texts_lie_inside_the_page_and_not_on_each_other(name: str) -> None:
    check_texts(drawn(name))


WIDE = {"box2pix", "dsod", "faster_rcnn_fpn", "mask_rcnn"}
"""Detectors: the heads of all maps stand next to each other."""


@pytest.mark.slow
@pytest.mark.parametrize("path", sampled(shipped(), 1, slow=25), ids=lambda path: path.stem)
def test_every_network_draws_on_a_page(path: Path) -> None:
    """60 boxes at most, and no text below 7 points on A4 (527 x 774 points inside its margins)."""
    pytest.importorskip("pygraphviz")
    document = read_document(path, Reporter())
    assert document is not None
    for variant in sampled(document.variants or [None], 3, slow=3):
        graph = build(document, variant).graph
        svg = ET.fromstring(draw(graph, "svg"))
        width, height = (float(svg.get(side, "0").removesuffix("pt")) for side in ("width", "height"))
        smallest = min(float(t.get("font-size", "10")) for t in svg.iter(f"{SVG}text"))
        boxes = len([g for g in svg.iter(f"{SVG}g") if g.get("class") == "node"])
        fits = path.stem in WIDE or smallest * min(1, 527 / width, 774 / height) >= 7
        assert boxes <= 60 and fits, (document.name, variant)
        check_texts(svg)
        assert draw(graph, "html").startswith(b"<!DOCTYPE html>")


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "specs" / "blocks").glob("*.yaml")), ids=lambda path: path.stem)
def test_blocks_of_the_libraries_are_drawn_without_crossings(path: Path) -> None:
    pytest.importorskip("pygraphviz")
    document = read_document(path, Reporter())
    assert document is not None
    names = [name for name, block in document.blocks.items() if block.examples]
    assert names
    for name in names:
        graph = netspec.load(f"{path}:{name}").graph
        root = ET.fromstring(draw(graph, "svg"))
        check_texts(root)
        arrows = picture(graph).arrows
        if len(arrows) > MOST_ARROWS:  # one layout alone takes seconds
            continue
        planar, _ = nx.check_planarity(nx.Graph([(a.source, a.target) for a in arrows]))
        assert crossings(curves(root)) <= (0 if planar else 1), name
