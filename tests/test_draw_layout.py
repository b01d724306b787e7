"""The layout of figures: in single blocks no arrow crosses another; no text leaves the page or lies on another."""

from __future__ import annotations

import re
import shlex
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest

from netspec.cli import run

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
COMMAND = re.compile(r"^    netspec (draw .*)-o docs/img/figures/(\S+)\.svg$", re.MULTILINE)
PAGE = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
COMMANDS = {name: shlex.split(text) for text, name in COMMAND.findall(PAGE)}
BLOCKS = [name for name, args in COMMANDS.items() if ":" in args[1]]
# Their pairs of boxes read two states in any order; in the paper's figure arrows cross too.
CROSSED = {"nasnet_normal", "nasnet_reduction"}

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
            a, b, c, d = points[i:i + 4]
            line += [tuple((1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t * t * r + t ** 3 * s
                           for p, q, r, s in zip(a, b, c, d, strict=True))
                     for t in (k / 16 for k in range(1, 17))]  # type: ignore[misc]  # fmt: skip
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
        any(crosses(*s, *t) for s in zip(one, one[1:], strict=False) for t in zip(two, two[1:], strict=False))
        for one, two in combinations(lines, 2))


def drawn(name: str, folder: Path) -> ET.Element:
    """The picture of a figure's command."""
    pytest.importorskip("pygraphviz")
    assert run([*COMMANDS[name], "-q", "-o", str(folder / "f.svg")]) == 0
    return ET.parse(folder / "f.svg").getroot()


def test_the_count_of_crossings_counts() -> None:
    cross = [[(0.0, 0.0), (2.0, 2.0)], [(0.0, 2.0), (2.0, 0.0)], [(5.0, 0.0), (5.0, 2.0)]]
    assert crossings(cross) == 1


@pytest.mark.parametrize("name", [b for b in BLOCKS if b not in CROSSED])
def test_arrows_of_a_single_block_do_not_cross(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = curves(drawn(name, tmp_path))
    assert len(lines) > 1 and crossings(lines) == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_texts_lie_inside_the_page_and_not_on_each_other(name: str, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(ROOT)
    root = drawn(name, tmp_path)
    width, height = (float(root.get(side, "0").removesuffix("pt")) for side in ("width", "height"))
    boxes = []
    for text in root.iter(f"{SVG}text"):
        size, said = float(text.get("font-size", "14")), "".join(text.itertext()).replace("\u00a0", "")
        wide, x, y = 0.46 * size * len(said), float(text.get("x", "0")), float(text.get("y", "0"))
        left = x if text.get("text-anchor") == "start" else x - wide / 2
        boxes.append((left, y - 0.7 * size, left + wide, y, said))
    assert all(-1 <= box[0] and box[2] <= width + 1 and -height <= box[1] for box in boxes)
    for one, two in combinations(boxes, 2):
        apart = one[2] <= two[0] + 2 or two[2] <= one[0] + 2 or one[3] <= two[1] + 1 or two[3] <= one[1] + 1
        assert apart, (one, two)
