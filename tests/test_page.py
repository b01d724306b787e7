"""The HTML page in a real browser: it opens from the disk, opens, closes, finds, explains, and shows text as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from page_harness import NASTY, ROOT, box, graph_of, labels, opened

from netspec.diagnostics.errors import UsageError
from netspec.draw import View, difference, picture
from netspec.draw.formats.render import render

pytestmark = pytest.mark.slow


@pytest.mark.quick(2)
def test_a_block_is_opened_and_closed(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    before = labels(page)
    assert "3a: inception" in before
    box(page, "3a: inception").dblclick()
    assert {"1\u00d71 conv, 64, ReLU", "5\u00d75 conv, 32, ReLU"} <= labels(page)
    box(page, "3a: inception").focus()
    page.keyboard.press("Space")
    assert labels(page) == before


@pytest.mark.slow
def test_what_is_opened_stays_where_it_was(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    module = box(page, "4a: inception")
    before = module.bounding_box()
    module.dblclick()
    after = box(page, "4a: inception").bounding_box()
    assert abs(before["y"] - after["y"]) < 6 and after["width"] > 2 * before["width"]
    page.locator("#view .title", has_text="4a").dblclick()  # the title of a frame is part of it
    assert abs(box(page, "4a: inception").bounding_box()["width"] - before["width"]) < 12


CELLS = """\
netspec: 1
name: cells
input: [8, 16, 16]
blocks:
  cell:
    inputs: [cur, prev]
    body:
      - add: [cur, prev]
      - relu
body:
  - stem = conv: [8, 1]
  - one = cell:
    from: [stem, input]
  - two = cell:
    from: [one, stem]
"""


def test_arrows_end_at_the_names_of_inputs(page: Any, tmp_path: Path) -> None:
    (tmp_path / "cells.yaml").write_text(CELLS, encoding="utf-8")
    opened(page, tmp_path / "cells.yaml", tmp_path, depth=1)
    drawn = picture(graph_of(tmp_path / "cells.yaml"), View(depth=1))
    texts = page.locator("#view text").all_text_contents()
    assert texts.count("cur") == texts.count("prev") == sum(a.into == "cur" for a in drawn.arrows) == 1
    assert page.locator("#view .edge").count() == len(drawn.arrows) == 4  # two cells are one box


def test_it_shows_what_was_asked_for(page: Any, tmp_path: Path) -> None:
    opened(page, "alexnet", tmp_path, show=frozenset(("params", "rf")))
    texts = page.locator("#view text").all_text_contents()
    # 96 kernels of 11 x 11 x 3 with their biases; conv1's units see 11 x 11.
    assert {"34.9k parameters", "sees 11\u00d711"} <= set(texts)
    assert not [text for text in texts if "x55x55" in text or "conv1" in text]


@pytest.mark.slow
def test_two_networks_on_a_page(page: Any, tmp_path: Path) -> None:
    drawn = difference(graph_of("vgg16"), graph_of("vgg19"))
    (tmp_path / "page.html").write_bytes(render(drawn, "html"))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    assert "2 changed" in page.locator("#details").inner_text()
    assert page.locator("#view .node").count() == len(list(drawn.root.boxes()))
    page.keyboard.press("/")
    page.keyboard.type("after/stage3")
    page.keyboard.press("Enter")
    assert page.locator("#view .chosen").count() == 1
    assert "after/stage3" in page.locator("#details").inner_text()


def test_a_page_refuses_what_a_browser_would_lay_out_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.draw.formats.html.MOST_BOXES", 300)
    graph = graph_of("googlenet")
    with pytest.raises(UsageError, match="300 boxes at most"):
        render(difference(graph, graph, View(unfold=True)), "html")


@pytest.mark.slow
def test_a_repeat_is_drawn_in_full(page: Any, tmp_path: Path) -> None:
    opened(page, "resnet50", tmp_path)
    box(page, "1 to 5: bottleneck, \u00d75").click()
    page.get_by_role("button", name="Draw all 5").click()
    assert {f"{i}: bottleneck" for i in range(1, 6)} <= labels(page)
    page.get_by_role("button", name="Fold 5 to one").click()
    assert "1 to 5: bottleneck, \u00d75" in labels(page)


def test_search_finds_a_node_and_shows_it(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    page.keyboard.press("/")
    page.keyboard.type("4c.b5x5.conv_relu_2")
    page.keyboard.press("Enter")
    details = page.locator("#details").inner_text()
    # Table 1: 4c has 24 maps before its 5x5, and 64 behind it.
    assert "64x14x14" in details and "64 x 24 x 5 x 5 = 38,400" in details
    assert "5\u00d75 conv, 64, ReLU" in labels(page)
    assert page.locator("#view .chosen").count() == 1


def test_a_click_shows_shape_cost_and_yaml(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    box(page, "conv1: 7\u00d77 conv, 64, /2, ReLU").click()
    details = page.locator("#details").inner_text()
    assert "64x112x112" in details and "weight: 64 x 3 x 7 x 7 = 9,408" in details
    assert "112x112 x 147 = 118,013,952" in details
    line = next(text for text in (ROOT / "specs" / "googlenet.yaml").read_text().splitlines() if "conv1 = " in text)
    assert "googlenet.yaml:" in details and line.strip() in details


@pytest.mark.slow
def test_a_block_alone_says_its_arguments_and_what_it_costs(page: Any, tmp_path: Path) -> None:
    """Module 3a: the row of Table 1 of GoogLeNet, whose 159K parameters are without biases."""
    opened(page, ROOT / "specs" / "blocks" / "inception.yaml:inception", tmp_path)
    details = " ".join(page.locator("#details").inner_text().split())
    assert "163,696" in details and "r3x3 96" in details and "proj 32" in details


@pytest.mark.slow
def test_zoom_and_move_by_keyboard(page: Any, tmp_path: Path) -> None:
    opened(page, "alexnet", tmp_path)
    svg = page.locator("#view svg")
    first = svg.evaluate("e => e.style.transform")
    page.keyboard.press("+")
    second = svg.evaluate("e => e.style.transform")
    page.keyboard.press("ArrowDown")
    assert len({first, second, svg.evaluate("e => e.style.transform")}) == 3
    page.keyboard.press("0")
    assert svg.evaluate("e => e.style.transform") == first


def test_names_are_shown_as_text(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        json.dumps(
            {"netspec": 1, "name": "t", "title": NASTY, "input": [3, 8, 8], "body": [{"conv": [4, 1], "doc": NASTY}]}
        ),
        encoding="utf-8",
    )
    opened(page, path, tmp_path)
    assert page.locator("h1").inner_text() == NASTY and page.title() == NASTY
    box(page, "1\u00d71 conv, 4").click()
    assert NASTY in page.locator("#details").inner_text()
    assert page.locator("body script").count() == 3


@pytest.mark.slow
def test_the_whole_counts_as_all_tables_do(page: Any, tmp_path: Path) -> None:
    """Without auxiliary heads; each has 128 x C + 128, 2048 x 1024 + 1024 and 1024 x 1000 + 1000, for C = 512, 528."""
    opened(page, "googlenet", tmp_path)
    details = " ".join(page.locator("#details").inner_text().split())
    heads = sum(128 * c + 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000 for c in (512, 528))
    assert "6,998,552" in details and f"{heads:,} parameters" in details


@pytest.mark.slow
def test_details_lead_to_what_is_read_and_to_what_reads(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    page.keyboard.press("/")
    page.keyboard.type("4b")
    page.keyboard.press("Enter")
    row = page.locator("#details tr", has_text="read by").first
    assert row.locator("button").all_text_contents() == [
        "4c.b1x1.conv_relu.conv",
        "4c.b3x3.conv_relu.conv",
        "4c.b5x5.conv_relu.conv",
        "4c.pool.max_pool",
    ]
    row.get_by_role("button", name="4c.pool.max_pool").click()
    assert page.locator("#details h2").first.inner_text() == "4c.pool.max_pool"
    assert "3\u00d73 max pool" in labels(page)  # 4c was opened for it
    page.locator("#details tr", has_text="reads").get_by_role("button", name="4b.concat").click()
    assert page.locator("#details h2").first.inner_text() == "4b.concat"
    page.locator("#details nav").get_by_role("button", name="4b", exact=True).click()
    assert page.locator("#details h2").first.inner_text() == "4b"
    page.locator("#view").focus()
    page.keyboard.press("Escape")
    assert page.locator("#details h2").first.inner_text() == "GoogLeNet (Inception v1)"


@pytest.mark.slow
def test_the_found_are_walked_by_keyboard(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    page.keyboard.press("/")
    page.keyboard.type("4E")
    assert page.locator("#found button").first.inner_text() == "4e"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#details h2").first.inner_text() == "4e.b1x1"
    page.keyboard.press("Escape")
    assert page.locator("#found button").count() == 0 and page.locator("#search").input_value() == ""


def test_the_address_leads_to_a_part(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path, part="#5b.b3x3.conv_relu_2.conv")
    # Table 1: 5b has 384 maps behind its 3x3, of 192 before it.
    assert "384 x 192 x 3 x 3" in page.locator("#details").inner_text()
    assert page.locator("#view .chosen").count() == 1
    box(page, "5a: inception").click()
    assert page.url.endswith("#5a")


@pytest.mark.slow
def test_details_follow_what_is_drawn(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    box(page, "3a: inception").click()
    buttons = page.locator("#details").get_by_role("button")
    assert "Expand" in buttons.all_text_contents()
    page.get_by_role("button", name="Expand a level").click()
    assert "Collapse" in buttons.all_text_contents() and "Expand" not in buttons.all_text_contents()


@pytest.mark.slow
def test_levels_open_and_close_again(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    counts = [page.locator("#view .node:not(.title)").count()]
    page.get_by_role("button", name="Expand a level").click()
    counts.append(page.locator("#view .node:not(.title)").count())
    page.get_by_role("button", name="Collapse a level").click()
    assert page.locator("#view .node:not(.title)").count() == counts[0] < counts[1]


@pytest.mark.slow
def test_the_address_and_what_is_shown_agree(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path, part="#3a")
    page.evaluate("location.hash = ''")
    page.wait_for_function("document.querySelector('#details h2').textContent === 'GoogLeNet (Inception v1)'")
    assert page.locator("#view .chosen").count() == 0


@pytest.mark.slow
def test_addresses_of_outputs_and_of_nothing(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path, part="#output%20logits")
    assert page.locator("#details h2").first.inner_text() == "output logits"
    opened(page, "resnet50", tmp_path, part="#layer3.4.conv2.conv")  # it is layer3.4.residual.conv2.conv
    assert "There is no part" in page.locator("#status").inner_text()
    assert page.locator("#found button").count() > 10


@pytest.mark.slow
def test_arguments_are_told_from_facts(page: Any, tmp_path: Path) -> None:
    text = (
        "netspec: 1\nname: t\nblocks:\n  b:\n    params: {nodes: 7, memory: 0}\n"
        "    examples: [{input: [3, 8, 8]}]\n    body:\n      - conv: [=nodes, 1]\n      - relu\n"
    )
    (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
    opened(page, f"{tmp_path / 't.yaml'}:b", tmp_path)
    cells = page.locator("#details table").all()
    assert [" ".join(cell.inner_text().split()) for cell in cells][1] == "nodes 7 memory 0"
    assert "nodes 3" in " ".join(cells[0].inner_text().split())


@pytest.mark.slow
def test_words_of_a_search(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    search = page.locator("#search")
    for asked, first in (("7x7", "conv1"), ("inception 3b", "3b"), ("832x14x14", "4e.concat")):
        search.fill(asked)
        assert page.locator("#found button").first.inner_text() == first


@pytest.mark.parametrize(
    ("path", "first", "last"),
    [
        pytest.param("3b", "- 3b = module: [128", "- 3b = module: [128", marks=pytest.mark.slow),
        pytest.param("3b.b5x5", "b5x5:", "- conv_relu: [=n5x5, 5]", marks=pytest.mark.slow),
    ],
)
def test_yaml_is_quoted_whole(page: Any, tmp_path: Path, path: str, first: str, last: str) -> None:
    opened(page, "googlenet", tmp_path, part=f"#{path}")
    lines = [line[6:].strip() for line in page.locator("#details pre").first.inner_text().splitlines()]
    assert lines[0].startswith(first) and lines[-1].startswith(last)
