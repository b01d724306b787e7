"""Small inputs that failed once, whose code, place and help every command must show."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutations import errors

CASES = Path(__file__).parent / "cases"

EXPECTED = {
    "input_name_crash": [("NS205", 1, 43, "such as 'x_'")],
    "input_key_misspelt": [("NS111", 3, 13, "did you mean 'shape'?")],
    "only_step_is_wrong": [("NS205", 5, 5, "such as 'a_b'")],
    "library_with_wrong_example": [
        ("NS112", 1, 1, "a spec begins with `netspec: 1`"),
        ("NS110", 3, 11, ""),
        ("NS112", 5, 7, ""),
    ],
    "slow_repeat_empty": [("NS110", 5, 8, "")],
}


@pytest.mark.parametrize("case", EXPECTED)
def test_errors_of_a_case(case: str, tmp_path: Path) -> None:
    found = errors((CASES / f"{case}.yaml").read_text(encoding="utf-8"), tmp_path)
    assert [(d.code, d.span and (d.span.line, d.span.col)) for d in found] == [
        (code, (line, col)) for code, line, col, _ in EXPECTED[case]
    ]
    assert all(help_ in d.help for d, (*_, help_) in zip(found, EXPECTED[case], strict=True))
