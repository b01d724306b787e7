"""Text of a spec stays text: whatever stands in it, the files that are written differ in their texts alone."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
import yaml
from click.testing import CliRunner
from conftest import sampled
from hostile import CODE, HOSTILE, TERMINALS
from netspec_onnx.build_model import build_model

import netspec
from netspec.backend import DEFAULTS, get
from netspec.check.check_file import check_file
from netspec.cli.main import cli, run
from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError
from netspec.diagnostics.printer import Printer
from netspec.draw.formats.render import draw
from netspec.draw.view import View
from netspec.ir.json import to_json
from netspec.ir.text import from_text, to_text
from netspec.network import Network

# Every position of free text in a spec; what is JSON is YAML, so that a text enters quoted and unharmed.
SPEC = """
netspec: 1
name: net
title: {0}
source: {0}
doc: {0}
params: {{word: {{type: str, default: {0}, doc: {0}}}, classes: 3}}
variants:
  first: {{title: {0}, source: {0}}}
let: {{other: {0}}}
input: [3, 8, 8]
blocks:
  block:
    doc: {0}
    params: {{mode: {{type: str, default: {0}, doc: {0}}}, out: int}}
    let: {{inner: {0}}}
    examples: [{{input: [3, 8, 8], args: [{0}, 4]}}]
    body:
      - conv: [=out, 1]
        doc: {0}
        when: mode == inner
      - relu:
        doc: {0}
  pair:
    doc: {0}
    inputs: [a, b]
    outputs: [sum, a]
    examples: [{{input: [4, 8, 8]}}]
    body:
      - sum = add:
        from: [a, b]
        doc: {0}
body:
  - stem = block: {{mode: =word, out: 4}}
    doc: {0}
  - rows = block: [{0}, 4]
    for: {{w: [{0}, {0}]}}
    doc: {0}
  - 3a = pair:
    from: [stem, rows]
    doc: {0}
  - concat:
      left:
        - conv: [4, 1]
          doc: {0}
      right: {{do: [max_pool: {{kernel: 3, stride: 1, pad: 1}}], doc: {0}}}
    from: 3a.sum
    doc: {0}
  - seen = tee:
      - conv: [2, 1]
    doc: {0}
  - global_avg_pool
  - flatten
  - linear: =classes
outputs: {{logits: {{from: linear, doc: {0}}}, seen: {{from: seen, doc: {0}}}}}
expect: {{params: {{value: 331, source: {0}, printed: {0}}}}}
checkpoints: {{ {1}: [{{from: a, to: b}}]}}
"""
HARMLESS = "harmless"
FIFTH = sampled(HOSTILE, len(HOSTILE) // 5)
"""Where a text costs much; all stand in a source, whose tree is compared."""


def filled(text: str) -> str:
    """The spec with a text everywhere; a key of YAML has 1,024 characters at most."""
    return SPEC.format(quoted(text), quoted(text[:90]))


def quoted(text: str) -> str:
    """A text as YAML in double quotes, whatever is in it."""
    plain = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


def load(text: str, folder: Path, name: str = "net.yaml") -> Network:
    path = folder / name
    path.write_text(filled(text), encoding="utf-8")
    return netspec.load(path)


def skeleton(source: str) -> str:
    """The syntax tree of a source, its texts left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


class Tags(HTMLParser):
    """The tags of a page, with the names of their attributes, and what its scripts hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}",))


def elements(svg: str) -> list[tuple[str, ...]]:
    """The elements of an SVG with the names of their attributes; texts may need more or fewer lines."""
    found = [(e.tag, *sorted(e.attrib)) for e in ElementTree.fromstring(svg).iter()]
    return [e for e in found if not e[0].endswith("}text")]


def mermaid(text: str) -> list[str]:
    """The lines of a chart, their texts left out."""
    return [re.sub(r'"[^"]*"', '""', re.sub(r"^title: .*", "title: ", line)) for line in text.splitlines()]


def drawn(network: Network, kind: str) -> str:
    return draw(network.graph, kind, View(unfold=True)).decode()


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
        model = build_model(network.inference, network.arrays(), DEFAULTS)
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


def drives(shown: str) -> bool:
    """Whether an output holds control characters, or what GitHub's log takes for a command: `::` or `##[`."""
    first = [line.lstrip() for line in shown.splitlines()]
    return bool(
        [c for c in shown if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
        or "##[" in shown
        or [line for line in first if line.startswith("::")]
    )


def test_terminals_are_not_driven(tmp_path: Path) -> None:
    for text in sampled([*FIFTH, *TERMINALS], 9):
        path = tmp_path / "net.yaml"
        path.write_text(filled(text), encoding="utf-8")
        for args in (
            ["check", str(path)],
            ["summary", str(path)],
            ["explain", str(path), "stem"],
            ["summary", str(path), "-s", "classes=x"],
        ):
            assert not drives(CliRunner().invoke(cli, args).output), (args, text)


@pytest.mark.parametrize("text", TERMINALS)
def test_no_name_drives_a_terminal(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names of files and options, and of inputs and outputs of a model, in results and in errors of every kind."""
    spec, model = tmp_path / f"{text.replace('/', '_')[:80]}.yaml", str(tmp_path / "m.onnx")
    spec.write_text("netspec: 1\ninput: [3, 8, 8]\nbody: [relu, nothing]\n", encoding="utf-8")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", [text], [f"y{text}"])
    ends = [value(text, 1, [text, 2])], [value(f"y{text}", 1, [text, 2])]
    graph = onnx.helper.make_graph([node], "g", *ends)
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), model)
    for args in (
        ["check", str(spec)],
        ["summary", str(spec)],
        ["check", f"-{text}"],
        [text],
        ["explain", text],
        ["run", model],
        ["run", model, "--input", "none=1x2"],
        ["run", model, "--input", "2x3"],
        ["run", model, "-b", "2", "--input", f"{text}=3x2"],
        ["run", model, "--npy", f"{text}={spec}"],
        ["run", model, "--image", str(spec)],
        ["run", model, "--labels", str(spec)],
    ):
        run(args)
        told = capfd.readouterr()
        assert told.out + told.err and not drives(told.out + told.err), args
    Printer("github").print([Diagnostic("NS101", text, hint=text)])
    assert not re.search(r"[^\n -~\u00a0-\U0010ffff]", capfd.readouterr().err)


NAMES = {
    "step": 'body: [{{"a{{w}} = relu": }}]',
    "branch": 'body: [{{add: {{"a{{w}}": [relu], b: []}}}}]',
    "loop": 'body: [{{"a{{v}} = relu": , for: {{v: [{0}]}}}}]',
    "each": 'body: [{{"a{{v}} = relu": , each: {{v: [b, {0}]}}}}, {{add: , from: [ab]}}]',
    "block": 'body: [{{b: {0}}}]\nblocks: {{b: {{params: {{v: str}}, body: [{{"a{{v}} = relu": }}]}}}}',
    "output": 'body: [a = relu]\noutputs: ["a{{w}}"]',
    "from": 'body: [a = relu, {{relu: , from: "a{{w}}"}}]',
    "share": 'body: [a = relu, {{relu: , share: "a{{w}}"}}]',
}


@pytest.mark.parametrize("position", NAMES)
def test_a_computed_name_is_refused(position: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    for text in sampled(HOSTILE, len(HOSTILE) // 3):
        if re.fullmatch(r"\w{1,199}", text, re.ASCII):
            continue
        spec = f"netspec: 1\nname: net\nlet: {{{{w: {{0}}}}}}\ninput: [3, 8, 8]\n{NAMES[position]}\n"
        path.write_text(spec.format(quoted(text)), encoding="utf-8")
        reporter = Reporter()
        assert not check_file(path, reporter), text
        assert reporter.failed
        with pytest.raises(SpecError):
            netspec.load(path)


@pytest.mark.parametrize(
    "name",
    [
        "f",
        "nn",
        "torch",
        "ordered_dict",
        "drop_path_",
        "layer_norm2d",
        "module",
        "self",
        "super",
        "range",
        "x0",
        "bilinear",
        "exception",
        "x",
        "in_channels",
    ],
)
def test_no_name_of_a_spec_hides_what_the_source_uses(name: str, tmp_path: Path) -> None:
    """A document, a block, a parameter, a step and an output that are called as something that the source needs."""
    import torch

    given = name if name != "x" else "x_"
    path = tmp_path / "net.yaml"
    path.write_text(f"""
netspec: 1
name: {given}
input: [3, 8, 8]
blocks:
  {given}:
    params: {{{given}: int, k: 1}}
    body: [{{conv: {{out: ={given}, kernel: =k, pad: half}}}}, layer_norm, drop_path: 0.5, relu6]
body:
  - one = {given}: 4
  - {given}_2 = {given}: [5, 3]
  - three = {given}: [6, 5]
  - {given} = max_pool: [1, 1]
  - 3a = conv: [2, 1]
outputs: {{{given}: 3a, more: three}}
""")
    result = netspec.load(path).to_torch()(torch.zeros(1, 3, 8, 8))
    assert {key: tuple(value.shape) for key, value in result.items()} == {given: (1, 2, 8, 8), "more": (1, 6, 8, 8)}


def test_no_parameter_hides_a_class(tmp_path: Path) -> None:
    """A block's parameter that is called as the class of the block inside."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\ninput: [3, 8, 8]\nblocks:\n"
        "  inner: {params: {out: int}, body: [conv: [=out, 1], relu]}\n"
        "  outer: {params: {Inner: int}, body: [inner: =Inner, conv: [3, 1]]}\n"
        "body: [a = outer: 4, b = outer: 5]\n"
    )
    assert "Inner_2" in get("torch").source(netspec.load(path).graph)
    assert netspec.load(path).to_torch() is not None


def test_a_file_name_that_is_no_text(harmless: Network, tmp_path: Path) -> None:
    """A name that no encoding knows, with what every format would take for its own, is written into all of them."""
    path = tmp_path / os.fsdecode(b"a\xff\"\\ <b>'${x}\x1b[31m\n.yaml")
    path.write_text(filled(HARMLESS), encoding="utf-8")
    network = netspec.load(path)
    ast.parse(get("torch").source(network.graph))
    onnx.checker.check_model(build_model(network.inference, network.arrays(), DEFAULTS))
    json.loads(to_json(network.graph))
    ElementTree.fromstring(drawn(network, "svg"))
    assert Tags(drawn(network, "html")).tags == Tags(drawn(harmless, "html")).tags
    done = CliRunner().invoke(cli, ["check", str(path), str(tmp_path / "none.yaml")])
    assert "\x1b" not in done.output


def test_plots_hold_any_text(tmp_path: Path) -> None:
    for text in sampled(HOSTILE[::4], 4):
        path = tmp_path / "net.yaml"
        path.write_text(filled(text), encoding="utf-8")
        done = CliRunner().invoke(cli, ["plot", "params", str(path), "-o", str(tmp_path / "plot.svg")])
        assert done.exit_code == 0, (text, done.output, done.exception)
        tags = {e.tag.rpartition("}")[2] for e in ElementTree.parse(tmp_path / "plot.svg").iter()}
        assert not tags & {"script", "image", "foreignObject", "a"}, text
