"""What the tests of pages share: the commands of a page, run, and what they print."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

from run_harness import Netspec


def run_page(page: str, netspec: Netspec) -> int:
    """Writes the specs of a page, runs its commands, and asserts that they print what it says; gives their number."""
    for name, text in re.findall(r"^```yaml\n# (\w+\.yaml)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        Path(name).write_text(text, encoding="utf-8")
    commands = re.findall(r"^\$ netspec (.*)\n((?:(?!```|\$ ).*\n)*)", page, re.MULTILINE)
    for line, expected in commands:
        _, out, err = netspec(*shlex.split(line))
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        printed = (out + err).strip() or "\n"
        assert doctest.OutputChecker().check_output(expected.rstrip() or "\n", printed, flags), printed
    return len(commands)
