"""Draws the pictures of the docs again: `tools/dev pictures`; with a folder as argument, there instead.

The commands stand in the docs themselves: lines `    netspec draw|plot ... -o docs/img/...` are run here. Those of the
gallery, one for each family, are drawn where no folder is given, or with `--gallery`.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import gallery

from netspec.cli import run

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(r"^    netspec ((?:draw|plot) .*-o docs/img/\S+)$", re.MULTILINE)


def commands() -> list[list[str]]:
    """The command lines of all pictures, as the docs show them."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    return [shlex.split(found) for text in texts for found in COMMAND.findall(text)]


def main() -> int:
    """Draws every picture."""
    folders = [arg for arg in sys.argv[1:] if arg != "--gallery"]
    folder = Path(folders[0]).resolve() if folders else ROOT / "docs" / "img"
    bad = 0
    for command in commands():
        target = folder / Path(command.pop()).relative_to("docs/img")
        target.parent.mkdir(parents=True, exist_ok=True)
        bad += run([*command, str(target), "-q"]) != 0
    if not folders or "--gallery" in sys.argv:
        gallery.pictures(folder / "gallery")
    return 1 if bad else 0


if __name__ == "__main__":
    import os

    os.chdir(ROOT)
    sys.exit(main())
