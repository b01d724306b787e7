"""What `netspec tune` does with the time that it has, and says of what it lacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import netspec as api
from netspec.passes.runtimes import MEASURED, by_gain
from netspec.running.tune import Change, Ratio, Search, Trial, Tuned

SPEC = """\
netspec: 1
name: net
input: [8, 12, 12]
body:
  - one = concat:
      a: [conv: [8, 1], relu]
      b: [conv: [16, 1], relu]
  - norm = lrn: {size: 5, alpha: 0.5, k: 2}
"""


class Fake:
    """A network that takes 10 ms."""

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {"output": np.ones(3, np.float32)}

    def time(self, inputs: object, warmup: int, repeat: int) -> list[float]:
        return [10.0] * repeat


def search(folder: Path, seconds: float, order: Sequence[str] = ()) -> Search:
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    return Search(api.load("net.yaml"), lambda passes: Fake(), {}, seconds, lambda text: None, order=order)


def test_what_pays_elsewhere_is_tried_first_and_what_was_not_tried_is_said(folder: Path) -> None:
    for order in (["lrn_as_conv", "merge_siblings"], ["merge_siblings", "lrn_as_conv"]):
        found = search(folder, 60, order).run()
        assert [t.change.name for t in found.trials if t.change.everywhere] == order
        assert not found.undecided and found.needs == 0
        nothing = search(folder, 0, order).run()
        assert nothing.undecided == order and nothing.needs > 0


def test_the_noise_says_how_long_it_takes_to_decide(folder: Path) -> None:
    """It falls with the root of the rounds: half as large as now is four times as long."""
    made = search(folder, 60)
    made.begun, made.ready = time.monotonic(), 1.0
    trial = Trial(Change("lrn_as_conv", [()], everywhere=True), Ratio(0.95, 0.1, 5), False, "within the noise")
    made.trials = [trial]
    assert made._needs(["lrn_as_conv"]) == pytest.approx(4 * 60)
    assert Tuned({}, made.trials, None).undecided == ["lrn_as_conv"]
    for ratio in (Ratio(0.95, 0.04, 5), Ratio(1.02, 0.04, 5), Ratio(1.2, 0.04, 5)):
        made.trials = [replace(trial, ratio=ratio)]
        assert made._needs(["lrn_as_conv"]) == 0 and not Tuned({}, made.trials, None).undecided


def test_passes_are_tried_by_what_they_gave() -> None:
    for runtime, figures in MEASURED.items():
        best = [min(figure.ratio for figure in figures[name]) for name in by_gain(runtime)]
        assert best == sorted(best) and len(best) == len(figures)
