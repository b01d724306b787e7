"""A table says the same in all of its forms, whatever its cells hold, and a text fits the terminal."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminal_harness import shown_on

from netspec.cli.tables import write_table
from netspec.reports.stacked import Part, Stacked
from netspec.reports.table import FORMS, Cell, Column, Form, Table, digits, number

HOSTILE = "a|b *c* _d_ `e` <script>&amp;\\end{tabular} $x$ 50% #1 [l](u)"
ROWS: list[dict[str, Cell]] = [
    {"name": HOSTILE, "count": 6998552, "ratio": 0.11306, "shape": ("N", 64, 56, 56)},
    {"name": "007", "count": 0, "ratio": None, "shape": None},
]
TABLE = Table(
    [Column("name", "Name | x"), number("count", "count"), number("ratio", "ratio"), Column("shape", "shape", True)],
    ROWS,
    "The *title*",
    {"name": "total", "count": 6998552},
    ["a note"],
)


def test_csv_and_json_hold_the_values() -> None:
    (first, second) = csv.DictReader(io.StringIO(TABLE.render("csv")))
    assert first == {"name": HOSTILE, "count": "6998552", "ratio": "0.11306", "shape": "Nx64x56x56"}
    assert second == {"name": "007", "count": "0", "ratio": "", "shape": ""}
    assert json.loads(TABLE.render("json")) == [
        {**ROWS[0], "shape": ["N", 64, 56, 56]},
        {"name": "007", "count": 0, "ratio": None, "shape": None},
    ]


def test_html_and_markdown_show_cells_as_they_are_written() -> None:
    class Cells(html.parser.HTMLParser):
        found: list[str] = []
        tags: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            self.found += [""] * (tag in ("td", "th"))

        def handle_data(self, data: str) -> None:
            if self.found:
                self.found[-1] += data

    cells = Cells()
    cells.feed(TABLE.render("html"))
    assert cells.tags == {"table", "thead", "tbody", "tr", "td", "th"}
    shown = ["Name | x", "count", "ratio", "shape", HOSTILE, "6,998,552", "0.113", "Nx64x56x56", "007", "0"]
    assert [cell.strip().replace("×", "x") for cell in cells.found][:10] == shown
    rendered = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table").render(TABLE.render("md"))
    marked = Cells()
    marked.found, marked.tags = [], set()
    marked.feed(rendered)
    assert [cell.strip().partition("\n")[0] for cell in marked.found][:10] == shown
    assert not marked.tags & {"em", "code", "script", "a"}


def test_latex_has_no_commands_but_its_own() -> None:
    text = TABLE.render("latex")
    assert text.count("\\end{tabular}") == 1 and text.count("\\toprule") == 1
    (line,) = [line.replace(r"$\times$", "x") for line in text.splitlines() if "script" in line]
    assert len(re.findall(r"(?<!\\)&", line)) == 3 and not re.search(r"(?<!\\)[$#%]", line)


@pytest.mark.parametrize(
    ("text", "latex", "page"),
    [
        ("3.8x10^9", r"3.8$\times$10$^{9}$", "3.8×10<sup>9</sup>"),
        ("Nx64x7x7", r"N$\times$64$\times$7$\times$7", "N×64×7×7"),
        ("112x112x64", r"112$\times$112$\times$64", "112×112×64"),
        ("[1x1, 64] x 3", r"[1$\times$1, 64] $\times$ 3", "[1×1, 64] × 3"),
        ("resnext50_32x4d", r"resnext50\_32x4d", "resnext50_32x4d"),
        ("a^b <1x1>", r"a\textasciicircum{}b \textless{}1$\times$1\textgreater{}", "a^b &lt;1×1&gt;"),
    ],
)
def test_signs_are_the_same_in_every_kind_of_cell(text: str, latex: str, page: str) -> None:
    one = Table([Column("a", "a")], [{"a": text}])
    assert latex in one.render("latex") and page in one.render("html")
    lines = Table([Column("a", "a")], [{"a": Stacked((Part((text,)),))}])
    assert latex in lines.render("latex") and page in lines.render("html")


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_text_fits_a_terminal(width: int) -> None:
    lines = TABLE.render("text", width).splitlines()
    assert max(map(len, lines)) <= width
    assert "6,998,552" in "".join(lines) and lines[-1] == "a note"


def test_a_text_for_a_file_has_a_line_for_each_row() -> None:
    lines = [line for line in TABLE.render("text").splitlines() if line.strip()]
    assert len(lines) == 7 and sum(HOSTILE in line for line in lines) == 1


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_table_is_one(form: Form) -> None:
    assert Table([Column("name", "name")], []).render(form) is not None


@pytest.mark.parametrize(
    "value, text",
    [
        (0.11306, "0.113"),
        (2.5794, "2.58"),
        (1582.67, "1,583"),
        (0.0, "0"),
        (-0.00012345, "-0.000123"),
        (9.996, "10.0"),
        (0.9996, "1.00"),
        (999.6, "1,000"),
        (1e-6, "0.00000100"),
        (1.5e-7, "1.50e-07"),
        (1e-300, "1.00e-300"),
        (-1e300, "-1.00e+300"),
    ],
)
def test_measures_have_three_digits(value: float, text: str) -> None:
    assert digits(value) == text


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_is_no_formula_in_a_spreadsheet(text: str) -> None:
    columns = [Column("name", "name"), Column("=key", "key"), number("ratio", "ratio")]
    rows = list(csv.reader(io.StringIO(Table(columns, [{"name": text, "=key": "-5", "ratio": -0.5}]).render("csv"))))
    assert rows == [["name", "'=key", "ratio"], ["'" + text.replace("\r", "\n"), "-5", "-0.5"]]


def test_markdown_has_no_formulas() -> None:
    assert r"\$x\$" in TABLE.render("md")


@pytest.mark.parametrize("text", ["[C3] block", "*new*", "[1x1, 64] x 3"])
def test_latex_takes_no_row_for_an_argument_of_the_line_before(text: str) -> None:
    cell = Stacked((Part(("3x3, 8",)), Part((text,)), Part((text, text), " x 2")))
    table = Table(
        [Column("a", text), Column("b", "b")], [{"a": text, "b": cell}, {"a": text, "b": "x"}], footer={"a": text}
    )
    latex = table.render("latex")
    assert not re.search(r"(\\\\|\\(top|mid|bottom)rule)\s*[\[*]", latex)
    assert latex.count("{}" + text[0]) >= 6


STACKED = Stacked((Part(("3x3 max pool, stride 2",)), Part(("1x1, 64", "3x3, 64", "<b>1x1 & 256|"), " x 3")))


def test_a_cell_of_several_lines_says_the_same_in_every_form() -> None:
    table = Table([Column("stage", "stage"), Column("net", "net")], [{"stage": "conv2_x", "net": STACKED}])
    line = "3x3 max pool, stride 2; [1x1, 64; 3x3, 64; <b>1x1 & 256|] x 3"
    assert line in table.render("text") and line in table.render("csv")
    assert json.loads(table.render("json"))[0]["net"] == line.split("; ", 1)
    assert "<br>\\[1x1, 64<br>3x3, 64<br>\\<b\\>1x1 \\& 256\\|\\] x 3 |" in table.render("md")
    page = table.render("html")
    assert "3\u00d73, 64<br>&lt;b&gt;1\u00d71 &amp; 256|</span> \u00d7 3</td>" in page and "<b>" not in page
    latex = table.render("latex")
    assert r"\left[\begin{tabular}{@{}c@{}}1$\times$1, 64 \\ 3$\times$3, 64 \\ \textless{}b" in latex
    assert r"\end{tabular}\right]$\,$\times$ 3" in latex and latex.count(r"\begin{") == latex.count(r"\end{") == 3


def test_a_cell_of_several_lines_is_stacked_where_a_terminal_is_narrow() -> None:
    table = Table([Column("stage", "stage"), Column("net", "net")], [{"stage": "conv2_x", "net": STACKED}])
    lines = [line.strip() for line in table.render("text", 50).splitlines()]
    assert max(map(len, lines)) <= 50
    assert any(line.endswith("\u23a23x3, 64      \u23a5 x 3") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("environ, styled", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_has_styles_and_no_other_commands(environ: dict[str, str], styled: bool, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    spec = tmp_path / "bell.yaml"
    spec.write_text(
        'netspec: 1\nname: bell\ntitle: "red \\e[31m bell \\a"\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 3]\n'
    )
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "netspec", "summary", str(spec)],
        stdout=child,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "70", **environ},
    ) as process:
        os.close(child)
        said = shown_on(parent)
        assert process.wait(timeout=60) == 0
    os.close(parent)
    text = said.decode()
    assert ("\x1b[1m" in text) == styled
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in plain and "\a" not in plain
    assert plain.count("\\x1b") == 1 and r"red \x1b[31m bell \x07" in plain
    assert "112" in plain and max(map(len, plain.splitlines())) <= 70


def test_a_terminal_gets_a_bold_head_and_no_codes_of_a_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write_table(Table([Column("name", "name")], [{"name": "a\x1b[2Jb ::error"}]), "text")
    printed = capsys.readouterr().out
    assert "\x1b[1mname" in printed and "\\x1b[2J" in printed
    assert not re.search(r"\x1b(?!\[[01]m)", printed)
