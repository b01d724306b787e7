"""The HTML page: what it holds, that nothing in it is code, and that its boxes and arrows are those of the SVG."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import sampled
from page_harness import NASTY, ROOT, data, graph_of, in_picture, on_page

import netspec
from netspec.draw import SHOWN, View, draw

pytestmark = pytest.mark.slow


def test_a_page_needs_no_network() -> None:
    network = netspec.load("googlenet")
    page = draw(network.graph, "html").decode()
    ours = re.sub(r"/\*!\s*Viz\.js.*?</script>", "", page, flags=re.DOTALL)
    for weights in network.document.published:  # the text of the spec is in the page
        ours = ours.replace(weights.file, "")
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
    nodes: list[str] = []
    edges: list[tuple[str, str]] = []

    def walk(items: list[dict[str, Any]]) -> None:
        for item in items:
            walk(item.get("items", []))
            nodes.extend(node["path"] for node in item.get("nodes", []))
            edges.extend((path, node["path"]) for node in item.get("nodes", []) for path, *_ in node["reads"])

    walk(found["items"])
    assert sorted(nodes) == sorted(graph.nodes)
    assert sorted(edges) == sorted(graph.nx.edges())


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
def scripts(browser: Any) -> Any:
    """A page whose scripts are asked for other networks."""
    made = browser.new_page()
    made.set_content(draw(netspec.load("lenet5").graph, "html").decode())
    return made


ALL = frozenset(SHOWN)


VIEWS = [
    View(),
    View(depth=1, show=ALL, heat="activations"),
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
@pytest.mark.quick(6)
def test_it_shows_what_the_svg_shows(scripts: Any, spec: str | Path) -> None:
    """Box by box and arrow by arrow: what they say, their colours, and where arrows begin and end."""
    for view in sampled(VIEWS, 3) if spec in HARD else VIEWS[1:3]:
        boxes, arrows, text = on_page(scripts, data(draw(graph_of(spec), "html", view)))
        assert (boxes, arrows) == in_picture(graph_of(spec), view)
        assert len(re.findall(r"^n\d+ \[", text, re.MULTILINE)) == len(boxes)


def test_a_page_of_too_many_choices_draws_repeats_once(scripts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.draw.arrows.MOST_PLACES", 100)
    network = data(draw(graph_of("resnet50"), "html"))
    assert not network["unrolls"] and all(len(row) < 8 for row in network["arrows"])
    assert on_page(scripts, network)[:2] == in_picture(graph_of("resnet50"), View())


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
