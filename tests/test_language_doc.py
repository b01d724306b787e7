"""docs/language.md: every example compiles to what it says, or fails as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from spec_harness import verify

DOC = Path(__file__).parent.parent / "docs" / "language.md"
HEAD = "netspec: 1\nname: example\nuse: [blocks/common{more}]\ninput: [64, 56, 56]\nbody:\n"
EXAMPLES = [
    (DOC.read_text(encoding="utf-8")[: m.start()].count("\n") + 2, m[1])
    for m in re.finditer(r"^```yaml\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]


def whole(example: str) -> str:
    """A list of steps as the body of a document."""
    if not example.startswith("-"):
        return example
    more = "".join(f", {name}" for name in re.findall(r"^# use: (\S+)", example, re.MULTILINE))
    return HEAD.format(more=more) + "".join(
        f"  {line}\n" for line in example.splitlines() if not line.startswith("# use")
    )


@pytest.mark.parametrize(("line", "example"), EXAMPLES, ids=[f"line{n}" for n, _ in EXAMPLES])
def test_example(line: int, example: str, tmp_path: Path) -> None:
    for _, other in EXAMPLES:
        if named := re.match(r"# file: (\S+)", other):
            (tmp_path / named[1]).write_text(other, encoding="utf-8")
    path = tmp_path / "example.yaml"
    path.write_text(whole(example), encoding="utf-8")
    verify(path)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 30
