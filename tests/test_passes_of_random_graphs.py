"""Each pass keeps what random networks full of what passes look for compute, with weights as in `agreement`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import how_many
from pass_harness import made_of, run, share, spec, watched

from netspec.ir.module import Module
from netspec.network import Network
from netspec.passes import NAMED, winograd
from netspec.passes.base import Pass, Stage
from netspec.weights.initialise import draw

PASSES = [p for p in NAMED.values() if p.keeps and p.stage is Stage.INFERENCE]
Rng = random.Random
Lines = list[str]


def branches(join: str, *each: Sequence[str]) -> Lines:
    """A join of branches, each a list of steps; one without steps is the value itself."""
    return [f"- {join}:", *(f"    - [{', '.join(steps)}]" for steps in each)]


def conv(rng: Rng, out: int = 8) -> str:
    """A convolution that keeps the map."""
    kernel, bias = rng.choice((1, 3)), rng.choice(("true", "false"))
    return f"conv: {{out: {out}, kernel: {kernel}, pad: half, bias: {bias}}}"


def affine(rng: Rng) -> str:
    """A factor and a term for each channel."""
    return rng.choice(("batch_norm", "batch_norm", "channel_scale", "affine: {scale: 0.5, shift: 1}"))


def layer_and_norms(rng: Rng) -> Lines:
    return [f"- {step}" for step in (conv(rng), *(affine(rng) for _ in range(rng.randint(1, 3))))]


def norms_and_layer(rng: Rng) -> Lines:
    return ["- relu", *(f"- {affine(rng)}" for _ in range(rng.randint(1, 2))), f"- {conv(rng)}"]


def added_layers(rng: Rng) -> Lines:
    """As in RepVGG, Ding et al. 2021, section 3."""
    layers = [[conv(rng), *rng.choice(([], ["batch_norm"]))] for _ in range(rng.randint(1, 3))]
    return branches("add", *layers, *rng.choice(([], [[]], [["batch_norm"]])))


def siblings(rng: Rng) -> Lines:
    """1x1 convolutions of one value, as in an inception module."""
    act = rng.choice(([], ["relu"]))
    return branches(
        "concat", ["conv: [2, 1]", *act], ["conv: [4, 1]", *act], [*rng.choice(([], ["relu"])), "conv: [2, 1]"]
    )


def alike(rng: Rng) -> Lines:
    """Branches of one form, as in ResNeXt, Xie et al. 2017, figure 3."""
    act, count = rng.choice(([], ["relu"], ["batch_norm", "relu"])), rng.choice((2, 4))
    if rng.random() < 0.5:
        each = ["conv: [4, 1]", *act, f"conv: [{8 // count}, 3, 1, 1]"]
        return branches("concat", *[each] * count)
    return branches("add", *[["conv: [2, 1]", *act, "conv: [8, 1]"]] * count)


def pooled(rng: Rng) -> Lines:
    return ["- conv: [8, 1]", "- avg_pool: {kernel: 2, stride: 2, ceil: true}"]


def padded(rng: Rng) -> Lines:
    pads = rng.choice(("1", "[1, 0, 0, 1]"))
    reads = rng.choice(("conv: [8, 3]", "avg_pool: {kernel: 3, stride: 1}", "max_pool: {kernel: 3, stride: 1}"))
    return [f"- pad: {{pad: {pads}}}", f"- {reads}"]


def twice(rng: Rng) -> Lines:
    """The same step of one value, several times."""
    step = rng.choice(("relu", "sigmoid", "max_pool: {kernel: 3, stride: 1, pad: 1}"))
    return branches(rng.choice(("add", "mul")), [step], [step, *rng.choice(([], ["tanh"]))])


def grouped(rng: Rng) -> Lines:
    """A convolution of four groups of four channels, fewer than the 16 of a vector of AVX-512."""
    return [
        "- conv: [16, 1]",
        f"- conv: {{out: 16, kernel: {rng.choice((1, 3))}, pad: half, groups: 4}}",
        "- conv: [8, 1]",
    ]


def narrow(rng: Rng) -> Lines:
    """Layers of 30 channels, no multiple of 4, some of groups, which may give as many channels as they read or not."""
    between = rng.choice(
        (
            [],
            ["conv: {out: 30, kernel: 3, pad: 1, groups: 30}", "silu"],
            ["conv: {out: 60, kernel: 1, groups: 30, bias: false}"],
            ["conv: {out: 30, kernel: 1, groups: 5}", "hard_swish"],
        )
    )
    return [f"- {step}" for step in ("conv: [30, 1]", "relu", *between, "conv: [8, 1]")]


def alone(rng: Rng) -> Lines:
    return [f"- {rng.choice(('lrn: 3', 'hard_swish', 'identity', 'relu', 'avg_pool: [1, 1]'))}"]


MOTIFS = (
    layer_and_norms,
    norms_and_layer,
    added_layers,
    siblings,
    alike,
    pooled,
    padded,
    twice,
    grouped,
    narrow,
    alone,
)


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass for large layers takes all of 3x3 here."""
    monkeypatch.setattr(winograd, "KERNELS", 1)
    monkeypatch.setattr(winograd, "SIDE", 1)


def text_of(seed: int) -> str:
    """A network of random motifs, some of which read one value and are joined, with an output amid them."""
    rng = Rng(seed)
    body: Lines = ["- first = conv: {out: 8, kernel: 3, pad: half}"]
    for i in range(rng.randint(2, 4)):
        motif = rng.choice(MOTIFS)(rng)
        if rng.random() < 0.3:
            body += [f"- block{i} = do:", *(f"    {line}" for line in motif)]
        else:
            body += motif
    body += ["- last = tanh"]
    outputs = "{end: last, first: first}" if rng.random() < 0.3 else "{end: last}"
    return "input: [4, 9, 8]\nbody:\n" + "".join(f"  {line}\n" for line in body) + f"outputs: {outputs}\n"


def networks(folder: Path, seeds: Sequence[int]) -> Iterator[tuple[str, Network]]:
    for seed in seeds:
        text = text_of(seed)
        yield text, spec(folder, text)


def keeps(p: Pass, before: Module, after: Module) -> float:
    """How far a module is from the one before a pass, and that a second run changes nothing."""
    assert p(after) is after
    arrays = draw(before.graph, 3)
    ours, theirs = (run("torch", watched(m.graph), made_of(m, arrays)) for m in (before, after))
    assert ours.keys() == theirs.keys()
    return max(share(value, theirs[name]) for name, value in ours.items())


@pytest.mark.slow
def test_each_pass_and_all_of_them_keep_what_random_networks_compute(tmp_path: Path) -> None:
    for text, network in networks(tmp_path, range(how_many(2, 6, 300))):
        plain = Module(network.unfolded)
        for p in PASSES:
            after = p(plain)
            if after is not plain:
                rounded = 5e-5 if p.name == "winograd" else 2e-5  # its transforms round, most where channels are few
                assert keeps(p, plain, after) <= rounded, f"{p.name}\n{text}"
        together = network.after([p.name for p in PASSES]).module
        arrays = draw(network.unfolded, 3)
        expected = run("onnx", watched(network.unfolded), arrays)
        for name, value in run("onnx", watched(together.graph), made_of(together, arrays)).items():
            assert np.isfinite(value).all() and share(expected[name], value) <= 5e-5, text


@pytest.mark.slow
def test_random_networks_hold_what_every_pass_looks_for(tmp_path: Path) -> None:
    """Else that it keeps what they compute says nothing; no spec has a step that is dead."""
    hits = Counter[str]()
    for _, network in networks(tmp_path, range(how_many(40, 40, 300))):
        module = Module(network.unfolded)
        hits.update(p.name for p in PASSES if p(module) is not module)
    assert {p.name for p in PASSES} - hits.keys() == {"drop_dead"}, hits
