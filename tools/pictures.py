"""Draws the pictures of the docs again: `tools/dev pictures`; with a folder as argument, there instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NETSPEC = Path(sys.executable).with_name("netspec")

PICTURES = {
    "inception.svg": ["draw", "specs/blocks/inception.yaml:inception"],
}


def main() -> None:
    """Draws every picture."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "docs" / "img"
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in PICTURES.items():
        subprocess.run([NETSPEC, *command, "-o", folder / name], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
