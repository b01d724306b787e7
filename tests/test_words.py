"""The field's words in names, messages, comments and docs, in place of those that the code once had of its own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

WORDS = {
    r"[Ff]indings?": "diagnostic, error, warning",
    r"mend(?:s|ed|ing)?": "fix, suggestion",
    r"Mistake|Misfit|(?:class|raise|except) (?:Wrong|Fault)": "SemanticError, ExpressionError, ShapeMismatch",
    r"[Pp]oison(?:s|ed)?|POISON": "error value",
    r"holes?": "placeholder",
    r"traps?": "common mistake",
    r"circle": "cycle",
    r"twins?": "representative",
    r"untangled?": "reduce crossings",
    r"settled": "resolved",
    r"wants?|wanted": "expects, needs, expected",
    r"hangs? on": "depends on",
    r"this is no|(?<![Tt]here )is no (?:number|YAML|list|mapping|text|file|spec|name|expression)": "is not a ...",
    r"here are (?=[\d{])": "got",
    r"in the order of the text": "in source order",
    r"stands? (?:twice|here)": "duplicate, is defined here",
    r"budget is used up": "limit exceeded",
}


def texts() -> list[Path]:
    """The code and the pages, without what is generated of them."""
    code = [path for folder in ("netspec", "backends", "tools") for path in (ROOT / folder).rglob("*.py")]
    return [*code, ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


def test_no_word_of_the_code_s_own_is_used() -> None:
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(f'({word})' for word in WORDS)})(?![\w-])")
    instead = list(WORDS.values())
    found = []
    for path in texts():
        text = path.read_text(encoding="utf-8")
        for match in pattern.finditer(text):
            assert match.lastindex, match
            number = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]!r}, say {instead[match.lastindex - 1]}")
    assert not found, "\n".join(found)
