"""Titles: what a paper calls a step, next to its name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import netspec
from netspec.backend import get
from netspec.check.check_file import check_file
from netspec.cli.main import cli
from netspec.diagnostics.errors import Reporter, UsageError
from netspec.ir.json import as_data
from netspec.ir.selection import frozen_nodes, keys_of
from netspec.ir.text import from_text, to_text
from netspec.ir.titles import step_of, titles
from netspec.reports.plot import bars

HEAD = "netspec: 1\nname: net\nuse: [blocks/common]\ninput: [3, 8, 8]\nbody:\n"
LOOPS = """  - conv1 = conv: [4, 1]
    title: the stem
  - layer{k + 1} = conv_bn_relu: [4, 1]
    title: conv{k + 2}_x
    repeat: 2
    for: {k: 2}
  - rows = conv: [4, 1]
    title: row {k}
    for: {k: [a, b]}
  - units = conv: [4, 1]
    title: unit {i + 1}
    repeat: 2
  - nested = conv: [4, 1]
    title: of {k}
    repeat: 1
    for: {k: 2}
  - whole = conv: [4, 1]
    title: all of it
    repeat: 2
    for: {k: 2}
  - each{k} = conv: [4, 1]
    title: path {k}
    each: {k: 2}
"""


def load(tmp_path: Path, steps: str) -> netspec.Network:
    path = tmp_path / "net.yaml"
    path.write_text(HEAD + steps, encoding="utf-8")
    return netspec.load(path)


def run(*args: str) -> tuple[int, str]:
    """The exit code and what is printed, or what the error says."""
    result = CliRunner().invoke(cli, list(args))
    error = result.exception
    return result.exit_code, f"{error} {error.help}" if isinstance(error, UsageError) else result.output


def test_a_title_belongs_to_the_iterations_whose_variables_it_reads(tmp_path: Path) -> None:
    assert titles(load(tmp_path, LOOPS + "  - concat:\n    from: [each0, each1]\n").graph) == {
        "conv1": "the stem",
        "layer1": "conv2_x",
        "layer2": "conv3_x",
        "rows.0": "row a",
        "rows.1": "row b",
        "units.0": "unit 1",
        "units.1": "unit 2",
        "nested.0": "of 0",
        "nested.1": "of 1",
        "whole": "all of it",
        "each0": "path 0",
        "each1": "path 1",
    }


def test_titles_change_no_key_and_no_source(tmp_path: Path) -> None:
    steps = LOOPS + "  - concat:\n    from: [each0, each1]\n"
    with_titles = load(tmp_path, steps).graph
    without = load(tmp_path, steps.replace("    title:", "    # title:")).graph
    assert titles(with_titles) and not titles(without)
    assert list(with_titles.tensors()) == list(without.tensors())
    assert list(with_titles.nodes) == list(without.nodes)
    commented, plain = (get("torch").source(graph) for graph in (with_titles, without))
    assert "self.layer1(x)  # conv2_x: (N, 4, 8, 8)" in commented
    assert re.sub(r"# [^(\n]*: \(", "# (", commented) == plain


def test_titles_are_in_the_text_and_in_the_json(tmp_path: Path) -> None:
    graph = load(tmp_path, LOOPS + "  - concat:\n    from: [each0, each1]\n").graph
    assert from_text(to_text(graph)) == graph
    assert titles(from_text(to_text(graph))) == titles(graph)
    data = json.loads(json.dumps(as_data(graph)))
    written = {part["path"]: part["title"] for part in data["scopes"] + data["nodes"] if "title" in part}
    assert written == titles(graph)


def test_passes_keep_titles(tmp_path: Path) -> None:
    network = load(
        tmp_path, "  - stem = conv_bn: [4, 1]\n    title: conv1\n  - c = conv: [2, 1]\n    title: the last\n"
    )
    module = network.after(["fold_batch_norm"]).inference
    assert "stem.bn" not in module.nodes
    assert titles(module) == {"stem": "conv1", "c": "the last"}


def test_a_network_used_as_a_block_brings_its_titles(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(
        HEAD.replace("name: net", "name: inner") + "  - a = conv: [4, 1]\n    title: conv1_1\n", encoding="utf-8"
    )
    path = tmp_path / "net.yaml"
    path.write_text(
        HEAD.replace("blocks/common", "./inner") + "  - base = inner\n  - base2 = inner: {until: a}\n", encoding="utf-8"
    )
    graph = netspec.load(path).graph
    assert titles(graph) == {"base.a": "conv1_1", "base2.a": "conv1_1"}
    assert step_of(graph, "base.conv1_1") == "base.a"
    assert step_of(graph, "conv1_1") is None  # it is two steps


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("layer1", "layer1"),
        ("conv2_x", "layer1"),
        ("conv3_x.1.conv", "layer2.1.conv"),
        ("units.unit 2", "units.1"),
        ("unit 2", "units.1"),
        ("all of it.0.1", "whole.0.1"),
        ("Conv2_x", None),
        ("", None),
        ("conv", None),
    ],
)
def test_both_names_mean_the_step(text: str, path: str | None, tmp_path: Path) -> None:
    graph = load(tmp_path, LOOPS + "  - concat:\n    from: [each0, each1]\n").graph
    assert step_of(graph, text) == path


def test_commands_take_both_names(tmp_path: Path) -> None:
    network = load(tmp_path, LOOPS + "  - concat:\n    from: [each0, each1]\n")
    spec = str(tmp_path / "net.yaml")
    assert run("explain", spec, "conv2_x") == run("explain", spec, "layer1")
    assert run("explain", spec, "conv2_x")[1].startswith("layer1 (conv2_x): group\n")
    assert "layer1 (conv2_x), layer2 (conv3_x)" in run("explain", spec)[1]
    assert "called at" in run("explain", spec, "conv2_x.0.conv")[1]
    code, said = run("explain", spec, "Conv2 X")
    assert code == 1
    assert "did you mean 'conv2_x', the title of 'layer1'?" in said
    drawn = [
        run("draw", spec, "-d", "1", "--expand", name, "-f", "dot", "-o", "-")[1] for name in ("conv3_x", "layer2")
    ]
    assert drawn[0] == drawn[1] != run("draw", spec, "-d", "1", "-f", "dot", "-o", "-")[1]
    assert "conv3_x" in drawn[0]
    assert keys_of(network.graph, ["conv2_x"]) == keys_of(network.graph, ["layer1"])
    assert frozen_nodes(network.graph, ["conv?_x"]) == frozen_nodes(network.graph, ["layer1", "layer2"])
    code, said = run("draw", spec, "--expand", "conv4_x", "-f", "dot", "-o", "-")
    assert code == 1
    assert "did you mean 'conv" in said


def test_a_fact_that_is_not_met_names_the_step_and_its_title(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    steps = "  - b = conv: [4, 1]\n    title: stem\n"
    path.write_text(f"{HEAD}{steps}expect: {{rows: {{stem: {{params: 3}}}}}}\n", encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter)
    assert any("b (stem): params is" in d.message for d in reporter.diagnostics)


def test_the_whole_title_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    steps = "".join(f"  - {name} = conv: [4, 1]\n    title: conv2_x\n" for name in "ab")
    path.write_text(HEAD + steps, encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter)
    (error,) = [d for d in reporter.diagnostics if d.code == "NS204"]
    assert error.span is not None and error.span.end_col - error.span.col == len("conv2_x")


def test_what_fills_a_title_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(HEAD + "  - a = conv: [4, 1]\n    title: conv{'a.b'}\n", encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter)
    (error,) = [d for d in reporter.diagnostics if d.severity == "error"]
    assert (error.code, error.span and error.span.line) == ("NS205", 7)
    assert "this makes the title 'conva.b'" in error.message


def test_facts_name_steps_by_titles_and_other_steps_do_not(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    steps = "  - a = conv: [4, 1]\n    title: the stem\n  - relu:\n    from: {}\n"
    facts = "expect: {{shapes: {{the stem: [{}, 8, 8]}}}}\n"
    for source, channels, code in (("a", 4, None), ("a", 5, "NS501"), ("the stem", 4, "NS203")):
        path.write_text(HEAD + steps.format(source) + facts.format(channels), encoding="utf-8")
        reporter = Reporter()
        check_file(path, reporter)
        found = [d.code for d in reporter.diagnostics if d.severity == "error"]
        assert found == ([code] if code else []), (source, channels)


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("network", "named"),
    [
        # Table 1 of each paper; Figures 9 and 15 of Szegedy et al. 2016, whose letters the lectures use for v3 as well
        ("resnet50", {"layer1": "conv2_x", "layer2": "conv3_x", "layer3": "conv4_x", "layer4": "conv5_x"}),
        ("resnext50_32x4d", {"layer1": "conv2", "layer4": "conv5"}),
        ("densenet121", {"features.denseblock1": "Dense Block (1)", "features.transition3": "Transition Layer (3)"}),
        ("inception_v3", {"mixed5b": "Inception-A 1", "mixed6a": "Reduction-A", "mixed6e": "Inception-B 4"}),
        ("inception_v4", {"a": "Inception-A", "b": "Inception-B", "reduction_b": "Reduction-B", "c": "Inception-C"}),
        ("inception_resnet_v2", {"entry": "Stem", "block35": "Inception-ResNet-A", "block8": "Inception-ResNet-C"}),
        ("vgg16", {"stage1.conv1": "conv1_1", "stage5.conv3": "conv5_3"}),
    ],
)
def test_stages_have_the_names_of_their_paper(network: str, named: dict[str, str]) -> None:
    graph = netspec.load(network).graph
    assert {path: titles(graph).get(path) for path in named} == named
    assert [step_of(graph, title) for title in named.values()] == list(named)


def test_a_run_of_titles_is_said_once(tmp_path: Path) -> None:
    drawn = run("draw", "inception_v3", "-d", "1", "-f", "dot", "-o", "-")[1]
    assert "Inception-C 1 to 2" in drawn


def test_a_summary_says_the_title_around_each_step(tmp_path: Path) -> None:
    load(tmp_path, LOOPS + "  - concat:\n    from: [each0, each1]\n")
    spec = str(tmp_path / "net.yaml")
    layers = {layer["path"]: layer["title"] for layer in json.loads(run("summary", spec, "-f", "json")[1])["layers"]}
    assert (layers["input"], layers["layer1.1.bn"], layers["units.1"]) == ("", "conv2_x", "unit 2")
    lines = [line.split() for line in run("summary", spec)[1].splitlines()]
    assert ["layer1.0.conv", "conv2_x", "conv", "4x8x8", "16", "1,024"] in lines
    assert ["layer1.0.bn", "batch_norm", "4x8x8", "8"] in lines  # a title is said once
    assert run("summary", spec, "-d", "1", "--columns", "title")[1].count("conv2_x") == 1
    plain = tmp_path / "plain.yaml"
    plain.write_text(HEAD + "  - relu\n", encoding="utf-8")
    assert "title" not in run("summary", str(plain))[1]


def test_charts_name_stages_by_their_titles() -> None:
    names = [name for name, _ in bars(netspec.load("resnet18").inference, "macs", 2)]
    assert names[:4] == ["conv1.conv", "conv2_x.0", "conv2_x.1", "conv3_x.0"]


def test_pictures_show_titles(tmp_path: Path) -> None:
    load(tmp_path, LOOPS + "  - concat:\n    from: [each0, each1]\n")
    drawn = run("draw", str(tmp_path / "net.yaml"), "-f", "dot", "--unfold", "-o", "-")[1]
    assert all(title in drawn for title in ("the stem", "conv2_x", "row a", "unit 2", "all of it", "path 1"))
