"""What a profile costs that names hundreds of places."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pass_harness import spec

from netspec.network import Network
from netspec.passes.profile import read_profile

MANY = """\
input: [4, 8, 8]
blocks:
  b: {{body: [hard_swish, relu]}}
body:
  - a = b:
    repeat: {}
"""


def many(folder: Path, count: int) -> Network:
    """A network with so many places where `hard_swish_as_mul` changes a step."""
    network = spec(folder, MANY.format(count))
    assert len(network.graph) == 1 + 2 * count
    return network


def seconds(work: Callable[[], object]) -> float:
    """The processor time of the fastest of three runs."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
def test_a_profile_of_many_places_costs_what_one_of_few_does_for_each(tmp_path: Path) -> None:
    """Four times the steps and places take about four times as long; it was 13 times, as each met all steps."""
    took = []
    for count in (200, 800):
        network = many(tmp_path, count)
        steps = [f"a.{i}.hard_swish" for i in range(count)]
        known = {"netspec_profile": 1, "network": network.name, "graph": network.digest, "target": "onnxruntime"}
        text = json.dumps({**known, "passes": [{"name": "hard_swish_as_mul", "at": steps}]})
        (tmp_path / "p.json").write_text(text, encoding="utf-8")
        optimise = partial(network.optimised, 2, "onnxruntime", read_profile(tmp_path / "p.json"))
        assert len(optimise().inference) == 1 + 3 * count
        took.append(seconds(optimise))
    assert took[1] < 8 * took[0]
