"""Text of a spec stays text: whatever stands in it, the files that are written differ in their texts alone."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
import yaml
from click.testing import CliRunner
from conftest import sampled
from hostile import CODE, HOSTILE
from hostile_specs import FIFTH, HARMLESS, SPEC, Tags, drawn, filled, load
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions

from netspec.backend import get
from netspec.cli.main import cli
from netspec.ir.json import to_json
from netspec.ir.text import from_text, to_text
from netspec.network import Network

pytestmark = pytest.mark.slow


def skeleton(source: str) -> str:
    """The syntax tree of a source, its texts left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def elements(svg: str) -> list[tuple[str, ...]]:
    """The elements of an SVG with the names of their attributes; texts may need more or fewer lines."""
    found = [(e.tag, *sorted(e.attrib)) for e in ElementTree.fromstring(svg).iter()]
    return [e for e in found if not e[0].endswith("}text")]


def mermaid(text: str) -> list[str]:
    """The lines of a chart, their texts left out."""
    return [re.sub(r'"[^"]*"', '""', re.sub(r"^title: .*", "title: ", line)) for line in text.splitlines()]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load(HARMLESS, tmp_path_factory.mktemp("harmless"))


def test_there_are_a_hundred_texts() -> None:
    assert len(set(HOSTILE)) >= 100
    assert SPEC.count("{0}") >= 30


def test_python_differs_in_its_texts_alone(harmless: Network, tmp_path: Path) -> None:
    expected = skeleton(get("torch").source(harmless.graph))
    assert expected.count("ClassDef") == 3
    for text in sampled(HOSTILE, len(HOSTILE) // 3):
        source = get("torch").source(load(text, tmp_path).graph)
        assert skeleton(source) == expected, text


HOOK = """
    import sys
    import torch, torch.nn.functional, collections
    texts, code_that_runs = {texts!r}, {code!r}
    from netspec.backend import get
    import netspec
    seen = []
    allowed = {{"torch", "torch.nn", "torch.nn.functional", "collections"}}
    watching = False
    def hook(event, args):
        if watching and event in ("exec", "compile", "import", "open", "os.system", "subprocess.Popen", "os.exec"):
            if event == "import" and args[0] in allowed:
                return
            seen.append((event, str(args)[:200]))
    sys.addaudithook(hook)
    def watched(text, more=""):
        global watching
        with open("net.yaml", "w", encoding="utf-8") as f:
            f.write(text)
        graph = netspec.load("net.yaml").graph
        code = compile(get("torch").source(graph) + more, "generated", "exec")
        space = {{"__name__": "generated"}}
        torch.nn.Conv2d(1, 1, 1), torch.nn.Linear(1, 1)
        watching = True
        exec(code, space)
        module = space["First"]()
        watching = False
        events = [event for event, _ in seen]
        seen.clear()
        return events
    for text in texts:
        assert watched(text) == ["exec"], text
    print("watched", len(texts))
    print(watched(texts[0], "\\n" + code_that_runs))
"""


@pytest.mark.slow
def test_nothing_runs_but_the_file_itself_and_the_hook_sees_what_runs(tmp_path: Path) -> None:
    """At the end the same hook looks at a source that does run what a text holds."""
    texts = sampled(HOSTILE, len(HOSTILE) // 6)
    script = textwrap.dedent(HOOK).format(texts=list(map(filled, texts)), code=CODE)
    (tmp_path / "watch.py").write_text(script, encoding="utf-8")
    command = [sys.executable, "watch.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    first, last = done.stdout.splitlines()
    assert first == f"watched {len(texts)}", done.stderr[-2000:]
    assert "os.system" in last and last.startswith("['exec', ")
    (tmp_path / "PWNED").unlink()  # made by the last source alone, as the assertion in front of it says


def test_graphs_and_models_differ_in_their_texts_alone(harmless: Network, tmp_path: Path) -> None:
    def shape(network: Network) -> object:
        graph = network.graph
        model = build_model(network.inference, network.arrays(), OnnxOptions(functions="keep"))
        onnx.checker.check_model(model)
        assert onnx.ModelProto.FromString(model.SerializeToString()) == model
        nodes = [(n.name, n.op_type, list(n.input), list(n.output)) for n in model.graph.node]
        inner = [(f.name, [(n.name, n.op_type) for n in f.node]) for f in model.functions]
        read = json.loads(to_json(graph))
        return nodes, inner, [n["path"] for n in read["nodes"]], [s["path"] for s in read["scopes"]]

    expected = shape(harmless)
    for text in FIFTH:
        network = load(text, tmp_path)
        assert shape(network) == expected, text
        assert from_text(to_text(network.graph)) == network.graph, text


def test_pages_and_charts_differ_in_their_texts_alone(harmless: Network, tmp_path: Path) -> None:
    tags, lines = Tags(drawn(harmless, "html")).tags, mermaid(drawn(harmless, "mermaid"))
    for text in FIFTH:
        network = load(text, tmp_path)
        page = drawn(network, "html")
        assert Tags(page).tags == tags, text
        data = re.search(r'<script type="application/json" id="network">(.*?)</script>', page, re.DOTALL)
        assert data is not None and json.loads(data[1])["title"]
        chart = drawn(network, "mermaid")
        assert mermaid(chart) == lines, text
        assert yaml.safe_load(chart.split("---\n")[1])["title"], text  # all that stands before the chart is YAML


@pytest.mark.parametrize("part", range(4))
def test_pictures_differ_in_their_texts_alone(harmless: Network, tmp_path: Path, part: int) -> None:
    from netspec.draw.formats.graphviz import graphviz

    expected, plain = elements(drawn(harmless, "svg")), graphviz(drawn(harmless, "dot"), "plain").decode()
    rows = [row.split()[0] for row in plain.splitlines()]
    for text in FIFTH[part::4]:
        network = load(text, tmp_path)
        assert elements(drawn(network, "svg")) == expected, text
        found = graphviz(drawn(network, "dot"), "plain").decode().replace("\\\n", "")
        assert sorted(row.split()[0] for row in found.splitlines()) == sorted(rows), text


def test_plots_hold_any_text(tmp_path: Path) -> None:
    for text in sampled(HOSTILE[::4], 4):
        path = tmp_path / "net.yaml"
        path.write_text(filled(text), encoding="utf-8")
        done = CliRunner().invoke(cli, ["plot", "params", str(path), "-o", str(tmp_path / "plot.svg")])
        assert done.exit_code == 0, (text, done.output, done.exception)
        tags = {e.tag.rpartition("}")[2] for e in ElementTree.parse(tmp_path / "plot.svg").iter()}
        assert not tags & {"script", "image", "foreignObject", "a"}, text
