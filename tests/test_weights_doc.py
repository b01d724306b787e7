"""docs/weights.md: its examples are run, with a cache that a server on the loopback address fills."""

from __future__ import annotations

import doctest
import io
import re
import shlex
from pathlib import Path

import pytest
import torch
from hub_server import Hosted, serving
from test_published import picture_of_stripes, spec_of

import netspec
from netspec.cli.main import run

PAGE = (Path(__file__).parent.parent / "docs" / "weights.md").read_text(encoding="utf-8")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> list[tuple[str, str]]:
    """The commands of the page, and what they print."""
    found = []
    for fence in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", fence, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            found.append((command, expected))
    return found


@pytest.mark.slow
def test_the_examples_give_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the network that is downloaded a copy is run whose spec has the sha256 of drawn weights."""
    buffer = io.BytesIO()
    torch.save(netspec.load("squeezenet_11").to_torch().state_dict(), buffer)
    spec = spec_of("squeezenet_11", buffer.getvalue())
    picture_of_stripes().save("cat.png")
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    assert len(examples()) == 9
    with serving() as hub:
        monkeypatch.setenv("NETSPEC_MIRROR", hub.url)
        hub.files["/download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"] = Hosted(buffer.getvalue())
        for command, expected in examples():
            run(shlex.split(command.replace("squeezenet_11", spec))[1:])
            said = capsys.readouterr()
            printed = said.err + said.out
            assert doctest.OutputChecker().check_output(expected, printed, FLAGS), f"{command}\n{printed}"
        code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
        test = doctest.DocTestParser().get_doctest(code.replace("squeezenet_11", spec), {}, "weights.md", "", 0)
        assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0
        assert len(hub.asked) == 1
