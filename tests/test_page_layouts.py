"""The layouts that a page makes in a real browser: how long they may take, how they are stopped, and that texts fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from page_harness import ROOT, graph_of, opened, page_of

import netspec
from netspec.draw import View, difference, draw, picture, to_dot
from netspec.draw.formats.crossings import crossing_pairs, crossings, reduce_crossings
from netspec.draw.formats.render import render

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["googlenet", "diff", "nasnet_normal"])
def test_texts_of_an_svg_fit_their_boxes_in_any_font(page: Any, name: str) -> None:
    """The browser may have no Helvetica, as in CI."""
    page.goto((ROOT / "docs" / "img" / "figures" / f"{name}.svg").as_uri())
    wide = page.evaluate("""() => [...document.querySelectorAll("g.node:not(.title)")].map((node) => {
        const shape = node.querySelector("path, polygon, ellipse").getBBox();
        return [...node.querySelectorAll("text")].map((text) => text.getBBox()).every((text) =>
          text.x >= shape.x && text.x + text.width <= shape.x + shape.width);
    })""")
    assert len(wide) > 10 and all(wide)


def test_a_layout_that_fails_is_said_and_the_picture_shown_closed(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    text = page_of("googlenet", View()).decode()
    once = (
        "let tries = 0; const real = viz.renderSVGElement.bind(viz); viz.renderSVGElement = (text) => { "
        "if (!tries++) throw new Error('boom'); return real(text); };"
    )
    file.write_text(text.replace("const index = indexed(network)", f"{once}\n  const index = indexed(network)"))
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    assert "boom. Here all is collapsed." in page.locator("#status").inner_text()
    assert page.locator("#view .node").count() > 10


@pytest.mark.slow
def test_a_tangle_is_laid_out_roughly_and_beside_the_page(page: Any, tmp_path: Path) -> None:
    graph = netspec.load(ROOT / "specs" / "blocks" / "dense.yaml:dense_block", layers=24).graph
    (tmp_path / "page.html").write_bytes(draw(graph, "html", View(depth=1, unfold=True, direct=True)))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("document.getElementById('view').dataset.busy")  # the page is alive meanwhile
    page.wait_for_selector("body[data-ready=yes]", timeout=120_000)
    assert page.locator("#view .edge").count() == 24 * 25 // 2 + 1


@pytest.mark.slow
def test_a_picture_that_is_stopped_before_it_is_drawn_is_shown_closed(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(page_of("resnet1202_cifar", View(unfold=True)))
    page.goto(file.as_uri())
    page.wait_for_function("document.getElementById('view').dataset.busy")
    page.keyboard.press("Escape")
    page.wait_for_selector("body[data-ready=yes]")
    assert page.locator("#view .node:not(.title)").count() < 20
    assert page.locator("#status").inner_text() == "Stopped. Here all is collapsed."


@pytest.mark.slow
def test_what_was_stopped_can_be_laid_out_after_all(page: Any, tmp_path: Path) -> None:
    graph = graph_of("densenet121")
    (tmp_path / "page.html").write_bytes(render(difference(graph, graph, View(unfold=True)), "html"))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("document.getElementById('view').dataset.busy")
    page.keyboard.press("Escape")
    assert page.locator("#view .node").count() == 0
    page.get_by_role("button", name="Lay it out after all").click()
    page.wait_for_selector("body[data-ready=yes]", timeout=120_000)
    assert page.locator("#view .node:not(.title)").count() == 2 * (len(graph.nodes) + 1)


STOPPED = """() => {
    const status = document.getElementById("status");
    [...document.querySelectorAll("button")].find(b => b.textContent.trim() === "As at first").click();
    const before = status.innerText;
    const pressed = new KeyboardEvent("keydown", {key: "Escape", bubbles: true, cancelable: true});
    document.getElementById("view").dispatchEvent(pressed);
    return [before, status.innerText];
}"""


@pytest.mark.slow
def test_a_large_picture_is_laid_out_beside_the_page_and_can_be_stopped(page: Any, tmp_path: Path) -> None:
    opened(page, "densenet121", tmp_path, unfold=True)
    assert page.locator("#view .node:not(.title)").count() == len(graph_of("densenet121").nodes) + 1
    # In one task of the page: a layout that is done meanwhile is not heard before it is stopped.
    said = page.evaluate(STOPPED)
    assert "Escape stops" in said[0] and said[1] == "Stopped."
    assert page.locator("#view .node:not(.title)").count() == len(graph_of("densenet121").nodes) + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasnet_a_large", "densenet264", "resnet1202_cifar"])
def test_large_networks_open(page: Any, tmp_path: Path, name: str) -> None:
    opened(page, name, tmp_path)
    assert 5 < page.locator("#view .node").count() <= 60
    page.get_by_role("button", name="Expand a level").click()
    assert page.locator("#view .node").count() > 5


CELLS = """\
netspec: 1
name: cells
input: [8, 16, 16]
blocks:
  cell:
    inputs: [cur, prev]
    body:
      - {a = conv: [8, 1], from: cur}
      - {b = conv: [8, 1], from: prev}
      - {c = conv: [8, 1], from: cur}
      - {d = conv: [8, 1], from: prev}
      - {e = add: [a, b]}
      - {f = mul: [c, d]}
      - {g = max: [e, f]}
body:
  - stem = conv: [8, 1]
  - {one = cell: , from: [stem, input]}
  - {other = do: [conv: [8, 1], conv: [8, 1]], from: stem}
  - {two = cell: , from: [one, other]}
  - {three = cell: , from: [two, one]}
"""


@pytest.mark.parametrize("name", [pytest.param("nasnet_a_mobile", marks=pytest.mark.slow), "cells"])
def test_arrows_cross_at_first_as_little_as_in_the_svg(page: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "cells.yaml").write_text(CELLS, encoding="utf-8")
    spec = tmp_path / "cells.yaml" if name == "cells" else name
    view = View(depth=1, expand=("one",)) if name == "cells" else View()
    drawn = picture(graph_of(spec), view)
    assert crossings(to_dot(drawn)) > 0, "in source order they cross"
    assert crossings(reduce_crossings(drawn)) == 0
    opened(page, spec, tmp_path, view=view)

    def crossing() -> int:
        found = page.eval_on_selector_all("#view .edge path", "all => all.map(e => e.getAttribute('d'))")
        assert len(found) == len(drawn.arrows)
        numbers = [[float(n) / 72 for n in re.findall(r"-?[\d.]+", path)] for path in found]
        return crossing_pairs([list(zip(n[::2], n[1::2], strict=True)) for n in numbers])

    assert crossing() == 0
    if name == "cells":  # titles of frames are found in this layout too
        page.locator("#view .title text").first.dblclick()
        assert page.locator("#view .title").count() == 0
    else:
        page.get_by_role("button", name="Expand a level").click()
    page.get_by_role("button", name="As at first").click()
    assert crossing() == 0
