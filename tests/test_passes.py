"""Passes: they keep what a network computes, and a module that one leaves is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import agreement, sampled

import netspec
from netspec.analysis.cost import totals
from netspec.backend import get
from netspec.diagnostics.errors import Reporter, SpecError, UsageError
from netspec.ir.graph import Graph, GraphError, Node, Ref
from netspec.ir.module import Module, Weight
from netspec.ir.text import to_text
from netspec.network import Network, build
from netspec.ops import Tensor
from netspec.passes import NAMED, PASSES
from netspec.passes.base import Pass, Stage
from netspec.passes.resize import resize
from netspec.passes.rewriter import ShapeMismatch, rewrite
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw, initialise
from netspec.weights.lazy import Arrays, Lazy, computed

SPECS = Path(__file__).parent.parent / "specs"
FOLD = ["fold_batch_norm"]


def spec(tmp_path: Path, text: str, variant: str | None = None, **more: object) -> Network:
    path = tmp_path / "net.yaml"
    path.write_text(f"netspec: 1\nname: net\n{text}", encoding="utf-8")
    return netspec.load(path, variant, **more)  # type: ignore[arg-type]


def lazy(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Arrays that are there, as those that are made when they are asked for."""
    return Arrays({key: Lazy(a.shape, a.dtype, lambda a=a: a) for key, a in arrays.items()})  # type: ignore[misc]


def run(backend: str, graph: Graph, arrays: Mapping[str, np.ndarray], count: int = 2) -> dict[str, np.ndarray]:
    """What a graph gives for images that are the same for every graph with these inputs."""
    rng = np.random.default_rng(7)
    given = {str(n.path): 2 * rng.standard_normal((count, *map(int, n.shape[1:])), np.float32) for n in graph.inputs}
    outputs: dict[str, np.ndarray] = get(backend).run(graph, arrays, given).outputs
    return outputs


def equal(before: Graph, module: Module, backend: str, tol: float = 1e-5) -> None:
    """Asserts that a module computes what the graph before its passes does, with drawn weights and statistics."""
    arrays = draw(before, 3)
    made = computed(module, lazy(arrays)).all()
    assert {key: made[key].shape for key in made} == {k: tuple(s) for k, (s, _, _) in module.graph.tensors().items()}
    assert all(array.dtype == np.float32 for array in made.values())
    wanted, got = run(backend, before, arrays), run(backend, module.graph, made)
    agreement(wanted, {name: value.reshape(wanted[name].shape) for name, value in got.items()}, tol)


def counts(graph: Graph) -> tuple[int, int, int]:
    """Nodes, batch norms, parameters."""
    norms = sum(node.op == "batch_norm" for node in graph.nodes.values())
    return len(graph), norms, totals(graph.nodes.values()).params


# ---------------------------------------------------------------- the whole kind


def test_each_pass_is_a_file_of_its_name_and_says_what_it_does() -> None:
    folder = Path(netspec.__file__).parent / "passes"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "rewriter", "resize"}
    assert [p.name for p in PASSES] == list(dict.fromkeys(p.name for p in PASSES))
    assert {p.name for p in PASSES} == files  # a file that is not listed would never run
    assert all(p.run.__module__ == f"netspec.passes.{p.name}" and p.doc.endswith(".") for p in PASSES)
    assert [p.name for p in PASSES if p.named] == list(NAMED)


def variants() -> list[tuple[str, str | None]]:
    """Every shipped network: its family, and the variant where that has some."""
    found: list[tuple[str, str | None]] = []
    for path in sorted(SPECS.glob("*.yaml")):
        document = read_document(path, Reporter())
        assert document is not None
        found += [(path.stem, variant) for variant in document.variants or [None]]  # type: ignore[list-item]
    return found


@pytest.mark.parametrize(("family", "variant"), sampled(variants(), 1, lambda v: v[0], slow=3))
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
            assert p.name == "fc_to_conv" and str(e)  # layers that read maps of several sizes
            continue
        assert all(scope in before.graph.scopes for scope in after.graph.scopes)
        assert {name for name, o in before.graph.outputs.items() if not o.training_only} <= set(after.graph.outputs)
        assert p(after).graph == after.graph  # what it looks for is gone


SMALL = {
    "resnet20_cifar": 32,
    "resnet50": 64,
    "mobilenet_v2": 64,
    "densenet121": 64,
    "bn_inception": 96,
    "nasnet_a_mobile": 96,
}


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("name", sampled(SMALL, 1))
def test_folded_networks_compute_the_same(name: str, backend: str) -> None:
    network = netspec.load(name, input=[3, SMALL[name], SMALL[name]])
    folded = network.after(FOLD)
    before, after = counts(network.inference), counts(folded.inference)
    assert before[0] - after[0] == before[1] - after[1] > 10  # a node for each norm
    equal(network.unfolded, folded.module, backend)


COUNTS = {  # nodes, batch norms and parameters, before and after; in DenseNet a norm comes after a concatenation
    "resnet50": ((176, 53, 25_557_032), (123, 0, 25_530_472)),
    "mobilenet_v1": ((85, 27, 4_231_976), (58, 0, 4_221_032)),
    "densenet121": ((428, 121, 7_978_856), (369, 62, 7_971_368)),
    "vgg16_bn": ((51, 13, 138_365_992), (38, 0, 138_357_544)),
    "vgg_d": ((38, 0, 138_357_544), (38, 0, 138_357_544)),
}


@pytest.mark.parametrize("name", sampled(COUNTS, 2))
def test_counts_before_and_after_folding(name: str) -> None:
    """A norm of C channels takes 2C parameters with it; its layer gets a bias of C where it has none."""
    network = netspec.load(name)
    assert (counts(network.inference), counts(network.after(FOLD).inference)) == COUNTS[name]


# ---------------------------------------------------------------- folding, case by case

LAYERS = {
    "conv": "conv: {out: 6, kernel: 3, bias: false}",
    "conv with bias": "conv: {out: 6, kernel: 3}",
    "grouped conv": "conv: {out: 8, kernel: 3, groups: 4, stride: 2, pad: 1}",
    "depthwise conv": "conv: {out: 4, kernel: 3, groups: 4, bias: false}",
    "conv_transpose": "conv_transpose: {out: 6, kernel: 3, stride: 2, bias: false}",
    "grouped conv_transpose": "conv_transpose: {out: 6, kernel: 3, stride: 2, groups: 2}",
}


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("norms", ["batch_norm", "batch_norm: {eps: 0.3}", "batch_norm: {affine: false}", "three"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_takes_the_norms_after_it(layer: str, norms: str, backend: str, tmp_path: Path) -> None:
    chain = ["batch_norm", "batch_norm: {affine: false, eps: 1e-3}", "batch_norm"] if norms == "three" else [norms]
    body = "".join(f"  - n{i} = {norm}\n" for i, norm in enumerate(chain))
    network = spec(tmp_path, f"input: [4, 9, 7]\nbody:\n  - layer = {LAYERS[layer]}\n{body}  - relu\n")
    folded = network.after(FOLD)
    assert [n.op for n in folded.inference.nodes.values()] == ["input", network.graph.nodes["layer"].op, "relu"]
    assert folded.inference.nodes["layer"].attrs == {**network.graph.nodes["layer"].attrs, "bias": True}
    equal(network.unfolded, folded.module, backend)


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_linear_layer_takes_the_norm_after_it(backend: str, tmp_path: Path) -> None:
    text = "input: [20]\nbody:\n  - fc = linear: {out: 6, bias: false}\n  - dropout: 0.5\n  - batch_norm\n  - relu\n"
    network = spec(tmp_path, text)
    folded = network.after(FOLD)
    assert counts(folded.inference) == (3, 0, 6 * 20 + 6)  # what is dropped at inference does not stand between
    equal(network.unfolded, folded.module, backend)


LEFT = {
    "others read the value too": "  - c = conv: [4, 1]\n  - bn = batch_norm\n  - add:\n    from: [bn, c]\n",
    "two norms read the value": "  - c = conv: [4, 1]\n  - a = batch_norm\n  - b = batch_norm:\n    from: c\n"
    "  - add:\n    from: [a, b]\n",
    "the value is an output": "  - c = conv: [4, 1]\n  - bn = batch_norm\noutputs: {a: c, b: bn}\n",
    "something stands between": "  - c = conv: [4, 1]\n  - relu\n  - batch_norm\n",
    "a norm alone": "  - batch_norm\n  - conv: [4, 1]\n",
}


@pytest.mark.parametrize("why", LEFT)
def test_what_is_left_alone(why: str, tmp_path: Path) -> None:
    network = spec(tmp_path, f"input: [4, 5, 5]\nbody:\n{LEFT[why]}")
    assert network.after(FOLD).inference is network.unfolded


def test_a_value_that_a_block_gives_by_name_is_left_alone(tmp_path: Path) -> None:
    text = """\
input: [4, 5, 5]
blocks:
  two: {outputs: [raw, normed], body: [raw = conv: [4, 1], normed = batch_norm]}
body:
  - t = two
  - relu:
    from: t.normed
"""
    network = spec(tmp_path, text)
    assert network.unfolded.scopes["t"].outs["raw"] == Ref("t.raw")  # nobody reads it, but it has a name
    assert network.after(FOLD).inference is network.unfolded


SHARED = """\
input: [4, 6, 6]
body:
  - c = conv: {out: 4, kernel: 3, pad: 1, bias: false}
  - n = batch_norm
  - relu
  - d = conv: {out: 4, kernel: 3, pad: 1, bias: false}
    share: c
  - m = batch_norm"""


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("norm", "left"),
    [(":\n    share: n", 0), ("", 2), (":\n    share: n\n  - relu\n  - e = batch_norm:\n    share: n", 1)],
)
def test_shared_weights_are_folded_where_all_take_the_same_norms(
    norm: str, left: int, backend: str, tmp_path: Path
) -> None:
    network = spec(tmp_path, SHARED + norm + "\n")
    folded = network.after(FOLD)
    assert counts(folded.inference)[1] == left
    equal(network.unfolded, folded.module, backend)


def test_a_chain_is_folded_as_far_as_the_layers_that_share_agree(tmp_path: Path) -> None:
    text = SHARED + ":\n    share: n\n  - k = batch_norm\n"
    network = spec(tmp_path, text)
    folded = network.after(FOLD)
    assert [n.path for n in folded.inference.nodes.values() if n.op == "batch_norm"] == ["k"]
    equal(network.unfolded, folded.module, "onnx")


def test_scopes_follow_what_is_folded(tmp_path: Path) -> None:
    text = """\
input: [4, 6, 6]
blocks:
  normed: {body: [bn = batch_norm]}
  tail: {inputs: [p, q], body: [{s = add: null, from: [p, q]}]}
body:
  - c = conv: [4, 1]
  - n = normed
  - r = relu:
    from: input
  - t = tail:
    from: [n, r]
"""
    network = spec(tmp_path, text)
    assert network.unfolded.scopes["t"].ins == {"p": Ref("n.bn"), "q": Ref("r")}
    folded = network.after(FOLD).inference
    assert set(folded.scopes) == {"t"} and folded.scopes["t"].ins == {"p": Ref("c"), "q": Ref("r")}


# ---------------------------------------------------------------- weights


def test_weights_are_those_before_the_pass_by_key() -> None:
    """Drawn or read for the network as it is written, then folded: the formula by hand."""
    network = netspec.load("resnet18", input=[3, 32, 32])
    stored, folded = network.arrays(seed=5), network.after(FOLD).arrays(seed=5)
    w, b = stored["conv1.conv.weight"], stored["conv1.bn.bias"]
    factor = stored["conv1.bn.weight"] / np.sqrt(stored["conv1.bn.running_var"] + np.float32(1e-5))
    assert np.allclose(folded["conv1.conv.weight"], w * factor[:, None, None, None], rtol=1e-6)
    assert np.allclose(folded["conv1.conv.bias"], b - stored["conv1.bn.running_mean"] * factor)
    assert np.array_equal(folded["fc.weight"], stored["fc.weight"])
    assert not any(".bn." in key for key in folded) and stored == initialise_equal(network, stored)


def initialise_equal(network: Network, stored: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The same mapping, if it is what is drawn for the network without passes."""
    drawn = initialise(network.inference, 5)
    assert list(drawn) == list(stored) and all(np.array_equal(drawn[key], stored[key]) for key in drawn)
    return stored


def test_a_checkpoint_is_read_for_the_network_before_the_pass(tmp_path: Path) -> None:
    network = spec(tmp_path, "input: [4, 9, 7]\nbody:\n  - conv: [6, 3]\n  - batch_norm\n  - relu\n")
    arrays = draw(network.inference, 1)
    np.savez(tmp_path / "weights.npz", **arrays)
    folded = network.after(FOLD)
    made = folded.arrays(weights=tmp_path / "weights.npz")
    agreement(run("torch", network.inference, arrays), run("torch", folded.inference, made))
    part = folded.arrays(seed=3, weights=tmp_path / "weights.npz", exclude=["batch_norm"])
    drawn = {**arrays, **{k: v for k, v in initialise(network.inference, 3).items() if k.startswith("batch_norm")}}
    agreement(run("torch", network.inference, drawn), run("torch", folded.inference, part))


def test_weights_of_both_targets_are_the_folded_ones(tmp_path: Path) -> None:
    import torch

    network = netspec.load("resnet18", input=[3, 32, 32])
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
    wanted = network.to_torch(seed=2)(torch.from_numpy(x)).detach().numpy()
    module = network.to_torch(seed=2, passes=FOLD)
    assert not any("running" in key for key in module.state_dict())
    agreement(wanted, module(torch.from_numpy(x)))
    network.to_onnx(tmp_path / "folded.onnx", seed=2, passes=FOLD)
    agreement(wanted, get("onnx").run_file(tmp_path / "folded.onnx", {"input": x}).outputs["logits"])


def test_one_tensor_is_made_at_a_time() -> None:
    """Folding makes nothing until a tensor is asked for, and then what that one needs."""
    network = netspec.load("resnet18", input=[3, 32, 32]).after(FOLD)
    asked: list[str] = []

    def stored(key: str) -> np.ndarray:
        asked.append(key)
        return np.ones(tuple(map(int, network.unfolded.tensors()[key][0])), np.float32)

    module = network.module
    assert asked == []
    module.computed["conv1.conv.weight"].make(stored)
    assert sorted(asked) == ["conv1.bn.running_var", "conv1.bn.weight", "conv1.conv.weight"]


# ---------------------------------------------------------------- how passes are asked for

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
    wanted = run("torch", plain.inference, arrays)["scores"]
    got = run("torch", both.inference, computed(both.module, lazy(fitted)).all())["scores"]
    agreement(wanted, got[:, :, 0, 0])
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


# ---------------------------------------------------------------- passes that forget something


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
        bad(lambda n, o: n, weights={"a.weight": Weight((9,), lambda stored: stored("a.weight"))})(module)
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
    with pytest.raises(GraphError, match="nodes lie below t, which is no scope"):
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


# ---------------------------------------------------------------- a network that is used as a block

INNER = """\
netspec: 1
name: inner
input: [3, =size, =size]
params: {size: 8, classes: 5}
variants:
  plain: {}
  dense: {passes: [fc_to_conv], input: [3, 20, 20]}
  small: {of: dense, size: 4}
  folded: {passes: [fold_batch_norm]}
  wrong: {passes: [fc_to_cov]}
blocks:
  classifier:
    inputs: [p, q]
    outputs: [r, s]
    body:
      - r = linear: 6
        from: p
      - s = linear: 6
        from: q
body:
  - stem = do: [conv: {out: 4, kernel: 3, pad: 1}, bn = batch_norm, relu]
  - max_pool: [2, 2]
  - flat = flatten
  - t = classifier:
    from: [flat, flat]
  - fc1 = add:
    from: [t.r, t.s]
  - act = relu
  - dropout: 0.5
  - fc2 = linear: {out: =classes, init: {weight: {normal: 0.5}}}
outputs: {scores: fc2}
"""


def outer(tmp_path: Path, body: str, size: str = "[3, 12, 10]", more: str = "") -> Network:
    (tmp_path / "inner.yaml").write_text(INNER, encoding="utf-8")
    return spec(tmp_path, f"use: ['./inner']\ninput: {size}\n{more}body:\n{body}")


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("variant", ["dense", "small"])
def test_a_network_used_as_a_block_has_the_passes_of_its_variant(variant: str, backend: str, tmp_path: Path) -> None:
    """Its layers are those for its own input; weights, counts and outputs are those of the network alone."""
    body = f"  - conv: [3, 1]\n  - net = inner: {{variant: {variant}}}\n  - global_avg_pool\n  - flatten\n"
    network = outer(tmp_path, body)
    alone = netspec.load(tmp_path / "inner.yaml", variant, input=[3, 12, 10])
    assert not {"linear"} & {n.op for n in network.graph.nodes.values()}
    assert network.graph.shape(Ref("net.fc2")) == alone.graph.shape(Ref("fc2")) != ("N", 5, 1, 1)
    inside = {
        key.removeprefix("net."): shape for key, (shape, _, _) in network.graph.tensors().items() if "net." in key
    }
    assert inside == {key: shape for key, (shape, _, _) in alone.graph.tensors().items()}
    assert totals(network.graph.nodes.values()).macs == totals(alone.graph.nodes.values()).macs + 3 * 3 * 12 * 10
    scopes = {s.path.removeprefix("net."): s for s in network.graph.scopes.values() if s.path.startswith("net.")}
    assert set(scopes) == set(alone.graph.scopes)
    assert scopes["t"].ins == {"p": Ref("net.max_pool"), "q": Ref("net.max_pool")}

    arrays = draw(alone.inference, 4)
    eye = {"conv.weight": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "conv.bias": np.zeros(3, np.float32)}
    (wanted,) = run(backend, alone.inference, arrays).values()
    (got,) = run(backend, network.inference, eye | {f"net.{key}": a for key, a in arrays.items()}).values()
    agreement(wanted.mean((2, 3)), got)
    drawn = network.arrays(seed=1)["net.fc2.weight"]
    assert drawn.shape[:2] == (5, 6) and 0.3 < drawn.std() < 0.8  # as `init` says


def test_the_dense_evaluation_of_vgg_is_followed_by_an_average(tmp_path: Path) -> None:
    """Simonyan and Zisserman 2014, section 3.2: the class score map is spatially averaged."""
    body = "  - net = vgg: {variant: vgg_d_dense}\n  - global_avg_pool\n  - flatten\n"
    network = spec(tmp_path, f"use: [vgg]\ninput: [3, 384, 384]\nbody:\n{body}")
    alone = netspec.load("vgg_d_dense")
    assert network.graph.shape(Ref("net.fc8")) == alone.graph.shape(Ref("fc8")) == ("N", 1000, 6, 6)
    counted, wanted = (totals(n.inference.nodes.values()) for n in (network, alone))
    assert (counted.params, counted.macs) == (wanted.params, wanted.macs) == (138_357_544, 49_551_114_240)


def test_names_inside_a_network_mean_what_passes_made_of_them(tmp_path: Path) -> None:
    body = """\
  - net = inner: {variant: dense, until: act}
  - u = max_pool: [4, 4]
    from: net.flat
  - v = max_pool: [8, 8]
    from: net.stem
  - concat:
    from: [u, v]
  - w = conv: [8, 1]
    from: net
  - add:
    from: [w, concat]
"""
    nodes = outer(tmp_path, body, size="[3, 8, 8]").graph.nodes
    assert nodes["u"].inputs == (Ref("net.max_pool"),)  # what `flatten` gave
    assert nodes["v"].inputs == (Ref("net.stem.relu"),)
    assert nodes["w"].inputs == (Ref("net.act"),) and nodes["net.t.r"].op == "conv"


def test_networks_with_passes_lie_in_each_other_and_share_weights(tmp_path: Path) -> None:
    middle = """\
netspec: 1
name: middle
use: ['./inner']
input: [3, 8, 8]
variants: {plain: {}, dense: {passes: [fc_to_conv]}}
body:
  - a = inner: {variant: dense}
  - flatten
  - fc = linear: 3
"""
    (tmp_path / "middle.yaml").write_text(middle, encoding="utf-8")
    body = """\
  - one = middle: {variant: dense}
  - two = middle: {variant: dense}
    from: input
    share: one
  - add:
    from: [one, two]
"""
    (tmp_path / "inner.yaml").write_text(INNER, encoding="utf-8")
    text = f"use: ['./middle', './inner']\ninput: [3, 8, 8]\nbody:\n{body}"
    network = spec(tmp_path, text)
    assert {n.op for n in network.graph.nodes.values()} >= {"conv"} and network.graph.nodes["two.fc"].op == "conv"
    assert {key.partition(".")[0] for key in network.graph.tensors()} == {"one"}
    equal(network.unfolded, network.after(FOLD).module, "onnx")


@pytest.mark.parametrize(("first", "second"), [("dense", "plain"), ("plain", "dense")])
def test_weights_that_no_longer_fit_are_not_shared(first: str, second: str, tmp_path: Path) -> None:
    body = f"  - one = inner: {{variant: {first}}}\n  - two = inner: {{variant: {second}}}\n"
    body += "    from: input\n    share: one\n"
    with pytest.raises(SpecError, match="cannot share the weights of"):
        outer(tmp_path, body + "  - flatten\n  - add:\n    from: [two, flatten]\n", size="[3, 8, 8]")


def test_errors_of_passes_of_a_network_used_as_a_block(tmp_path: Path) -> None:
    for variant, size, message in (
        ("folded", "[3, 8, 8]", "'folded' of 'inner' has the pass 'fold_batch_norm', which a network used as a block"),
        ("wrong", "[3, 8, 8]", "there is no pass 'fc_to_cov'"),
        ("dense", "[3, 4, 4]", "net.t.r: "),  # smaller than the map that its first layer reads
    ):
        with pytest.raises(SpecError, match=message) as caught:
            outer(tmp_path, f"  - net = inner: {{variant: {variant}}}\n", size=size)
        assert len(caught.value.diagnostics) == 1
