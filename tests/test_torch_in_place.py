"""Steps that overwrite their operand: only where nothing else reads it; outputs and gradients are those without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from conftest import sampled
from netspec_torch import modules
from torch import nn

import netspec
from netspec.backend import get

HEAD = "netspec: 1\nname: net\ninput: [4, 6, 6]\nbody:\n"
CASES = {
    "after a layer": ("- conv: [4, 1]\n- relu", 1),
    "after the input": ("- relu\n- conv: [4, 1]", 0),
    "after what another step reads too": (
        "- conv: [4, 1]\n- add: {a: [relu, conv: [4, 1]], b: [conv: [4, 1]]}\n- silu",
        2,
    ),
    "after what its gradient needs": ("- sigmoid\n- relu\n- tanh\n- relu", 0),
    "after a view": ("- conv: [4, 1]\n- crop: {offset: [1, 1], size: [4, 4]}\n- relu", 0),
    "a slope below zero": ("- conv: [4, 1]\n- leaky_relu: -0.5", 0),
    "a sum": ("- add: {a: [conv: [4, 1]], b: []}", 1),
    "a sum whose first operand is the input": ("- add: {a: [], b: [conv: [4, 1]]}", 0),
    "a sum of an activation, which its gradient needs": ("- add: {a: [conv: [4, 1], relu], b: []}", 1),
}


def count(text: str) -> int:
    return text.count("inplace=True") + len(re.findall(r" \+= ", text))


@pytest.mark.parametrize("body, expected", CASES.values(), ids=CASES)
def test_what_is_overwritten(body: str, expected: int, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(HEAD + "".join(f"  {line}\n" for line in body.splitlines()), encoding="utf-8")
    assert count(get("torch").source(netspec.load(spec).graph)) == expected


def plain(text: str) -> str:
    """The source without what overwrites."""
    return re.sub(r"(\w+) \+= ", r"\1 = \1 + ", re.sub(r"(, )?inplace=True", "", text))


def gradients(module: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    found = module.train()(x)
    sum(value.square().mean() for value in (found.values() if isinstance(found, dict) else [found])).backward()
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


SMALL = {"resnet20_cifar": 16, "mobilenet_v2": 32, "efficientnet_b0": 32, "densenet121": 32, "darknet53": 32}


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(SMALL, 1))
def test_gradients_are_those_without_it(name: str) -> None:
    net = netspec.load(name, input=[3, SMALL[name], SMALL[name]])
    text = get("torch").source(net.graph)
    assert count(text)
    module = net.to_torch(seed=1, training=True)
    other = modules.classes_of(modules.module_of(plain(text)))[type(module).__name__]()
    other.load_state_dict(module.state_dict())
    x = torch.randn(4, 3, SMALL[name], SMALL[name], generator=torch.Generator().manual_seed(0))
    found, expected = gradients(module, x), gradients(other, x)
    assert list(found) == list(expected) and len(found) == len(list(module.parameters()))
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-4, atol=1e-6), key
