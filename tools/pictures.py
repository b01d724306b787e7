"""Draws the pictures of the docs again: `tools/dev pictures`; or into a folder, those of the kinds that are named.

The commands stand in the docs themselves: lines `    netspec draw|plot ... -o docs/img/...` are run here. The kinds are
`draw`, `plot` and `gallery`, which is a picture of each family; without a kind it is all of them.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import gallery

from netspec.cli.main import run

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(r"^    netspec ((?:draw|plot) .*-o docs/img/\S+)$", re.MULTILINE)


def commands() -> list[list[str]]:
    """The command lines of all pictures, as the docs show them."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    return [shlex.split(found) for text in texts for found in COMMAND.findall(text)]


def main() -> int:
    """Draws every picture."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "docs" / "img"
    kinds = sys.argv[2:] or ["draw", "plot", "gallery"]
    bad = 0
    for command in commands():
        if command[0] not in kinds:
            continue
        target = folder / Path(command.pop()).relative_to("docs/img")
        target.parent.mkdir(parents=True, exist_ok=True)
        bad += run([*command, str(target), "-q"]) != 0
    if "gallery" in kinds:
        gallery.pictures(folder / "gallery")
    return 1 if bad else 0


if __name__ == "__main__":
    import os

    os.chdir(ROOT)
    sys.exit(main())
