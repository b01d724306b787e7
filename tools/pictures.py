"""Draws the pictures of the docs again: `tools/dev pictures`; with a folder as argument, there instead.

Those of the gallery, one for each family, are drawn where no folder is given, or with `--gallery`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gallery

ROOT = Path(__file__).resolve().parent.parent
NETSPEC = Path(sys.executable).with_name("netspec")

PICTURES = {
    "inception.svg": ["draw", "specs/blocks/inception.yaml:inception"],
}


def main() -> None:
    """Draws every picture."""
    folders = [arg for arg in sys.argv[1:] if arg != "--gallery"]
    folder = Path(folders[0]).resolve() if folders else ROOT / "docs" / "img"
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in PICTURES.items():
        subprocess.run([NETSPEC, *command, "-o", folder / name], cwd=ROOT, check=True)
    if not folders or "--gallery" in sys.argv:
        gallery.pictures(folder / "gallery")


if __name__ == "__main__":
    main()
