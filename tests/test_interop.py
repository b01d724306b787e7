"""tools/dev interop: what a runner gives, that one which fails or crashes is a reason and not an end, what is kept."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conformance import CASES, IDS, Shapes, arrays_of, one_op
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions
from netspec_onnx.presets import PRESETS, Target
from netspec_onnx.workarounds import WORKAROUNDS
from onnx.reference import ReferenceEvaluator

from netspec.weights.initialise import draw

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import interop
import interop_cells
import interop_reasons
import interop_runtimes

EXPECTED = [np.ones((1, 2), np.float32)]
SAVE = "import numpy as np; np.savez(sys.argv[1], **{'0': np.full((1, 2), %s, np.float32)})"


def ran(tmp_path: Path, code: str, limit: float = 60) -> interop_cells.Cell:
    """The outcome of a runner of this code, whose argument is the file of the outputs."""
    out = tmp_path / "out.npz"
    return interop_cells.outcome(
        [sys.executable, "-c", f"import os, sys, time\n{code}", out], out, EXPECTED, limit=limit
    )


@pytest.mark.slow
def test_a_runner_that_fails_is_a_reason(tmp_path: Path) -> None:
    said = ran(tmp_path, "raise RuntimeError('No rule | for `netspec`')")
    assert (said.kind, said.text) == ("refused", "RuntimeError: No rule ' for 'netspec'")
    assert ran(tmp_path, "time.sleep(9)", 0.1).text == "no result within 0.1 s"
    if os.name != "nt":
        assert ran(tmp_path, "os.kill(os.getpid(), 11)").text == "crashed with signal 11"
        assert ran(tmp_path, "os.kill(os.getpid(), 24)").text.startswith(interop_cells.LATE)


@pytest.mark.slow
def test_a_runner_that_hangs_after_its_outputs_has_given_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interop_cells, "TO_END", 0.1)
    assert ran(tmp_path, f"{SAVE % '1'}; time.sleep(30)", 20) == interop_cells.Cell("ok", "0e+00")


def test_what_differs_is_no_number_that_passes() -> None:
    def kind(value: np.ndarray, expected: np.ndarray = EXPECTED[0]) -> str:
        return interop_cells.compared([value], [expected], 1e-4).kind

    assert kind(EXPECTED[0] * np.float32(1.00001)) == "ok"
    assert kind(np.ones(2, np.float32)) == "ok"  # a runtime without a batch axis
    assert kind(EXPECTED[0] * np.float32(1.01)) == "differs"
    assert kind(EXPECTED[0] * np.float32(np.nan)) == "differs"
    assert kind(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)) == "differs"
    assert interop_cells.compared([], EXPECTED, 1e-4).text == "gives 0 outputs, not 1"


FAKE = """
import sys, numpy as np
name, model, given, out = sys.argv[1:]
np.savez(out, **{"0": np.load(model.replace("model.onnx", "../answer.npy"))})
"""


@pytest.mark.slow
def test_a_cell_is_run_once_for_a_file_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, runs = tmp_path / "runner.py", []
    runner.write_text(FAKE, encoding="utf-8")
    monkeypatch.setattr(interop, "RUNNER", runner)
    monkeypatch.setattr(interop, "python_of", lambda name: runs.append(name) or Path(sys.executable))
    monkeypatch.setattr(interop, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(interop, "PAGE", tmp_path / "page.md")
    marks = [f"<!-- interop: {name} -->\nold<!-- /interop -->" for name in ("runtimes", "failures", "families")]
    (tmp_path / "page.md").write_text(f"before {' between '.join(marks)} after", encoding="utf-8")
    fake = {"fake 1": interop_runtimes.Runtime("fake", (), {"opset": 13})}
    monkeypatch.setattr(interop, "RUNTIMES", fake)
    made = interop.Comparison.expected.func

    def expected(self: interop.Comparison) -> list[np.ndarray]:
        found = made(self)
        np.save(self.folder / "answer.npy", found[0])
        return found

    monkeypatch.setattr(interop.Comparison, "expected", property(expected))
    results: interop.Results = {}
    interop.compare("espcn", ["fake 1"], results, ("preset", "default"))
    assert runs == ["fake 1"] * 2 and results["fake 1"]["espcn"]["preset"]["kind"] == "ok"
    interop.compare("espcn", ["fake 1"], results, ("preset", "default"))
    assert runs == ["fake 1"] * 2
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == results
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| fake 1 | `--opset 13` | 1 of 1 |  |  | 1 of 1 |\n" in page and "| `espcn` | 0e+00 |\n" in page
    assert page.startswith("before <!-- interop") and page.endswith("<!-- /interop --> after") and "old" not in page


@pytest.mark.slow
def test_drawn_weights_are_those_of_the_file() -> None:
    with interop.comparison("espcn") as seeded, interop.comparison("espcn", drawn=True) as drawn:
        biases = []
        for of in (seeded, drawn):
            made = of.file({})
            assert isinstance(made, tuple)
            values = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(made[0]).graph.initializer}
            biases.append(values["conv1.bias"])
            found = ort.InferenceSession(made[0]).run(None, of.inputs)
            assert interop_cells.compared(found, of.expected, 1e-5).kind == "ok"
    assert not biases[0].any() and biases[1].all()


def test_the_page_says_what_is_kept() -> None:
    results = json.loads(interop.RESULTS.read_text(encoding="utf-8"))
    text = interop.PAGE.read_text(encoding="utf-8")
    assert interop.page(text, results) == text
    assert set(results) <= set(interop.RUNTIMES)
    assert {family for cells in results.values() for family in cells} <= set(interop.families())


def test_a_failure_is_said_with_what_was_found_of_it() -> None:
    cells = {
        "deformable": {"preset": {"file": "", "kind": "refused", "text": "becomes DeformConv, which opset 13 lacks"}}
    }
    assert interop.reasons("tract 0.23.9", cells) == [
        "- `deformable`: it has no DeformConv, which is of opset 19 "
        "(refused, `becomes DeformConv, which opset 13 lacks`)"
    ]
    pooled = {"preset": {"file": "", "kind": "refused", "text": "bins become RoiAlign"}}
    off = {"preset": {"file": "1", "kind": "differs", "text": "2e-01"}}
    assert interop.reasons("tract 0.23.9", {"mask_rcnn": pooled, "faster_rcnn": pooled, "vgg": off}) == [
        "- `faster_rcnn`, `mask_rcnn`: it has no RoiAlign, in any operator set (refused, `bins become RoiAlign`)",
        "- `vgg`: differs by 2e-01",
    ]
    for reason in interop_reasons.REASONS:
        assert any(re.match(reason.runtime, name) for name in interop.RUNTIMES), reason
        assert any(re.fullmatch(reason.family, name) for name in interop.families()), reason


def test_what_has_no_result_is_run_first_and_what_failed_again_where_asked() -> None:
    cell = {"preset": {"file": "1", "kind": "ok", "text": "0e+00"}}
    results = {"MNN": {"lenet": cell}, "tract": {"lenet": cell, "vgg": cell}}
    assert interop.in_turn(["lenet", "vgg", "zfnet"], ["MNN", "tract"], results) == ["zfnet", "vgg", "lenet"]
    good, bad, late = (
        {"file": "1", "kind": k, "text": t}
        for k, t in (("ok", "0e+00"), ("differs", "1e+00"), ("refused", interop_cells.LATE))
    )
    assert [[interop.worth_keeping(e, again) for e in (good, bad, late)] for again in ("", "failed", "all")] == [
        [True, True, False],
        [True, False, False],
        [False, False, False],
    ]


def test_the_oldest_onnxruntime_that_is_allowed_is_one_of_them() -> None:
    oldest = re.findall(
        r"^onnxruntime==([\d.]+)", (Path(interop.ROOT) / "tools" / "oldest.txt").read_text(encoding="utf-8"), re.M
    )
    assert [f"onnxruntime {version}" in interop.RUNTIMES for version in oldest] == [True]


def test_the_end_of_a_run_says_who_agrees() -> None:
    cells = {name: {"preset": {"kind": kind}} for name, kind in (("lenet", "ok"), ("vgg", "differs"))}
    assert interop.summary("MNN 3", cells, 73) == "MNN 3: 1 of 73 families agree, 2 were run; not vgg"


def test_every_runtime_has_a_runner_and_ci_names_some_of_them() -> None:
    import interop_runner

    assert {row.runner for row in interop.RUNTIMES.values()} == set(interop_runner.RUNNERS)
    assert {row.options["for_"] for row in interop.RUNTIMES.values() if "for_" in row.options} <= set(PRESETS)
    runtimes, families = interop.CI
    assert len(runtimes) == 3 and set(runtimes) <= set(interop.RUNTIMES)
    assert len(families) == 6 and set(families) <= set(interop.families())


OTHERWISE = [
    pytest.param(target, op, attrs, shapes, id=f"{target}-{id}")
    for target, rows in WORKAROUNDS.items()
    for (op, attrs, shapes, _), id in zip(CASES, IDS, strict=True)
    if op in rows
]
OTHERWISE += [
    pytest.param("opencv", "upsample", attrs, ((3, 1, 1),), id=f"opencv-upsample-one-cell-{i}")
    for i, attrs in enumerate(({"size": (5, 7), "mode": "bilinear"}, {"scale": (2, 3), "mode": "bilinear"}))
]


@pytest.mark.quick(3)
@pytest.mark.parametrize(("target", "op", "attrs", "shapes"), OTHERWISE)
def test_a_row_for_a_runtime_computes_what_the_usual_one_does(
    target: Target, op: str, attrs: dict[str, object], shapes: Shapes
) -> None:
    graph, inputs = one_op(op, attrs, shapes), arrays_of(shapes, 1)
    both = OnnxOptions(opset=PRESETS[target].opset), OnnxOptions(for_=target)
    models = [build_model(graph, draw(graph, 3), options) for options in both]
    usual, own = (ReferenceEvaluator(model).run(None, inputs) for model in models)
    for right, value in zip(usual, own, strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6)
