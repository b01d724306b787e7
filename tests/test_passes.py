"""Passes: how they are asked for, and that what one leaves is whole: its graph, its scopes and its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import agreement, sampled
from pass_harness import FOLD, equal, lazy, run, spec
from shipped_networks import documents

import netspec
from netspec.diagnostics.errors import Reporter, SpecError, UsageError
from netspec.ir.graph import Graph, GraphError, Node, Ref
from netspec.ir.module import Module, Weight
from netspec.ir.text import to_text
from netspec.network import build
from netspec.ops import Tensor
from netspec.passes import NAMED, PASSES, of_level
from netspec.passes.base import Pass, Stage
from netspec.passes.resize import resize
from netspec.passes.rewriter import ShapeMismatch, rewrite
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw
from netspec.weights.lazy import computed

SPECS = Path(__file__).parent.parent / "specs"


def test_each_pass_is_a_file_of_its_name_and_says_what_it_does() -> None:
    folder = Path(netspec.__file__).parent / "passes"
    files = {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "base",
        "folding",
        "merging",
        "places",
        "profile",
        "runtimes",
        "rewriter",
        "resize",
        "tap",
    }  # resize and tap are made of arguments
    assert [p.name for p in PASSES] == list(dict.fromkeys(p.name for p in PASSES))
    assert {p.name for p in PASSES} == files  # a file that is not listed would never run
    assert all(p.run.__module__ == f"netspec.passes.{p.name}" and p.doc.endswith(".") for p in PASSES)
    assert [p.name for p in PASSES if p.named] == list(NAMED)


def variants() -> list[tuple[str, str | None]]:
    """Every shipped network: its family, and the variant where that has some."""
    return [(document.path.stem, variant) for document in documents() for variant in document.variants or [None]]


@pytest.mark.parametrize(("family", "variant"), sampled(sampled(variants(), 1, lambda v: v[0], slow=3), 15))
@pytest.mark.quick(3)
def test_every_pass_leaves_every_shipped_network_whole(family: str, variant: str | None) -> None:
    """The graph, its scopes and its weights are proved after each pass; nothing but the heads of training goes."""
    document = read_document(SPECS / f"{family}.yaml", Reporter())
    assert document is not None
    network = build(document, variant)
    for p in PASSES:
        before = Module(network.graph if p.stage is Stage.TRAINING or not p.named else network.unfolded)
        try:
            after = p(before)
        except ShapeMismatch as e:
            assert p.named and str(e)  # fc_to_conv: layers that read maps of several sizes
            continue
        assert all(scope in before.graph.scopes for scope in after.graph.scopes)
        names = {name for name, o in before.graph.outputs.items() if not o.training_only}
        assert names <= set(after.graph.outputs) or not p.keeps and len(after.graph.outputs) >= len(names)
        assert p(after).graph == after.graph  # what it looks for is gone


VARIED = """\
input: [4, 6, 6]
variants: {{plain: {{}}, folded: {{passes: [{passes}]}}, wide: {{of: folded, input: [4, 8, 8]}}}}
body:
  - conv: [6, 3]
  - batch_norm
  - dropout: 0.5
  - flatten
  - fc = linear: 5
  - head = tee: [linear: 2]
outputs: {{scores: fc, head: {{from: head, training_only: true}}}}
"""


def test_a_variant_may_name_a_pass_for_inference(tmp_path: Path) -> None:
    text = VARIED.format(passes="fold_batch_norm")
    plain, folded = (spec(tmp_path, text, variant) for variant in ("plain", "folded"))
    assert folded.inference == replace_name(plain.after(FOLD).inference, "folded")
    assert folded.graph == replace_name(plain.graph, "folded")  # what it was before, for its weights
    assert spec(tmp_path, text, "wide").inference.inputs[0].shape == ("N", 4, 8, 8)


def replace_name(graph: Graph, name: str) -> Graph:
    return Graph(name, graph.nodes, graph.outputs, graph.scopes, graph.title)


def test_passes_of_both_stages_go_together(tmp_path: Path) -> None:
    text = VARIED.format(passes="fold_batch_norm, fc_to_conv")
    plain, both = (spec(tmp_path, text, variant) for variant in ("plain", "folded"))
    assert [n.op for n in both.inference.nodes.values()] == ["input", "conv", "conv"]
    arrays = draw(plain.unfolded, 1)
    fitted = {key: arrays[key].reshape(tuple(map(int, s))) for key, (s, _, _) in both.unfolded.tensors().items()}
    expected = run("torch", plain.inference, arrays)["scores"]
    got = run("torch", both.inference, computed(both.module, lazy(fitted)).all())["scores"]
    agreement(expected, got[:, :, 0, 0])
    assert plain.after(["fc_to_conv", *FOLD]).inference == replace_name(both.inference, "plain")


def test_what_is_folded_is_not_trained(tmp_path: Path) -> None:
    network = spec(tmp_path, VARIED.format(passes="fold_batch_norm"))
    for ask in (
        lambda: network.to_torch(training=True, passes=FOLD),
        lambda: network.after(FOLD).to_torch(training=True),
        lambda: network.after(FOLD).arrays(training=True),
        lambda: spec(tmp_path, VARIED.format(passes="fold_batch_norm"), "folded").to_torch(training=True),
    ):
        with pytest.raises(UsageError, match="after the pass 'fold_batch_norm' .* cannot be trained"):
            ask()
    module = network.after(["fc_to_conv"]).to_torch(training=True)
    assert "head.linear.weight" in module.state_dict()


def test_an_unknown_pass_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="there is no pass 'fold_batchnorm'") as caught:
        netspec.load("resnet18").after(["fold_batchnorm"])
    assert caught.value.help == "did you mean 'fold_batch_norm'?"


def test_a_pass_that_does_not_fit_is_an_error_at_the_step(tmp_path: Path) -> None:
    text = "input: [4, 6, 6]\nbody:\n  - flatten\n  - softmax\n  - linear: 3\n"
    with pytest.raises(SpecError, match="'softmax' reads a flattened map") as caught:
        spec(tmp_path, text).after(["fc_to_conv"])
    assert caught.value.diagnostics[0].span is not None and caught.value.diagnostics[0].span.line == 6
    shared = """\
input: [4, 6, 6]
body:
  - f = flatten
  - a = linear: 3
  - max_pool: {kernel: 2, stride: 2}
    from: input
  - conv: [16, 1]
  - g = flatten
  - b = linear: 3
    share: a
  - add:
    from: [a, b]
"""
    with pytest.raises(SpecError, match="read maps of different sizes"):
        spec(tmp_path, shared).after(["fc_to_conv"])


def test_a_pass_runs_at_the_places_that_are_named(tmp_path: Path) -> None:
    text = """\
input: [4, 6, 6]
blocks:
  unit: {body: [hard_swish, c = conv: [4, 1], again = hard_swish]}
body:
  - a = unit
  - b = unit
"""
    network = spec(tmp_path, text)
    for asked, times in {
        ("hard_swish_as_mul",): 4,
        ("hard_swish_as_mul@a",): 2,
        ("hard_swish_as_mul@b.again",): 1,
        ("hard_swish_as_mul@a", "hard_swish_as_mul@b.again"): 3,
        ("hard_swish_as_mul@a", "hard_swish_as_mul"): 4,
    }.items():
        after = network.after(asked)
        assert after.module.times == times
        equal(network.unfolded, after.module, "onnx")
    with pytest.raises(UsageError, match="'net' has no step 'b.agian'") as caught:
        network.after(["hard_swish_as_mul@b.agian"])
    assert caught.value.help == "did you mean 'b.again'?"
    with pytest.raises(UsageError, match="the pass 'fold_batch_norm' has no places"):
        network.after(["fold_batch_norm@a"])


def test_levels_have_the_passes_of_those_below() -> None:
    levels = [[p.name for p in of_level(level)] for level in (0, 1, 2)]
    assert levels[0] == [] and set(levels[1]) < set(levels[2])
    assert not {p.name for p in PASSES if p.profiled} & set(levels[2])
    network = netspec.load("resnet18")
    assert network.optimised(0) is network and len(network.optimised(1).inference) == 50


def test_a_layer_names_what_was_folded_into_it() -> None:
    network = netspec.load("resnet18").optimised(1)
    node = network.inference.nodes["conv1.conv"]
    assert node.folded == ("conv1.bn",) and list(node.result.weights) == ["weight", "bias"]


def test_each_layer_names_the_pads_that_went_into_it(tmp_path: Path) -> None:
    body = "- p = pad: 1\n  - q = pad: {pad: [1, 0]}\n  - a = conv: [4, 3]\n  - b = avg_pool: [5, 1]\n    from: q\n"
    network = spec(tmp_path, f"input: [3, 8, 8]\nbody:\n  {body}outputs: [a, b]\n")
    nodes = network.optimised(1).inference.nodes
    assert nodes["a"].folded == nodes["b"].folded == ("p", "q")


def bad(visit: object, **more: object) -> Pass:
    def forgetful(module: Module) -> Module:
        return rewrite(module, visit, **more)  # type: ignore[arg-type]

    return Pass("forgetful", forgetful, Stage.TRAINING, named=True)


def module_of(tmp_path: Path) -> Module:
    text = """\
input: [4, 6, 6]
blocks:
  two: {inputs: [p, q], body: [{s = add: null, from: [p, q]}, c = conv: [4, 3]]}
body:
  - a = conv: [4, 1]
  - r = relu
  - t = two:
    from: [a, r]
"""
    return Module(spec(tmp_path, text).graph.check())


def test_a_pass_that_forgets_is_caught(tmp_path: Path) -> None:
    module = module_of(tmp_path)
    assert bad(lambda node, operands: node)(module) is module
    with pytest.raises(GraphError, match="the output output names t.c, which is not there"):
        bad(lambda node, operands: None)(module)
    with pytest.raises(GraphError, match="weight"):  # a wider layer, whose weights nobody computes
        wider = {"out": 4, "kernel": 3, "pad": 1}
        bad(lambda n, o: replace(n, attrs={**n.attrs, **wider}) if n.path == "a" else n)(module)
    with pytest.raises(GraphError, match="the weight a.bias of shape"):
        plain = Module(without_bias(module.graph))
        bad(lambda n, o: replace(n, attrs={**n.attrs, "bias": True}) if n.path == "a" else n)(plain)
    with pytest.raises(GraphError, match="has the shape"):
        bad(lambda n, o: n, weights={"a": {"weight": Weight.of("a.weight", (9,))}})(module)
    with pytest.raises(GraphError, match="which has none of this name"):
        bad(lambda n, o: n, weights={"r": {"weight": Weight.of("a.weight", (9,))}})(module)
    with pytest.raises(GraphError, match="the pass 'forgetful': r is replaced by t.c, which does not come before it"):
        bad(lambda n, o: Ref("t.c") if n.path == "r" else n)(module)
    with pytest.raises(GraphError, match="cannot move"):
        bad(lambda n, o: replace(n, path="elsewhere") if n.path == "a" else n)(module)
    with pytest.raises(GraphError, match="'linear' takes 1 value"):
        bad(lambda n, o: linear_at(n, "t.s"))(module)
    with pytest.raises(ShapeMismatch):
        bad(lambda n, o: Ref("input") if n.path == "t.s" else linear_at(n, "t.c"))(module)


def linear_at(node: Node, path: str) -> Node:
    return replace(node, op="linear", attrs={"out": 3}) if node.path == path else node


def without_bias(graph: Graph) -> Graph:
    def visit(node: Node, operands: object) -> Node:
        return replace(node, attrs={**node.attrs, "bias": False}) if node.path == "a" else node

    return rewrite(Module(graph), visit).graph


def test_a_pass_that_rebuilds_the_graph_by_hand_is_caught(tmp_path: Path) -> None:
    """Each forgets one thing that the rewriter carries along."""
    graph = module_of(tmp_path).graph
    kept = [n for n in graph.nodes.values() if n.path != "r"]
    kept = [replace(n, inputs=tuple(Ref("a") if r == Ref("r") else r for r in n.inputs)) for n in kept]

    def by_hand(nodes: list[Node], scopes: object, outputs: object = None) -> Pass:
        made = Graph(graph.name, nodes, outputs or graph.outputs, scopes, graph.title)  # type: ignore[arg-type]
        return Pass("by_hand", lambda module: Module(made), Stage.TRAINING, named=True)

    with pytest.raises(GraphError, match="'q' of the scope t names r, which is not there"):
        by_hand(kept, graph.scopes)(Module(graph))
    with pytest.raises(GraphError, match="nodes lie below t, which is not a scope"):
        by_hand(kept, [])(Module(graph))
    with pytest.raises(GraphError, match="holds no node"):
        by_hand([n for n in graph.nodes.values() if "." not in n.path], graph.scopes, {"o": named(graph, "r")})(
            Module(graph)
        )
    fixed = [replace(s, ins={"p": Ref("a"), "q": Ref("a")}) for s in graph.scopes.values()]
    by_hand(kept, fixed)(Module(graph))


def named(graph: Graph, path: str) -> object:
    (output,) = graph.outputs.values()
    return replace(output, ref=Ref(path))


def test_the_rewriter_carries_values_shapes_and_scopes_along(tmp_path: Path) -> None:
    module = module_of(tmp_path)

    def visit(node: Node, operands: list[Tensor]) -> Node | Ref:
        return node.inputs[0] if node.op == "relu" else node

    after = rewrite(module, visit).check(module).graph  # type: ignore[arg-type]
    assert to_text(after).splitlines()[1:] == [
        'scope "t" block {"block": "two"}',
        'input = input() {"shape": ["N", 4, 6, 6], "sample": "normal"} : N x 4 x 6 x 6',
        *[line for line in to_text(module.graph).splitlines() if line.startswith("a = ")],
        "t.s = add(a, a) {} : N x 4 x 6 x 6",
        *[line for line in to_text(module.graph).splitlines() if line.startswith("t.c = ")],
        'output "output" = t.c {}',
    ]
    assert after.scopes["t"].ins == {"p": Ref("a"), "q": Ref("a")}
    larger = resize(Module(after), {"input": ("N", 4, 9, 9)}).graph.check()
    assert larger.nodes["t.c"].shape == ("N", 4, 7, 7)
    assert resize(Module(after), {"input": ("N", 4, 6, 6)}).graph is after


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar"])
def test_the_fully_convolutional_form_computes_the_same(name: str, backend: str) -> None:
    graph = netspec.load(name).inference
    form = NAMED["fc_to_conv"](Module(graph))
    assert not {"flatten", "linear"} & {node.op for node in form.graph.nodes.values()}
    equal(graph, form, backend)
