"""Generated specs: what compiles runs alike in PyTorch and onnxruntime, with the shapes that the compiler promised."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.analysis.cost import activations
from netspec.backend import get
from netspec.diagnostics.errors import Reporter, SpecError
from netspec.network import Network, build
from netspec.passes import NAMED
from netspec.passes.base import Stage
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw

pads = st.sampled_from(["0", "1", "half", "same_upper", "[1, 0]", "[1, 0, 0, 1]", "[0, 1, 1, 2]"])
sides = st.sampled_from(["1", "2", "3", "[1, 3]", "[3, 2]", "5"])


@st.composite
def windows(draw: st.DrawFn) -> str:
    """A convolution or pool with any window; many do not fit and must be diagnostics."""
    kernel, stride, pad = draw(sides), draw(sides), draw(pads)
    kind = draw(st.sampled_from(["conv", "max_pool", "avg_pool", "conv_transpose"]))
    more = {
        "conv": ", out: 8, groups: {}, dilation: {}, bias: {}".format(
            draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2])), draw(st.sampled_from(["true", "false"]))
        ),
        "conv_transpose": ", out: 4",
        "max_pool": f", ceil: {draw(st.sampled_from(['true', 'false']))}",
        "avg_pool": f", ceil: {draw(st.sampled_from(['true', 'false']))}, "
        f"count_pad: {draw(st.sampled_from(['true', 'false']))}",
    }[kind]
    return f"{kind}: {{kernel: {kernel}, stride: {stride}, pad: {pad}{more}}}"


simple = st.sampled_from(
    [
        "relu",
        "relu6",
        "batch_norm",
        "layer_norm",
        "channel_scale",
        "lrn: 3",
        "silu",
        "gelu",
        "hard_sigmoid",
        "hard_swish",
        "tanh",
        "softmax",
        "leaky_relu: 0.1",
        "channel_shuffle: 2",
        "subsample: 2",
        "upsample: [2, bilinear]",
        "upsample: [3, nearest]",
        "adaptive_avg_pool: {size: [3, 2]}",
        "affine: {scale: 0.5, shift: 1}",
        "affine: {scale: 2}",
        "identity",
        "pad: 1",
        "avg_pool: [2, 2]",
        "pad_channels: 12",
        "conv: [8, 1]",
        "conv: {out: 8, kernel: 3, pad: half}",
    ]
)


@st.composite
def steps(draw: st.DrawFn, depth: int = 2) -> list[str]:
    """A body: lines of YAML without their indentation."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 5 if depth else 3))
        if kind <= 1:
            lines.append(f"- {draw(windows())}")
        elif kind <= 3:
            op = draw(simple)
            if draw(st.booleans()):
                lines += [f"- {op}:" if ":" not in op else f"- {op}", f"  repeat: {draw(st.integers(0, 2))}"]
            else:
                lines.append(f"- {op}")
        elif kind == 4:
            join = draw(st.sampled_from(["concat", "add", "mean", "max", "mul"]))
            lines.append(f"- {join}:")
            for _ in range(draw(st.integers(1, 3))):
                inner = draw(steps(depth - 1))
                lines += [f"    - {inner[0]}", *(f"      {line}" for line in inner[1:])]
            if draw(st.booleans()):
                lines.append("    - []")
        else:
            inner = draw(steps(depth - 1))
            lines += ["- do:", *(f"    {line}" for line in inner), f"  repeat: {draw(st.integers(1, 2))}"]
    return lines


def compiled(lines: list[str]) -> Network | None:
    text = "netspec: 1\nname: generated\ninput: [4, 11, 12]\nbody:\n" + "".join(f"  {line}\n" for line in lines)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "generated.yaml"
        path.write_text(text, encoding="utf-8")
        reporter = Reporter()
        document = read_document(path, reporter)
        assert document is not None and not reporter.failed, text
        try:
            return build(document)
        except SpecError as e:
            assert all(d.span is not None and d.code in ("NS401", "NS402", "NS403") for d in e.diagnostics), (text, e)
            return None


@given(steps())
def test_backends_agree(lines: list[str]) -> None:
    network = compiled(lines)
    if network is None:
        return
    graph = network.inference
    if activations(graph.nodes.values()) > 2**26:  # a tower of upsampling would take all that the machine has
        return
    arrays = draw(graph, 0)
    inputs = {"input": np.random.default_rng(0).standard_normal((2, 4, 11, 12), np.float32)}
    ours, theirs = (get(name).run(g, arrays, inputs).outputs for name, g in (("torch", network.graph), ("onnx", graph)))
    for name, output in graph.outputs.items():
        assert ours[name].shape == theirs[name].shape == (2, *graph.shape(output.ref)[1:]), "\n".join(lines)
        assert np.abs(ours[name] - theirs[name]).max() <= 2e-5 * max(1.0, np.abs(ours[name]).max()), "\n".join(lines)


@pytest.mark.slow
@given(steps(), st.data())
def test_passes_keep_what_a_network_computes(lines: list[str], data: st.DataObject) -> None:
    """All of them, one after the other; batch norms follow some of the convolutions."""
    normed: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        normed.append(line)
        if "conv" in line and "repeat" not in following and data.draw(st.booleans()):
            norms = data.draw(st.integers(1, 2))
            normed += [f"{' ' * (line.index('conv') - 2)}- batch_norm"] * norms
    network = compiled(normed)
    if network is None or activations(network.unfolded.nodes.values()) > 2**26:
        return
    names = [p.name for p in NAMED.values() if p.keeps and p.stage is Stage.INFERENCE]
    folded, arrays = network.after(names), draw(network.unfolded, 0)
    made = {key: weight.make(arrays.__getitem__) for key, weight in folded.module.computed.items()}
    inputs = {"input": np.random.default_rng(0).standard_normal((2, 4, 11, 12), np.float32)}
    before = get("torch").run(network.unfolded, arrays, inputs).outputs
    kept = {key: value for key, value in arrays.items() if key in folded.inference.tensors()}
    after = get("torch").run(folded.inference, kept | made, inputs).outputs
    for name, value in before.items():
        assert np.abs(value - after[name]).max() <= 5e-5 * max(1.0, np.abs(value).max()), "\n".join(normed)
    for p in folded.passes:
        if p is not folded.passes[0]:
            assert p(p(folded.module)).graph == p(folded.module).graph
