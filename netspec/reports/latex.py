"""A table as LaTeX: booktabs, cells of several lines, and characters that pdflatex has with its own fonts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from netspec.reports.stacked import Stacked, signed

_MATHS = {
    "\u2212": "-",
    "\u2194": r"\leftrightarrow",
    "\u21a6": r"\mapsto",
    "\u21d0": r"\Leftarrow",
    "\u21d2": r"\Rightarrow",
    "\u21d4": r"\Leftrightarrow",
    "\u2200": r"\forall",
    "\u2202": r"\partial",
    "\u2203": r"\exists",
    "\u2207": r"\nabla",
    "\u2208": r"\in",
    "\u2209": r"\notin",
    "\u220f": r"\prod",
    "\u2211": r"\sum",
    "\u2218": r"\circ",
    "\u221a": r"\surd",
    "\u221d": r"\propto",
    "\u221e": r"\infty",
    "\u2225": r"\parallel",
    "\u2229": r"\cap",
    "\u222a": r"\cup",
    "\u2248": r"\approx",
    "\u2260": r"\neq",
    "\u2261": r"\equiv",
    "\u2264": r"\leq",
    "\u2265": r"\geq",
    "\u226a": r"\ll",
    "\u226b": r"\gg",
    "\u2282": r"\subset",
    "\u2286": r"\subseteq",
    "\u2295": r"\oplus",
    "\u2297": r"\otimes",
    "\u2299": r"\odot",
    "\u22c5": r"\cdot",
}
_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    **{c: f"${command}$" for c, command in _MATHS.items()},
}
_OWN = re.compile(
    "[ -~\u00a1-\u00aa\u00ac\u00ae-\u00ba\u00bc-\u00cf\u00d1-\u00dd\u00df-\u00ef\u00f1-\u00fd\u00ff-\u0103\u0106-\u010f"
    "\u0112-\u0117\u011a-\u0125\u0128-\u012d\u0130-\u0137\u0139-\u013e\u0141-\u0148\u014c-\u0165\u0168-\u0171\u0174-\u017e"
    "\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u20ac\u2122\u2190-\u2193]"
)
"""What LaTeX has in its own encoding and fonts (ltoutenc.dtx, OT1 and TS1), with UTF-8 as its input encoding."""
_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (\w+)( SYMBOL)?\Z")
_AS_LATIN = {"ALPHA", "BETA", "EPSILON", "ZETA", "ETA", "IOTA", "KAPPA", "MU", "NU", "OMICRON", "RHO", "TAU", "CHI"}
"""Greek capitals that look like Latin ones, for which LaTeX has no command."""
_LATIN = {"ETA": "H", "NU": "N", "RHO": "P", "CHI": "X", "MU": "M"}


def latex_text(text: str) -> str:
    """A text without a command of its own, in one line, with signs and exponents as papers have them."""
    return signed(" ".join(unicodedata.normalize("NFC", text).split()), _escaped, r"$\times$", ("$^{", "}$"))


def _escaped(text: str) -> str:
    """A text in which two hyphens stay two."""
    return "".join(map(_character, text)).replace("--", "-{}-").replace("--", "-{}-")


def _character(char: str) -> str:
    """A character as pdflatex prints it: itself, a command, the letters next to it, or its number, `U+6DF1`."""
    if char in _LATEX or _OWN.match(char):
        return _LATEX.get(char, char)
    kind, _, plain = unicodedata.decomposition(char).partition("> ")
    if kind in ("<super", "<sub") and " " not in plain:
        sign = chr(int(plain, 16))
        if (inside := _MATHS.get(sign, sign)).isascii():
            return f"${'^' if kind == '<super' else '_'}{{{inside}}}$"
    if found := _GREEK.match(unicodedata.name(char, "")):
        return _greek(found[2], small=found[1] == "SMALL")
    near = [c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)]
    if near and near != [char]:
        return "".join(map(_character, near))
    return f"U+{ord(char):04X}"


def _greek(name: str, small: bool) -> str:
    name = "LAMBDA" if name == "LAMDA" else name
    if name == "OMICRON" or (name in _AS_LATIN and not small):
        letter = _LATIN.get(name, name[0])
        return letter.lower() if small else letter
    return f"$\\{name.lower() if small else name.capitalize()}$"


def latex_row(row: str) -> str:
    """A row that LaTeX does not take for an argument of the `\\\\` or rule before it, as it does `[...]` and `*`."""
    return f"{{}}{row}" if row.lstrip().startswith(("[", "*")) else row


def stacked_latex(cell: Stacked) -> str:
    """A cell of nested tabulars, for which LaTeX needs no package, between brackets that grow."""
    rows = []
    for part in cell.parts:
        inside = _tabular([latex_text(line) for line in part.lines])
        after = f"\\,{latex_text(part.after)}" if part.after else ""
        rows.append(f"$\\left[{inside}\\right]${after}" if part.bracketed else f"{latex_text(part.line())}")
    return rows[0] if len(rows) == 1 else _tabular(rows)


def _tabular(rows: Sequence[str]) -> str:
    inside = r" \\ ".join(map(latex_row, rows))
    return rf"\begin{{tabular}}{{@{{}}c@{{}}}}{inside}\end{{tabular}}"


PAGE = 45
"""So many lines stand on a page; a longer table is broken over pages."""
SIZES = ((80, ""), (90, r"\small"), (100, r"\footnotesize"), (118, r"\scriptsize"))
"""Letters in a line of A4 with narrow margins, by size of the font (10pt, 9pt, 8pt, 7pt)."""
SMALLEST = r"\tiny\setlength{\tabcolsep}{2pt}"


@dataclass(frozen=True, slots=True)
class LatexColumn:
    """How many letters wide a column is, whether its texts may be broken, and whether it is aligned on the right."""

    width: int
    broken: bool
    right: bool


def latex_table(columns: Sequence[LatexColumn], head: str, rows: Sequence[str], height: int) -> str:
    """A table that fits a page of A4: with long texts broken, in a smaller font, over pages, as it needs."""
    long = height > PAGE
    for most in (40, 24, 16):
        widths = [min(c.width, most) + 2 if c.broken else c.width + 2 for c in columns]
        total = sum(widths)
        if total <= SIZES[-1][0]:
            break
    size = next((name for letters, name in SIZES if total <= letters), SMALLEST)
    kinds = [
        f"p{{{width / max(total, SIZES[0][0]):.2f}\\linewidth}}" if width - 2 < column.width else "lr"[column.right]
        for column, width in zip(columns, widths, strict=True)
    ]
    name = "longtable" if long else "tabular"
    return "\n".join(
        [
            rf"% \usepackage{{booktabs{',longtable' if long else ''}}}",
            *([f"{{{size}"] if size else []),
            rf"\begin{{{name}}}{{{''.join(kinds)}}}",
            r"\toprule",
            latex_row(head) + r" \\",
            r"\midrule",
            *([r"\endhead"] if long else []),
            *(latex_row(row) + r" \\" for row in rows),
            r"\bottomrule",
            rf"\end{{{name}}}",
            *(["}"] if size else []),
        ]
    )
