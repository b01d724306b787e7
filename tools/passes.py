"""Proves every pass on every shipped spec that it changes, at small inputs; or on the networks that are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = "tests/test_passes_of_specs.py"
TEST = f"{FILE}::test_every_spec_computes_the_same_after_every_pass_that_changes_it"


def main() -> int:
    """Runs the tests; gives their exit status."""
    tests = [f"{TEST}[{name}]" for name in sys.argv[1:]] or [FILE]
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "--slow", "--full-size", *tests], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
