"""Scopes name what is there, after passes too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import netspec
from netspec.graph import Graph, GraphError, Ref, Scope
from netspec.passes import inference
from netspec.regions import Region, tree

CASE = Path(__file__).parent / "cases" / "scopes_after_a_pass.yaml"


def test_a_pass_leaves_scopes_that_name_what_is_there() -> None:
    """`flatten` goes in the dense form: the block reads the convolution in its place."""
    plain, dense = (netspec.load(CASE, variant).graph.scopes["t"] for variant in ("a", "dense"))
    assert plain.ins == {"p": Ref("f"), "q": Ref("g")}
    assert dense.ins == {"p": Ref("c"), "q": Ref("c")}
    assert dense.outs == plain.outs == {"r": Ref("t.r"), "s": Ref("t.s")}


WRONG: dict[str, Callable[[Scope], Scope]] = {
    "'p' of the scope t names f, which is not there": lambda s: replace(s, ins=s.ins | {"p": Ref("f")}),
    "'s' of the scope t names t.s#1, which is not there": lambda s: replace(s, outs=s.outs | {"s": Ref("t.s", 1)}),
    "'q' enters the scope t, but t.r is made inside": lambda s: replace(s, ins=s.ins | {"q": Ref("t.r")}),
    "'r' leaves the scope t, but add is made outside": lambda s: replace(s, outs=s.outs | {"r": Ref("add")}),
}


@pytest.mark.parametrize("message", WRONG)
def test_check_finds_a_wrong_scope(message: str) -> None:
    graph = netspec.load(CASE, "dense").graph.check()
    wrong = Graph(graph.name, graph.nodes, graph.outputs, [WRONG[message](graph.scopes["t"])])
    with pytest.raises(GraphError, match=message):
        wrong.check()


def test_check_finds_a_scope_that_holds_nothing() -> None:
    graph = netspec.load(CASE, "a").graph
    scope = graph.scopes["t"]
    scopes = [*graph.scopes.values(), replace(scope, path=scope.path + "empty", ins={}, outs={})]
    with pytest.raises(GraphError, match="holds no node"):
        Graph(graph.name, graph.nodes, graph.outputs, scopes).check()


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "resnet_shortcuts", "nasnet"])
def test_the_inference_graph_has_scopes_of_nodes_alone(name: str) -> None:
    """Heads and dropout take their scopes with them."""
    network = netspec.load(name)
    held = {region.path for region in regions(tree(inference(network.graph)))}
    assert {path for path in network.inference.scopes if path} == held - {""}


def regions(region: Region) -> list[Region]:
    """A region and all inside."""
    return [region, *(found for item in region.items if isinstance(item, Region) for found in regions(item))]
