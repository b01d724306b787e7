"""Each pass computes what the network before it does: on shipped specs that it changes, at small inputs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pass_harness import TOLERANCE, Reference, keeps_weights
from shipped_networks import firsts

import netspec
from netspec.diagnostics.errors import SpecError
from netspec.ir.module import Module
from netspec.network import Network
from netspec.passes import NAMED, PASSES
from netspec.passes.base import Pass, Stage
from netspec.passes.rewriter import ShapeMismatch

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import passes  # noqa: E402

RUN = {p.name for p in PASSES if p.named and p.stage is Stage.INFERENCE}


def smaller(name: str, **params: int) -> Network:
    """A network at the least of some sizes that it takes; one without an image, or with several, as it is."""
    network = netspec.load(name, **params)
    maps = [node for node in network.graph.inputs if len(node.shape) == 4]
    if len(maps) != 1:
        return network
    channels, height, width = map(int, maps[0].shape[1:])
    # below 64, all images give nearly the same; of a U-Net without padding 188 is the least
    for size in (12, 32) if network.is_block else (64, 96, 128, 160, 188):
        if size < min(height, width):
            try:
                return netspec.load(name, input={str(maps[0].path): [channels, size, size]}, **params)
            except SpecError:
                continue
    return network


def after_each(network: Network) -> Iterator[tuple[Pass, Module, Module]]:
    """Each pass that changes a network, with the module before it, behind all passes before it, and after it.

    A pass of training is tried alone.
    """
    module = Module(network.unfolded)
    for p in (p for p in PASSES if p.keeps):
        if p.stage is Stage.TRAINING or not p.named:
            before = Module(network.graph)
        else:
            before = module
        try:
            after = p(before)
        except ShapeMismatch:
            continue
        if after is not before:
            yield p, before, after
            assert p(after) is after
            module = after if before is module else module


@dataclass(frozen=True)
class Held:
    """What a pass did to a network."""

    times: int
    """How often it found what it looks for."""
    error: float
    """The largest difference of an output or a named value, as a share of its largest number."""


def hold(network: Network, only: Collection[str] | None = None) -> dict[str, Held]:
    """Asserts that a network computes the same after each pass, and after all of them; gives those that change it.

    Each is compared in onnxruntime, and all of them together in PyTorch, with the network before all passes. Of `only`
    some passes the others run, and are not compared.
    """
    found: dict[str, Held] = {}
    references: dict[int, Reference] = {}
    for p, before, after in after_each(network):
        if only is not None and p.name not in only:
            continue
        whole = network.graph if before.graph is network.graph else network.unfolded
        reference = references.get(id(whole)) or references.setdefault(id(whole), Reference(whole, "onnx"))
        try:
            found[p.name] = Held(after.times, holds(reference, after))
        except AssertionError as e:
            raise AssertionError(f"{p.name} on {network.name}: {e}") from e
        if p.stage is Stage.TRAINING:
            keeps_weights(before.graph, after)
    holds(Reference(network.unfolded, "torch"), network.after([name for name in found if name in RUN]).module)
    return found


def hold_at_both_sizes(name: str) -> dict[str, Held]:
    """What `hold` gives of a small input, and at the network's own one for passes that find something there alone."""
    small, own = smaller(name), netspec.load(name)
    found = hold(small)
    larger = {p.name for p, _, _ in after_each(own) if p.name in RUN} - found.keys()
    return found | (hold(own, larger) if larger else {})


def holds(reference: Reference, after: Module) -> float:
    """The largest difference after a pass; of a network that makes much of rounding that in float64."""
    try:
        return reference.against(after, TOLERANCE)
    except AssertionError:
        if not reference.rough:
            raise
        return reference.exactly(after)


NETWORKS = {
    "repvgg:rep_block": ["fold_batch_norm", "merge_branches"],
    "blocks/resnext:resnext_block_a": ["group_branches"],
    "blocks/resnext:resnext_block_b": ["group_branches"],
    "blocks/dense:transition": ["pool_first"],
    "blocks/inception:inception": ["merge_siblings"],
    "squeezenet": ["concat_as_sum"],
    "blocks/se:se": [],
    "mobilenet_v3:bneck": ["hard_swish_as_mul"],
    "blocks/resnext:resnext_block_c": ["widen_groups"],
}
"""Networks and blocks, with passes that change them."""


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.quick(3)
def test_a_network_of_each_pass_computes_the_same(name: str) -> None:
    params = {"C": 4} if "resnext" in name else {}
    assert set(NETWORKS[name]) <= hold(smaller(name, **params)).keys()


@pytest.mark.full
@pytest.mark.parametrize("name", firsts())
def test_every_spec_computes_the_same_after_every_pass_that_changes_it(name: str) -> None:
    hold_at_both_sizes(name)


def test_a_pass_that_needs_a_large_map_finds_one_at_the_own_input() -> None:
    """VGG's maps of 28 x 28 have 512 channels at its own size, those of its small one are 8 x 8."""
    small, own = ({p.name for p, _, _ in after_each(n)} for n in (smaller("vgg16"), netspec.load("vgg16")))
    assert own - small == {"winograd"}


def grouped(name: str) -> dict[str, tuple[int, ...]]:
    """The convolutions of a block after a pass: kernel, groups, and channels, by the step's last name."""
    module = NAMED["group_branches"](Module(netspec.load(name).unfolded))
    convs = (node for node in module.graph.nodes.values() if node.op == "conv")
    return {
        node.path.rpartition(".")[2]: (node.attrs["kernel"][0], node.attrs["groups"], node.attrs["out"])
        for node in convs
    }


def test_the_forms_of_a_block_of_resnext_become_the_grouped_one() -> None:
    """Figure 3 of the paper: with 32 paths of width 4 all are 1x1, 128; 3x3, 128 in 32 groups; 1x1, 256."""
    form = {"reduce": (1, 1, 128), "transform": (3, 32, 128), "expand": (1, 1, 256)}
    for name in ("a", "b", "c"):
        assert grouped(f"blocks/resnext:resnext_block_{name}") == form


def test_repvgg_becomes_its_merged_form() -> None:
    """Ding et al. 2021, Table 4: RepVGG-A0 has 8.30 M parameters merged, as the variant that is written so."""
    merged, written = netspec.load("repvgg_a0").optimised(2).inference, netspec.load("repvgg_a0_merged").inference
    assert [n.op for n in merged.nodes.values()] == [n.op for n in written.nodes.values()]
    sizes = [[n.result.weights for n in graph.nodes.values() if n.op == "conv"] for graph in (merged, written)]
    assert sizes[0] == sizes[1]


def test_a_transition_of_densenet_has_a_quarter_of_its_work() -> None:
    """Its 1x1 convolution runs on a map of half the height and width."""
    network = netspec.load("blocks/dense:transition")
    macs = [n.result.macs for n in network.inference.nodes.values() if n.op == "conv"]
    less = [n.result.macs for n in network.after(["pool_first"]).inference.nodes.values() if n.op == "conv"]
    assert [4 * each for each in less] == macs  # type: ignore[operator]
    assert [n.op for n in network.after(["pool_first"]).inference.nodes.values()][-2:] == ["avg_pool", "conv"]


@pytest.mark.slow
def test_the_command_that_compares_passes_says_what_each_changed() -> None:
    row = passes.measured(("lenet5", "key"))
    assert (row["network"], row["size"], row["wrong"]) == ("lenet5", "1x32x32", "")
    assert {*row["passes"]} == {"fc_to_conv"} and row["passes"]["fc_to_conv"][1] < TOLERANCE
    other: passes.Row = {**row, "network": "other", "passes": {"fc_to_conv": (2, 3e-7)}}
    assert "| fc_to_conv | 2 | 3 | 3e-07 | `other` |" in passes.table(
        [{**row, "passes": {"fc_to_conv": (1, 0.0)}}, other]
    )
    assert passes.measured(("absent", "key"))["wrong"]


def test_networks_with_the_least_work_are_compared_first() -> None:
    assert passes.by_work(["vgg_d", "lenet5", "resnet50"]) == ["lenet5", "resnet50", "vgg_d"]
