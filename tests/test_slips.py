"""What newcomers type: one error each, whose help fixes it when it is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from mutations import errors

SLIPS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "slips.yaml").read_text(encoding="utf-8"))


def document(text: str, slip: dict[str, Any]) -> str:
    if text.startswith("netspec: 1"):
        return text
    params = "params: {width: 8}\n" if "params" in slip else ""
    indented = "".join(f"  {line}\n" for line in text.split("\n"))
    return f"netspec: 1\nname: t\n{params}input: [3, 32, 32]\nbody:\n{indented}"


@pytest.mark.parametrize("slip", SLIPS, ids=lambda s: s["slip"].replace("\n", " / ")[-60:])
@pytest.mark.quick(25)
def test_a_slip(slip: dict[str, Any], tmp_path: Path) -> None:
    found = errors(document(slip["slip"], slip), tmp_path)
    said = "\n".join(f"{d} | {d.help}" for d in found)
    assert len(found) == 1, said
    assert slip["help"] in found[0].help, said
    assert found[0].span is not None and found[0].span.line > 1, said
    left = errors(document(slip["fixed"], slip), tmp_path)
    assert not left, "\n".join(map(str, left))


def test_there_are_enough() -> None:
    assert len(SLIPS) >= 60
