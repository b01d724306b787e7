"""`netspec tune` where one pass takes what another would change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import netspec as api
from netspec.passes.places import scopes_of
from netspec.passes.profile import read_profile
from netspec.running.tune import Search

SIBLINGS = """\
netspec: 1
name: net
input: [8, 12, 12]
body:
  - one = concat:
      a: [a = conv: [8, 1], avg_pool: [2, 2]]
      b: [b = conv: [8, 1], max_pool: [2, 2]]
  - c = conv: [8, 1]
  - avg_pool: [2, 2]
"""
GAINS = {"pool_first@one.a.a": -2.0, "pool_first@c": 2.0, "merge_siblings": -2.0}
"""The milliseconds that each text of `--pass` adds."""


class Fake:
    """A network that takes a time."""

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {"output": np.ones(3, np.float32)}

    def time(self, inputs: object, warmup: int, repeat: int) -> list[float]:
        return [self.ms] * repeat


@pytest.mark.slow
def test_what_another_pass_leaves_nothing_of_is_not_in_the_profile(folder: Path) -> None:
    """With the pool before it, `a` reads another value than `b`, with which it was merged; the profile is taken."""
    Path("net.yaml").write_text(SIBLINGS, encoding="utf-8")
    network = api.load("net.yaml")

    def prepare(passes: Sequence[str]) -> Fake:
        return Fake(10.0 + sum(GAINS.get(text, 0.0) for text in passes))

    found = Search(network, prepare, {}, 60, lambda text: None, ("pool_first", "merge_siblings")).run()
    assert [t.change.name for t in found.trials if t.kept] == ["merge_siblings", "pool_first"]
    assert dict(found.chosen) == {"pool_first": [("one.a.a",)]}
    passes = [{"name": "pool_first", "at": ["one.a.a"]}]
    profile = {"netspec_profile": 1, "network": "net", "graph": network.digest, "target": "onnxruntime"}
    Path("p.json").write_text(json.dumps({**profile, "passes": passes}), encoding="utf-8")
    network.optimised(2, "onnxruntime", read_profile("p.json"))


MADE = """\
netspec: 1
name: net
input: [8, 12, 12]
blocks:
  both:
    body:
      - j = concat:
          a: [conv: [8, 1], relu]
          b: [conv: [8, 3, 1, 1], relu]
      - k = concat:
          c: [c = conv: [8, 1], relu]
          d: [d = conv: [8, 1], relu]
body: [one = both, two = both]
"""


@pytest.mark.parametrize("first", ["concat_as_sum", "merge_siblings"])
def test_a_pass_is_tried_at_steps_of_the_network_alone(
    first: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier pass has made has names that neither `--pass` nor a profile takes: whatever is kept, all runs."""
    Path("net.yaml").write_text(MADE, encoding="utf-8")
    network = api.load("net.yaml")
    own = scopes_of(network.graph.nodes)
    prepared: list[Sequence[str]] = []
    made = [("one.j.a.conv_part1",), ("two.k.c.c_merged", "two.k.d.d_part2")]
    monkeypatch.setattr("netspec.running.tune.places", lambda *_: made)
    both = ("concat_as_sum", "merge_siblings")

    def prepare(passes: Sequence[str]) -> Fake:
        network.after(passes)  # raises for a step that the network does not have
        prepared.append(passes)
        return Fake(10.0 - len({text.partition("@")[0] for text in passes} & {*both}))

    found = Search(network, prepare, {}, 60, lambda text: None, both, order=(first,)).run()
    assert {t.change.name for t in found.trials if t.kept} == set(both)
    asked = {text.partition("@")[2] for passes in prepared for text in passes if "@" in text}
    assert asked <= own
    assert asked == {"one.j.a", "two.k.c", "two.k.d"}


def test_a_pass_that_is_kept_everywhere_is_tried_where_a_later_one_leaves_it_more(folder: Path) -> None:
    """13 groups of 8 are no whole blocks of 16: `fill_blocks` makes them 14, which `widen_groups` joins then."""
    body = "body:\n  - conv: [104, 1]\n  - conv: {out: 104, kernel: 3, groups: 13}\n  - conv: [128, 1]\n"
    text = "netspec: 1\nname: groups\ninput: [8, 12, 12]\n" + body + "  - conv: {out: 128, kernel: 3, groups: 16}\n"
    Path("groups.yaml").write_text(text, encoding="utf-8")
    network = api.load("groups.yaml")

    def prepare(passes: Sequence[str]) -> Fake:
        nodes = network.after(passes).module.graph.nodes.values()
        return Fake(sum(node.attrs["groups"] for node in nodes if node.op == "conv"))

    order = ["widen_groups", "fill_blocks"]
    found = Search(network, prepare, {}, 60, lambda text: None, order, order=order).run()
    assert found.chosen == {"fill_blocks": [()], "widen_groups": [()]}
