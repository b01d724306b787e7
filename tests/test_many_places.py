"""What many places of a pass cost: to find them within the time of `tune`, and to check a profile that names them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pass_harness import spec

from netspec.network import Network
from netspec.passes import CHOSEN
from netspec.passes.places import places
from netspec.passes.profile import read_profile
from netspec.running.tune import Search

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


class Same:
    """What takes a hundredth of a second and gives one, whatever its passes are."""

    provider = "same"

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {"output": np.ones(1, np.float32)}

    def time(self, inputs: object, warmup: int, repeat: int) -> list[float]:
        return [10.0] * repeat


def test_places_that_there_is_no_time_to_tell_apart_are_one(tmp_path: Path) -> None:
    module, p = many(tmp_path, 12).module, CHOSEN["hard_swish_as_mul"]
    assert places(p, module) == [(f"a.{i}.hard_swish",) for i in range(12)]
    assert places(p, module, time.monotonic() - 1) == [()]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0.1, 60])
def test_tune_tells_places_apart_as_long_as_there_is_time(limit: float, tmp_path: Path) -> None:
    """200 places take more than a tenth of 0.1 s, and much less than a tenth of a minute."""
    network = many(tmp_path, 200)
    found = Search(network, lambda passes: Same(), {}, limit, lambda text: None, ["hard_swish_as_mul"]).run()
    first = found.trials[0].change
    assert first.everywhere and len(first.at) == (1 if limit < 1 else 200)
