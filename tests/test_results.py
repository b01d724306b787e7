"""Accuracies are quoted from papers: as printed, with their source, and nobody claims to have verified them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from parity import SPECS

from netspec.cli.main import run
from netspec.diagnostics.errors import Reporter
from netspec.reports.catalogue import documents
from netspec.reports.overview import cited
from netspec.syntax.document import Document
from netspec.syntax.reader import read_document
from netspec.syntax.results import reported

SPEC = """\
netspec: 1
name: cited
input: [3, 8, 8]
variants:
  first: {}
  second:
    results:
      - {top5: 90, source: a}
      - {top1_error: 24.50, source: b, setting: ten-crop}
      - {top1: 99, data: MNIST, source: c}
  third: {of: second, title: Another name}
  fourth: {of: second, width: 9}
params: {width: 8}
results: {top1_error: 24.52, top5: 93.0, source: "He et al., Table 3"}
body:
  - conv: [=width, 3]
"""


def read(folder: Path, text: str = SPEC) -> Document:
    path = folder / "cited.yaml"
    path.write_text(text, encoding="utf-8")
    reporter = Reporter()
    document = read_document(path, reporter)
    reporter.check()
    assert document is not None
    return document


def test_an_error_is_shown_as_an_accuracy_in_the_digits_of_the_paper(tmp_path: Path) -> None:
    document = read(tmp_path, SPEC.replace("top5: 93.0", "top5_error: 7.46"))
    (result,) = document.results_for("first")
    assert (result.top1, result.top5, result.data, result.setting) == (75.48, 92.54, "ImageNet", "")


@pytest.mark.parametrize(
    "written, shown",
    [
        ("top1_error: 7.00", "top-1 93.00 %"),
        ("top1_error: 24.5", "top-1 75.5 %"),
        ("top1_error: 24.50", "top-1 75.50 %"),
        ("top1: 93.0", "top-1 93.0 %"),
        ("top1: 93", "top-1 93 %"),
        ("top1_error: 0.100", "top-1 99.900 %"),
        ("top1_error: 7.5e0", "top-1 92.5 %"),
        ("top1_error: 75e-1", "top-1 92.5 %"),
        ("top1: 80, top5: 94.50", "top-1 80 %, top-5 94.50 %"),
    ],
)
def test_no_digit_of_a_paper_is_lost(written: str, shown: str, tmp_path: Path) -> None:
    (result,) = read(tmp_path, SPEC.replace("top1_error: 24.52, top5: 93.0", written)).results_for("first")
    assert cited(result).startswith(f"{shown} on ImageNet, cited from ")


@pytest.mark.parametrize("written", [f"0.{'0' * 20}1", "1e-300"])
def test_a_number_of_many_digits_is_short(written: str, tmp_path: Path) -> None:
    text = SPEC.replace("top1_error: 24.52, top5: 93.0", f"top1_error: {written}")
    (result,) = read(tmp_path, text).results_for("first")
    assert len(str(result.top1)) < 20


@pytest.mark.slow
def test_lists_keep_the_digits_of_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    """Huang et al. 2016, Table 2: an error of 4.10, and Tan and Le 2019, Table 2: accuracies of 84.3 and 97.0."""
    assert run(["list", "specs", "--columns", "top1,top5", "-f", "md"]) == 0
    cells = [re.findall(r"[\w.]+", line) for line in capsys.readouterr().out.splitlines()]
    assert ["densenet100_k12", "95.90"] in cells and ["efficientnet_b7", "84.3", "97.0"] in cells


def test_errors_and_accuracies_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "cited.yaml"
    path.write_text(SPEC, encoding="utf-8")
    reporter = Reporter()
    read_document(path, reporter)
    assert [d.message for d in reporter.sorted()] == ["there is no key 'top5'"]


def test_an_error_below_one_percent_is_one(tmp_path: Path) -> None:
    """0.23% is the error of Ciresan et al. 2012 on MNIST."""
    (result,) = read(tmp_path, SPEC.replace("top1_error: 24.52, top5: 93.0", "top1_error: 0.23")).results_for("first")
    assert result.top1 == 99.77


def test_a_negative_number_is_no_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cited.yaml"
    path.write_text(SPEC.replace("top1_error: 24.52, top5: 93.0", "top1: -5"), encoding="utf-8")
    assert run(["check", str(path)]) == 1
    said = capsys.readouterr().err
    assert "a percentage, 0 to 100, got the number -5" in said and "dash" not in said


@pytest.mark.parametrize("source", ['""', '"  "'])
def test_an_empty_source_is_none(source: str, tmp_path: Path) -> None:
    path = tmp_path / "cited.yaml"
    path.write_text(SPEC.replace("top5: 93.0, ", "").replace('"He et al., Table 3"', source), encoding="utf-8")
    reporter = Reporter()
    read_document(path, reporter)
    assert [(d.code, d.span.line if d.span else 0) for d in reporter.sorted()] == [("NS110", 14)]


def test_a_variant_has_results_of_its_own(tmp_path: Path) -> None:
    document = read(tmp_path, SPEC.replace("top5: 93.0, ", ""))
    second = document.results_for("second")
    assert document.results_for("third") == second, "another name for the same network"
    assert document.results_for("fourth") == (), "another network"
    assert [r.top1 for r in document.results_for(None)] == [r.top1 for r in document.results_for("first")] == [75.48]
    assert (reported(second, "top1", "ImageNet"), reported(second, "top5", "ImageNet")) == (75.5, 90.0)
    assert (reported(second, "top1", "MNIST"), reported(second, "top5", "MNIST")) == (99.0, None)


def test_explain_says_that_they_are_cited(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "googlenet"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "top-5 89.93 % on ImageNet, cited from Table 3, from memory, not verified" in said


@pytest.mark.slow
def test_lists_have_them_and_say_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "specs", "-f", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["efficientnet_b7"]["top1"], rows["efficientnet_b7"]["top5"]) == (84.3, 97.0)
    assert (rows["resnet110_full_pre"]["top1"], rows["resnet110_full_pre"]["data"]) == (93.63, "CIFAR-10")
    assert rows["lenet5"]["top1"] is None
    assert run(["list", "specs", "googlenet"]) == 0
    assert "cited from papers" in capsys.readouterr().out


# Xie et al. 2017, Table 3, top-1 errors; He et al. 2016, Tables 1 and 2, errors on CIFAR-10: as the lectures print them
ERRORS = {
    "resnet50": 23.9,
    "resnext50_2x40d": 23.0,
    "resnext50_4x24d": 22.6,
    "resnext50_8x14d": 22.3,
    "resnext50_32x4d": 22.2,
    "resnet101": 22.0,
    "resnext101_2x40d": 21.7,
    "resnext101_4x24d": 21.4,
    "resnext101_8x14d": 21.3,
    "resnext101_32x4d": 21.2,
    "resnet110_identity": 6.61,
    "resnet110_scaled": 12.35,
    "resnet110_exclusive_gate": 8.70,
    "resnet110_exclusive_gate_7": 9.81,
    "resnet110_shortcut_gate_0": 12.86,
    "resnet110_shortcut_gate": 6.91,
    "resnet110_conv": 12.22,
    "resnet110_orig": 6.61,
    "resnet110_bn_after_add": 8.17,
    "resnet110_relu_before_add": 7.84,
    "resnet110_relu_only_pre": 6.71,
    "resnet110_full_pre": 6.37,
    "resnet164_orig": 5.93,
    "resnet164_bn_after_add": 6.50,
    "resnet164_relu_before_add": 6.14,
    "resnet164_relu_only_pre": 5.91,
    "resnet164_full_pre": 5.46,
}


def test_the_tables_of_errors_of_the_lectures() -> None:
    found = {}
    for family in ("resnet", "resnext", "resnet_shortcuts", "resnet_units"):
        document = read_document(SPECS / f"{family}.yaml", Reporter())
        assert document is not None
        for variant in document.variants:
            tops = [result.top1 for result in document.results_for(variant)]
            found[variant] = [round(100 - top, 2) for top in tops if top is not None]
    assert not {name: found[name] for name, error in ERRORS.items() if error not in found[name]}


@pytest.mark.slow
def test_what_is_from_memory_says_so() -> None:
    """The sources of all others are the tables that stand above, and the lectures' row of the entry of 2012."""
    cited = {(v, r.source) for _, d in documents() for v in d.variants for r in d.results_for(v)}
    assert {v for v, source in cited if "from memory" not in source} <= {*ERRORS, "alexnet"}


def plot(tmp_path: Path, *args: str) -> str:
    path = tmp_path / "chart.svg"
    assert run(["plot", "pareto", *args, "-q", "-o", str(path)]) == 0
    return path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_chart_of_accuracy_against_cost(tmp_path: Path) -> None:
    chart = plot(tmp_path, "resnet50", "vgg16", "efficientnet_b0", "--x", "macs", "--y", "top1")
    assert "top-1 accuracy in percent, as papers report it" in chart and "MACs (multiply-accumulates" in chart
    assert all(f"<!-- {name} -->" in chart or f">{name}<" in chart for name in ("resnet50", "vgg16", "efficientnet_b0"))


@pytest.mark.slow
def test_the_chart_of_the_catalogue_has_what_is_cited(tmp_path: Path) -> None:
    chart = plot(tmp_path, "--y", "top1", "--data", "CIFAR-100")
    assert "densenet_bc190_k40" in chart and "resnet50" not in chart


@pytest.mark.parametrize(
    "args, said",
    [
        (["lenet", "--y", "top1"], "lenet5 cites no top1 on 'ImageNet'"),
        pytest.param(["--y", "top1", "--data", "CIFAR10"], "did you mean 'CIFAR-10'?", marks=pytest.mark.slow),
        (["--data", "CIFAR-10"], "--data says what an accuracy is on"),
    ],
)
def test_a_chart_without_accuracies_is_refused(
    args: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plot", "pareto", *args, "-o", str(tmp_path / "chart.svg")]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_scales_are_for_pareto(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot", "macs", "lenet", "--y", "top1", "-o", "-"]) == 2
    assert "--y is for pareto" in capsys.readouterr().err
