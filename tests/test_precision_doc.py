"""docs/precision.md: its example is run, and the table of what was run agrees with the presets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from netspec_onnx.presets import PRESETS, SMALLER

from netspec.cli.main import run

PAGE = (Path(__file__).parent.parent / "docs" / "precision.md").read_text(encoding="utf-8")


def fences(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text)]


@pytest.mark.slow
def test_the_example_gives_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Word for word but for the decibels, of which processors differ by a tenth or two."""
    Path("small.yaml").write_text(fences("yaml")[0])
    exec(compile(fences("python")[0], "docs/precision.md", "exec"), {})
    first, second = fences("console")
    command, _, expected = first.partition("\n")
    assert run(shlex.split(command)[2:]) == 0
    said = capsys.readouterr()
    printed = said.err + said.out
    assert re.sub(r"[\d.]+", "0", " ".join(printed.split())) == re.sub(r"[\d.]+", "0", " ".join(expected.split()))
    assert numbers(printed) == pytest.approx(numbers(expected), abs=0.3)
    assert run(shlex.split(second)[2:]) == 0
    assert Path("small.csv").read_text().startswith("step,op,dtype,snr,centred\nstem.conv,conv,float32,,\n")


def test_a_preset_has_the_types_that_were_run_there() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    named = {name: at for at, preset in PRESETS.items() for name in (at, preset.reads)}
    found = {row[0].lower(): row[1:] for row in rows if row[0].lower() in named and len(row) == 4}
    assert {named[name] for name in found} == {*PRESETS} - {"tensorrt"}
    for name, cells in found.items():
        ran = tuple(d for d, cell in zip(("float16", "bfloat16", "int8"), cells, strict=True) if "refused" not in cell)
        assert PRESETS[named[name]].dtypes == ran


def test_a_preset_says_of_each_type_whether_or_why_not() -> None:
    for preset in PRESETS.values():
        assert preset.lacks.keys() <= set(SMALLER) and all(preset.lacks.values())
        assert set(preset.dtypes) == set(SMALLER) - preset.lacks.keys()
