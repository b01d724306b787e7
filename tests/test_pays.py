"""What was measured to pay where: what -O2 has of it, and the tool that measures."""

from __future__ import annotations

import sys
from pathlib import Path

from netspec.passes import CHOSEN, of_level
from netspec.passes.runtimes import MEASURED, Figure, backend_of, runtime_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import pays  # noqa: E402 - of a folder that is no package


def test_level_two_has_what_was_measured_to_pay() -> None:
    assert Figure(0.7, 0.1, "a").pays and not Figure(0.95, 0.1, "a").pays and not Figure(1.1, 0.0, "a").pays
    assert Figure(1.2, 0.1, "a").costs and not Figure(1.05, 0.1, "a").costs and not Figure(0.5, 0.1, "a").costs
    usual = {p.name for p in of_level(2)}
    for runtime, figures in MEASURED.items():
        assert runtime_of(*backend_of(runtime)) == runtime and set(figures) <= set(CHOSEN)
        slower = {name for name, found in figures.items() if any(figure.costs for figure in found)}
        faster = {name for name, found in figures.items() if any(figure.pays for figure in found)} - slower
        assert {p.name for p in of_level(2, runtime)} == usual - slower | faster
        assert {p.name for p in of_level(1, runtime)} == {p.name for p in of_level(1)}
    names = {p.name for p in of_level(2, "onnxruntime")}  # of GoogLeNet, whose joins four read, a sum is slower
    assert "lrn_as_conv" in names and not {"concat_as_sum", "merge_siblings"} & names
    assert of_level(2, "of nobody") == of_level(2)


def test_the_tool_keeps_the_figures_of_runtimes_that_it_does_not_measure() -> None:
    table = pays.TABLE.read_text(encoding="utf-8")
    assert {*pays.RUNTIMES} == {*MEASURED}
    for runtime, figures in MEASURED.items():
        kept = "\n".join(pays.as_before(table, runtime))
        assert kept in table
        assert eval(f"{{{kept}}}", {"Figure": Figure}) == {runtime: figures}
    made = {"a": ['Figure(0.500, 0.010, "x")'], "b": []}
    assert eval("\n".join(["{", *pays.lines_of("r", made), "}"]), {"Figure": Figure}) == {
        "r": {"a": (Figure(0.5, 0.01, "x"),)}
    }
