"""`netspec check --facts` and `explain SPEC STEP`: what papers print, beside what was computed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import netspec
from netspec.check.arithmetic import other_counts
from netspec.cli.main import run
from netspec.diagnostics.errors import Source, Span
from netspec.syntax.document import Printed

SPEC = """\
netspec: 1
name: little
source: Somebody 2014, A paper, Table 1
input: [3, 32, 32]
body:
  - stem = conv: [8, 3]
  - up = conv: [4, 1]
expect:
  params: [{printed: 260}, {printed: 0.2K, source: another paper}]
  printed:
    - source: Table 1
      columns: {shape: , params: {biases: false}}
      rows:
        stem: [30x30x8, {printed: 210, misprint: 216, why: 8 x 27}]
        up: [30x30x5, 33]
"""
"""3 x 3 x 3 x 8 + 8 and 8 x 4 + 4 parameters; the sizes of `up` are wrong."""


def little(tmp_path: Path, size: str = "{printed: 30x30x5, differs: unknown}", params: str = "32") -> str:
    path = tmp_path / "little.yaml"
    path.write_text(SPEC.replace("30x30x5", size).replace(" 33]", f" {params}]"), encoding="utf-8")
    return str(path)


ROWS = [
    ("little params", "260", 260, "exact", "Somebody 2014, A paper, Table 1"),
    ("little params", "0.2K", 260, "truncates to", "another paper"),
    ("little stem shape", "30x30x8", "30x30x8", "exact", "Somebody 2014, Table 1"),
    ("little stem params", "210", 216, "misprint", "Somebody 2014, Table 1"),
    ("little up shape", "30x30x5", "30x30x4", "differs", "Somebody 2014, Table 1"),
    ("little up params", "32", 32, "exact", "Somebody 2014, Table 1"),
]
KEYS = ("row", "printed", "computed", "verdict", "source")


def test_json_is_a_list_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--facts", little(tmp_path), "-f", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [tuple(row[key] for key in KEYS) for row in rows] == ROWS
    assert rows[3]["reason"] == "216: 8 x 27; without biases"


@pytest.mark.parametrize("form", ["text", "md", "csv", "latex", "html"])
def test_every_form_has_every_row(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--facts", little(tmp_path), "-f", form]) == 0
    out = capsys.readouterr().out.replace(r"$\times$", "x").replace("×", "x")
    for _, printed, _, verdict, source in ROWS:
        assert any(printed in line and verdict in line and source in line for line in out.splitlines()), (form, out)
    if form == "csv":
        assert [row["computed"] for row in csv.DictReader(io.StringIO(out))] == [str(row[2]) for row in ROWS]


def test_the_counts_by_verdict_stand_below(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--facts", little(tmp_path)]) == 0
    assert "6 printed numbers: 3 exact, 1 truncates to, 1 misprint, 1 differs" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "md", "csv", "json", "latex", "html"])
def test_a_wrong_fact_is_an_error_and_a_row(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--facts", little(tmp_path, params="33"), "-f", form]) == 1
    said = capsys.readouterr()
    assert "up: params is 32, printed 33" in said.err
    assert said.out.count("wrong") == 1 + (form in ("text", "md"))  # the counts below a table for people
    if form == "json":
        (row,) = [row for row in json.loads(said.out) if row["verdict"] == "wrong"]
        assert (row["row"], row["printed"], row["computed"]) == ("little up params", "33", 32)


def test_explain_says_that_a_printed_number_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", little(tmp_path, params="33"), "up"]) == 0
    assert "printed: params 33, wrong: 32 (Somebody 2014, Table 1" in capsys.readouterr().out


def test_after_a_wrong_shape_the_table_still_has_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(little(tmp_path))
    path.write_text(path.read_text(encoding="utf-8").replace("expect:", "expect:\n  shapes: {stem: [9, 30, 30]}"))
    assert run(["check", "--facts", str(path), "-f", "json"]) == 1
    assert len(json.loads(capsys.readouterr().out)) == len(ROWS)


def test_a_network_that_cannot_be_built_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(little(tmp_path))
    path.write_text(path.read_text(encoding="utf-8").replace("conv: [4, 1]", "conv: [4, 99]"), encoding="utf-8")
    assert run(["check", "--facts", str(path), "-o", str(tmp_path / "out.csv")]) == 1
    assert not capsys.readouterr().out and not (tmp_path / "out.csv").exists()


def test_a_printed_size_in_another_order_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--facts", little(tmp_path, size="4x30x30"), "-f", "csv"]) == 1
    said = capsys.readouterr()
    assert "printed 4x30x30" in said.err and "height x width x channels: 30x30x4" in said.err
    assert "4x30x30,30x30x4,wrong" in said.out


def test_the_table_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--facts", little(tmp_path), "-o", str(tmp_path / "out.csv")]) == 0
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(ROWS)


@pytest.mark.parametrize(
    "options", [["-f", "md"], ["-o", "out.csv"], ["--facts", "-f", "github"], ["--facts", "-f", "md", "-o", "out.csv"]]
)
def test_options_that_exclude_each_other(options: list[str], tmp_path: Path) -> None:
    assert run(["check", little(tmp_path), *options]) == 2
    assert not Path("out.csv").exists()


def test_a_network_without_printed_numbers_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("netspec: 1\nname: a\ninput: [3, 8, 8]\nbody: [relu]\nexpect: {params: 0}\n", encoding="utf-8")
    assert run(["check", "--facts", str(path), "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["check", "--facts", str(path)]) == 0
    assert capsys.readouterr().out == "no printed numbers\n"


def test_explain_shows_the_facts_of_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = little(tmp_path)
    assert run(["explain", spec, "stem"]) == 0
    out = capsys.readouterr().out
    assert "printed: params 210, misprint: 216 (Somebody 2014, Table 1; 216: 8 x 27; without biases)" in out
    assert "printed: shape 30x30x8, exact: 30x30x8" in out and "30x30x5" not in out
    assert run(["explain", spec, "stem", "--input", "3x16x16"]) == 0
    assert "printed" not in capsys.readouterr().out, "facts are of the spec's own input"


def test_the_arithmetic_of_a_misprint_is_written_out(tmp_path: Path) -> None:
    """GoogLeNet, 3b: of 256 maps 128 1x1, 128 1x1 before 192 3x3, 32 1x1 before 96 5x5, 64 1x1 after the pool."""
    from netspec.check.check_file import checked
    from netspec.diagnostics.errors import Reporter
    from netspec.syntax.library import find

    held = checked(find("googlenet"), Reporter(), variant="googlenet").held
    (found,) = [one for one in held if (one.step, one.measure) == ("3b", "params")]
    product = "2 x (128 x 256) + 192 x 128 x 3 x 3 + 32 x 256 + 96 x 32 x 5 x 5 + 64 x 256"
    assert (found.verdict, found.true) == ("misprint", "379K")
    assert found.arithmetic == f"{product} = 388,096 = 379.0 x 1,024"
    assert eval(product.replace("x", "*")) == 388096


@pytest.mark.slow
def test_explain_says_where_facts_are_too_much_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each row of a scope looks through the graph: so many of them are beyond the limits."""
    steps = [f"  - s{i} = do: [relu, relu, relu, relu]" for i in range(500)]
    rows = [f"    s{i}: {{params: 0}}" for i in range(500)]
    head = ["netspec: 1", "name: big", "input: [3, 8, 8]", "body:"]
    path = tmp_path / "big.yaml"
    path.write_text("\n".join([*head, *steps, "expect:", "  rows:", *rows]) + "\n", encoding="utf-8")
    assert run(["explain", str(path), "s1"]) == 0
    assert "facts are not verified: limit exceeded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("network", "what", "printed", "said"),
    [
        # by hand from Table 1: 15,346.6M in the convolutions of VGG-16, 4,866.3M in those of the full MobileNet
        pytest.param(
            *("vgg_d", "macs", "15300M"),
            "1.0111 of the printed number; in convolutions alone 15,346,630,656, 1.0030 of it",
            marks=pytest.mark.slow,
        ),
        (
            "conv_mobilenet",
            "macs",
            "4866M",
            "in convolutions alone 4,866,269,184, 1.0001 of it, which gives its digits",
        ),
        ("googlenet", "params", "6.8M", "1.0292 of the printed number; without biases 6,990,272, 1.0280 of it"),
        ("resnet18", "depth", "18", ""),
    ],
)
def test_what_differs_is_held_against_other_ways_to_count(network: str, what: str, printed: str, said: str) -> None:
    graph = netspec.load(network).inference
    found = other_counts(what, list(graph.nodes.values()), Printed(printed, Span(Source("paper", ""), 1, 1, 1, 1)))
    assert found.endswith(said) and bool(found) == bool(said)
