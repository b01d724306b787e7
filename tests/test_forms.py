"""`tools/dev forms`: what it says of a network, of one that computes something else, and its table on the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from shipped_networks import firsts
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import forms  # noqa: E402


@pytest.mark.slow
def test_a_network_goes_through_all_forms() -> None:
    assert forms.tried("lenet5")["wrong"] == {}


@pytest.mark.slow
def test_what_does_not_go_through_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: nn.Module) -> None:
        raise RuntimeError("no such op")

    monkeypatch.setattr(torch.jit, "script", broken)
    row = forms.tried("lenet5")
    assert row["wrong"] == {"script": "RuntimeError: no such op", "script, training": "RuntimeError: no such op"}
    lines = forms.table([row, {**row, "wrong": {}}]).splitlines()
    assert lines[2].endswith("| 2 | 1 | `lenet5` |") and lines[4].endswith("| 2 | 2 | - |")


def test_other_outputs_are_wrong() -> None:
    given = (torch.ones(2, 3),)
    forms.compare(nn.Identity(), nn.Identity(), given)
    with pytest.raises(AssertionError, match="1.0e-03 apart"):
        forms.compare(nn.Identity(), lambda x: x + 0.001, given)
    with pytest.raises(AssertionError):
        forms.compare(nn.Identity(), lambda x: x[:1], given)


def test_the_page_has_every_family() -> None:
    text = forms.PAGE.read_text(encoding="utf-8").split(forms.BEGIN)[1].split(forms.END)[0]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip() for row in rows] == list(forms.FORMS.values())
    for _, count, through, others in rows:
        named = others.count("`") // 2
        assert int(count) == len(firsts()) and int(through) + named == int(count)
