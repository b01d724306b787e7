"""What is said of the body of a spec."""

from __future__ import annotations

from pathlib import Path

from mutations import errors

from netspec.diagnostics.errors import Diagnostic

CASES = Path(__file__).parent / "cases"


def said(text: str, folder: Path) -> Diagnostic:
    """The one error of a text."""
    found = errors(text, folder)
    assert len(found) == 1, "\n".join(f"{d} | {d.help}" for d in found)
    return found[0]


def body(*steps: str, head: str = "input: [16, 32, 32]\n") -> str:
    return f"netspec: 1\nname: t\n{head}body:\n" + "".join(f"  - {step}\n" for step in steps)
