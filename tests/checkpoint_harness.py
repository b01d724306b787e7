"""Checkpoints of other libraries, and the rules that a complaint prints."""

from __future__ import annotations

import re
from typing import Any

import torch
from test_checkpoints import model

from netspec.diagnostics.errors import DataError

State = dict[str, torch.Tensor]


def drawn_state(torchvision: Any, name: str) -> State:
    """A state of a library's model in which every tensor has values of its own."""
    with torch.device("meta"):
        theirs = model(torchvision, name)
    found = {}
    for number, (key, value) in enumerate(theirs.state_dict().items()):
        found[key] = torch.full(value.shape, number + 0.5) if value.is_floating_point() else torch.tensor(0)
    return found


def printed(error: DataError) -> list[str]:
    return re.findall(r"^ +(- \{from: .*\})$", str(error), re.MULTILINE)
