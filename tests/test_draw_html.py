"""The HTML page in a real browser: it opens from the disk, opens, closes, finds, explains, and shows text as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import sampled
from page_harness import BROWSER, data, in_picture, on_page

import netspec
from netspec.diagnostics.errors import UsageError
from netspec.draw import SHOWN, View, difference, draw, picture
from netspec.draw.formats.render import render
from netspec.ir.graph import Graph

ROOT = Path(__file__).parent.parent
NASTY = "net <script>alert(1)</script> \"q\" 'a' & \u7db2\u7d61 </script><!--"


def test_a_page_needs_no_network() -> None:
    page = draw(netspec.load("googlenet").graph, "html").decode()
    ours = re.sub(r"/\*!\s*Viz\.js.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)\s*=|https?:|@import|fetch\(|XMLHttpRequest", ours)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "name",
    [
        "googlenet",
        "resnet50",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("nasnet_a_mobile", "densenet121")),
    ],
)
def test_every_node_and_edge_is_in_the_page(name: str) -> None:
    graph = netspec.load(name).graph
    found = data(draw(graph, "html"))
    nodes: dict[int, str] = {}

    def walk(items: list[dict[str, Any]]) -> None:
        for item in items:
            if "items" in item:
                walk(item["items"])
            else:
                nodes.update({node["id"]: node["path"] for node in item["nodes"]})

    walk(found["items"])
    assert [nodes[number] for number in range(len(nodes))] == list(graph.nodes)
    assert sorted((nodes[a], nodes[b]) for a, b, *_ in found["edges"]) == sorted(graph.nx.edges())


def test_no_text_ends_the_script(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        json.dumps(
            {"netspec": 1, "name": "t", "title": NASTY, "input": [3, 8, 8], "body": [{"conv": [4, 1], "doc": NASTY}]}
        ),
        encoding="utf-8",
    )
    page = draw(netspec.load(path).graph, "html")
    assert data(page)["title"] == NASTY
    assert b"<script>alert(1)" not in page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium without a network; `.ci/run` installs it."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("there is no Chromium; .ci/run installs it")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield made.new_context(viewport={"width": 1280, "height": 900}, offline=True)
        made.close()


@pytest.fixture(scope="module")
def scripts(browser: Any) -> Any:
    """A page whose scripts are asked for other networks."""
    made = browser.new_page()
    made.set_content(draw(netspec.load("lenet5").graph, "html").decode())
    return made


@pytest.fixture(scope="module")
def tab(browser: Any) -> tuple[Any, list[str]]:
    """A page, and what its console says wrong; a new one for each test would be a new process each time."""
    made = browser.new_page()
    wrong: list[str] = []
    made.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    return made, wrong


@pytest.fixture
def page(tab: tuple[Any, list[str]]) -> Iterator[Any]:
    """A page that fails the test where its console says anything wrong."""
    made, wrong = tab
    wrong.clear()
    yield made
    made.goto("about:blank")
    assert wrong == []


@cache
def graph_of(spec: str | Path) -> Graph:
    """A network's graph, elaborated once."""
    return netspec.load(spec).graph


@cache
def page_of(spec: str | Path, view: View) -> bytes:
    """A network's page, written once."""
    return draw(graph_of(spec), "html", view)


def opened(page: Any, spec: str | Path, folder: Path, part: str = "", view: View | None = None, **asked: Any) -> None:
    """Draws a network and opens its page, at a part of it."""
    file = folder / "page.html"
    file.write_bytes(page_of(spec, view or View(**asked)))
    page.goto(f"{file.as_uri()}{part}")
    page.wait_for_selector("body[data-ready=yes]", timeout=120_000)


def labels(page: Any) -> set[str]:
    """What the boxes and frames say."""
    return set(page.eval_on_selector_all("#view [role=button]", "all => all.map(e => e.getAttribute('aria-label'))"))


def part(page: Any, label: str) -> Any:
    """A box or a frame by what it says."""
    return page.locator(f'#view [role=button][aria-label="{label}"]')


ALL = frozenset(SHOWN)
VIEWS = [
    View(),
    View(depth=1, show=ALL, heat="memory"),
    View(depth=2, show=ALL, heat="params"),
    View(depth=3, show=ALL, heat="rf"),
    View(depth=9, show=ALL, heat="macs"),
    View(depth=9, direct=True),
    View(unfold=True, show=ALL),
]
# Small networks that are hard to fold: repeats in repeats, rounds of which one is read apart, several outputs, shares.
HARD = sorted((ROOT / "tests" / "data" / "pictures").glob("*.yaml"))


@pytest.mark.parametrize(
    "spec",
    [
        *HARD,
        "googlenet",
        "alexnet_towers",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "densenet121",
                "resnext50_32x4d",
                "fractalnet",
                "efficientnet_b0",
                "polynet",
                "nasnet_a_mobile",
                "vgg16",
            )
        ),
    ],
    ids=lambda spec: getattr(spec, "stem", spec),
)
def test_it_shows_what_the_svg_shows(scripts: Any, spec: str | Path) -> None:
    """Box by box and arrow by arrow: what they say, their colours, and where arrows begin and end."""
    for view in sampled(VIEWS, 3) if spec in HARD else VIEWS[1:3]:
        boxes, arrows, text = on_page(scripts, data(draw(graph_of(spec), "html", view)))
        assert (boxes, arrows) == in_picture(graph_of(spec), view)
        assert len(re.findall(r"^part\d+ \[", text, re.MULTILINE)) == len(boxes)


@pytest.mark.slow
def test_generated_networks_show_what_the_svg_shows(scripts: Any, tmp_path: Path) -> None:
    """Repeats in branches in repeats, shares, cells of two inputs and outputs, drawn at random."""
    for seed in range(6):
        (tmp_path / "t.yaml").write_text(json.dumps(generated(seed)), encoding="utf-8")
        graph = netspec.load(tmp_path / "t.yaml").graph
        for view in (VIEWS[seed % len(VIEWS)], VIEWS[3]):
            assert on_page(scripts, data(draw(graph, "html", view)))[:2] == in_picture(graph, view), (seed, view)


def generated(seed: int) -> dict[str, Any]:
    """A small network for drawing."""
    random = Random(seed)
    conv: Any = {"conv": [8, 1]}
    two = {
        "inputs": ["u", "v"],
        "outputs": ["p", "q"],
        "body": [
            {"a = conv": [8, 1], "from": "u"},
            {"b = conv": [8, 1], "from": "v"},
            {"p = add": ["a", "b"]},
            {"q = mul": ["a", "p"]},
        ],
    }

    def steps(depth: int) -> list[Any]:
        found: list[Any] = []
        for place in range(random.randint(1, 4)):
            name, kind = f"s{depth}{place}", random.random()
            if kind < 0.3 or not depth:
                found.append(random.choice([{f"{name} = conv": [8, 1]}, "relu", "batch_norm"]))
            elif kind < 0.6:
                step = {f"{name} = do": steps(depth - 1), "repeat": random.randint(2, 4)}
                found.append({**step, "share": True} if random.random() < 0.3 else step)
            elif kind < 0.85:
                branches = {f"b{i}": steps(depth - 1) for i in range(random.randint(2, 3))}
                many = {"paths": {"each": random.randint(2, 8), "do": steps(depth - 1)}}
                found.append({f"{name} = {random.choice(['add', 'mean'])}": random.choice([branches, many])})
            else:
                first = f"{name}a"
                found += [
                    {f"{first} = conv": [8, 1]},
                    {f"{name} = conv": [8, 1]},
                    {f"{name}t = two": [], "from": [first, name], "repeat": random.randint(1, 3)},
                    {f"{name}z = add": [f"{name}t.p", f"{name}t.q"]},
                ]
        return found

    return {"netspec": 1, "name": "t", "input": [8, 8, 8], "blocks": {"two": two}, "body": [conv, *steps(3), "relu"]}


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


def test_a_block_is_opened_and_closed(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    before = labels(page)
    assert "3a: inception" in before
    part(page, "3a: inception").dblclick()
    assert {"1\u00d71 conv, 64, ReLU", "5\u00d75 conv, 32, ReLU"} <= labels(page)
    part(page, "3a: inception").focus()
    page.keyboard.press("Space")
    assert labels(page) == before


@pytest.mark.slow
def test_what_is_opened_stays_where_it_was(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    module = part(page, "4a: inception")
    before = module.bounding_box()
    module.dblclick()
    after = part(page, "4a: inception").bounding_box()
    assert abs(before["y"] - after["y"]) < 6 and after["width"] > 2 * before["width"]
    page.locator("#view .title", has_text="4a").dblclick()  # the title of a frame is part of it
    assert abs(part(page, "4a: inception").bounding_box()["width"] - before["width"]) < 12


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


def test_a_repeat_is_drawn_in_full(page: Any, tmp_path: Path) -> None:
    opened(page, "resnet50", tmp_path)
    part(page, "1 to 5: bottleneck, \u00d75").click()
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
    part(page, "conv1: 7\u00d77 conv, 64, /2, ReLU").click()
    details = page.locator("#details").inner_text()
    assert "64x112x112" in details and "weight: 64 x 3 x 7 x 7 = 9,408" in details
    assert "112x112 x 147 = 118,013,952" in details
    line = next(text for text in (ROOT / "specs" / "googlenet.yaml").read_text().splitlines() if "conv1 = " in text)
    assert "googlenet.yaml:" in details and line.strip() in details


def test_a_block_alone_says_its_arguments_and_what_it_costs(page: Any, tmp_path: Path) -> None:
    """Module 3a: the row of Table 1 of GoogLeNet, whose 159K parameters are without biases."""
    opened(page, ROOT / "specs" / "blocks" / "inception.yaml:inception", tmp_path)
    details = " ".join(page.locator("#details").inner_text().split())
    assert "163,696" in details and "r3x3 96" in details and "proj 32" in details


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
    part(page, "1\u00d71 conv, 4").click()
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
    part(page, "5a: inception").click()
    assert page.url.endswith("#5a")


@pytest.mark.slow
def test_details_follow_what_is_drawn(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    part(page, "3a: inception").click()
    buttons = page.locator("#details").get_by_role("button")
    assert "Open" in buttons.all_text_contents()
    page.get_by_role("button", name="Open a level").click()
    assert "Close" in buttons.all_text_contents() and "Open" not in buttons.all_text_contents()


@pytest.mark.slow
def test_levels_open_and_close_again(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path)
    counts = [page.locator("#view .node:not(.title)").count()]
    page.get_by_role("button", name="Open a level").click()
    counts.append(page.locator("#view .node:not(.title)").count())
    page.get_by_role("button", name="Close a level").click()
    assert page.locator("#view .node:not(.title)").count() == counts[0] < counts[1]


@pytest.mark.slow
def test_the_address_and_what_is_shown_agree(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path, part="#3a")
    page.evaluate("location.hash = ''")
    page.wait_for_function("document.querySelector('#details h2').textContent === 'GoogLeNet (Inception v1)'")
    assert page.locator("#view .chosen").count() == 0


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
    assert "boom. Here all is closed." in page.locator("#status").inner_text()
    assert page.locator("#view .node").count() > 10


@pytest.mark.slow
def test_addresses_of_outputs_and_of_nothing(page: Any, tmp_path: Path) -> None:
    opened(page, "googlenet", tmp_path, part="#output%20logits")
    assert page.locator("#details h2").first.inner_text() == "output logits"
    opened(page, "resnet50", tmp_path, part="#layer3.4.conv2.conv")  # it is layer3.4.residual.conv2.conv
    assert "There is no part" in page.locator("#status").inner_text()
    assert page.locator("#found button").count() > 10


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
        ("3b.b5x5", "b5x5:", "- conv_relu: [=n5x5, 5]"),
    ],
)
def test_yaml_is_quoted_whole(page: Any, tmp_path: Path, path: str, first: str, last: str) -> None:
    opened(page, "googlenet", tmp_path, part=f"#{path}")
    lines = [line[6:].strip() for line in page.locator("#details pre").first.inner_text().splitlines()]
    assert lines[0].startswith(first) and lines[-1].startswith(last)


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
    assert page.locator("#status").inner_text() == "Stopped. Here all is closed."


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


@pytest.mark.slow
def test_a_large_picture_is_laid_out_beside_the_page_and_can_be_stopped(page: Any, tmp_path: Path) -> None:
    opened(page, "densenet121", tmp_path, unfold=True)
    assert page.locator("#view .node:not(.title)").count() == len(graph_of("densenet121").nodes) + 1
    page.get_by_role("button", name="As at first").click()
    assert "Escape stops" in page.locator("#status").inner_text()
    page.locator("#view").focus()
    page.keyboard.press("Escape")
    assert page.locator("#status").inner_text() == "Stopped."
    assert page.locator("#view .node:not(.title)").count() == len(graph_of("densenet121").nodes) + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasnet_a_large", "densenet264", "resnet1202_cifar"])
def test_large_networks_open(page: Any, tmp_path: Path, name: str) -> None:
    opened(page, name, tmp_path)
    assert 5 < page.locator("#view .node").count() <= 60
    page.get_by_role("button", name="Open a level").click()
    assert page.locator("#view .node").count() > 5
