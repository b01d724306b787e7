"""LaTeX of tables: every character is one that pdflatex has, long texts break, long tables go over pages.

What pdflatex has is what the LaTeX2e kernel of 2023 printed of each character of Unicode's blocks without an error,
in its own encoding OT1 and fonts; `test_tables_compile` asks pdflatex itself where it is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from netspec.reports.latex import latex_text
from netspec.reports.table import Column, Table, number

HOSTILE = (
    "_ % & # $ ~ ^ \\ { } < > | ' \" ` × ÷ ² ³ ⁻ ₂ ½ → ⇒ ↦ – — “q” «q» ‹q› é ą đ ð þ ŋ Łódź ễ μ Ω Φ Λ ο"
    " ≤ ≥ ≈ ≠ ∞ ∑ √ ⊕ ✓ 深 ﬁ \u200b \U0001f600 -- --- [x] *y* \\input{/etc/passwd} $x$"
)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b % c & d # e $ f", r"a\_b \% c \& d \# e \$ f"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("k² → é", "k² → é"),
        ("x₂ 10⁻⁶", r"x$_{2}$ 10$^{-}$$^{6}$"),
        ("ε = 2μ, Ω, Α, ο", r"$\epsilon$ = 2$\mu$, $\Omega$, A, o"),
        ("a ≤ b − c", r"a $\leq$ b $-$ c"),
        ("«ą» ﬁ", "U+00ABaU+00BB fi"),
        ("深", "U+6DF1"),
        ("--rows", "-{}-rows"),
        ("e\u0301", "é"),
    ],
)
def test_a_character_is_one_that_pdflatex_has(text: str, latex: str) -> None:
    assert latex_text(text) == latex


def test_a_long_text_breaks_and_a_short_one_does_not() -> None:
    table = Table([Column("a", "a"), Column("why", "why")], [{"a": "short", "why": "a long reason " * 20}])
    spec = re.search(r"\\begin\{tabular\}\{l(p\{(0\.\d+)\\linewidth\})\}", table.render("latex"))
    assert spec and 0.3 < float(spec[2]) < 0.9


def test_many_columns_are_in_small_letters_within_a_group() -> None:
    columns = [number(str(i), f"column {i}") for i in range(16)]
    lines = Table(columns, [{str(i): 10**9 for i in range(16)}]).render("latex").splitlines()
    assert lines[1].startswith(r"{\tiny") and lines[-1] == "}"


def test_a_table_of_more_than_a_page_is_a_longtable() -> None:
    short, long = (
        Table([Column("a", "a")], [{"a": str(i)} for i in range(count)]).render("latex") for count in (9, 90)
    )
    assert short.startswith("% \\usepackage{booktabs}\n\\begin{tabular}")
    assert long.startswith("% \\usepackage{booktabs,longtable}\n\\begin{longtable}") and r"\endhead" in long


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("count", [2, 90])
def test_tables_compile(count: int, tmp_path: Path) -> None:
    columns = [Column("a", HOSTILE), number("n", "n"), Column("why", "why")]
    body = Table(columns, [{"a": HOSTILE, "n": i, "why": HOSTILE * 3} for i in range(count)]).render("latex")
    head = "\\documentclass{article}\\usepackage[a4paper,margin=2cm]{geometry}\\usepackage{booktabs,longtable}"
    (tmp_path / "t.tex").write_text(f"{head}\n\\begin{{document}}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    too_wide = re.findall(rb"Overfull \\hbox \((\d+)", done.stdout)
    assert all(int(points) < 50 for points in too_wide), too_wide
