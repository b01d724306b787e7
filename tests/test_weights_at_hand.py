"""`weights=` as a state dict, a mapping that holds one, arrays or a module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics.errors import DataError, UsageError

SPEC = """\
netspec: 1
name: small
input: [3, 8, 8]
body:
  - stem = conv: [8, 3]
  - flatten
  - fc = linear: 4
"""


@pytest.mark.slow
def test_weights_are_a_state_dict_or_a_module(folder: Path) -> None:
    Path("small.yaml").write_text(SPEC)
    network = netspec.load("small.yaml")
    module = network.to_torch(seed=3)
    state = module.state_dict()
    for given in (module, state, {"model": state, "step": 3}, {k: v.numpy() for k, v in state.items()}):
        found = network.arrays(weights=given)
        assert all(np.array_equal(found[key], value.numpy()) for key, value in state.items())
    half = network.arrays(weights={key: value.bfloat16() for key, value in state.items()})
    assert all(np.array_equal(half[key], value.bfloat16().float().numpy()) for key, value in state.items())
    copied, before = network.to_torch(weights=module), {key: value.clone() for key, value in state.items()}
    with torch.no_grad():
        for own in module.parameters():
            own.add_(1)
    assert all(torch.equal(copied.state_dict()[key], value) for key, value in before.items())
    with pytest.raises(UsageError, match="weights=int holds no tensors by name"):
        network.arrays(weights=3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="missing in the file"):
        network.arrays(weights={"stem.weight": state["stem.weight"]})
    network.to_onnx("made.onnx", weights=state)
    assert netspec.Session("made.onnx").name == "made"
