"""Weights of torchvision and timm both ways, and training with them: gradients and a step as theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import TARGETS, images, network, randomise, smaller, torch_run
from test_checkpoints import CHECKPOINTS, OPTIONS, model
from torch import nn

from netspec.network import Network
from netspec.weights.checkpoints.account import IGNORED, Target
from netspec.weights.checkpoints.choose import choose
from netspec.weights.checkpoints.sets import rule_sets
from netspec.weights.checkpoints.stored import State, Stored

TRAINED = ["resnet18", "squeezenet_11", "densenet121", "mobilenet_v2", "regnet_y_400mf"]


def their_keys(net: Network, theirs: nn.Module) -> Mapping[str, str]:
    """The name of each of our tensors in their state dict; strict: none of theirs is without a place in ours."""
    graph = net.stored(True)
    tensors = {key: Stored.of(value.numpy()) for key, value in theirs.state_dict().items()}
    choice, _ = choose([State((), tensors)], Target.of(graph, net.whole), rule_sets(net), None)
    assert not choice.account.problems and not choice.account.left and not choice.account.aside
    return choice.account.keys


def full(variant: str) -> list[pytest.MarkDecorator]:
    """One is slow; all others are left to --full-size."""
    return [pytest.mark.slow, *([pytest.mark.full] if variant != "squeezenet_11" else [])]


@pytest.mark.parametrize("variant", [pytest.param(v, marks=full(v)) for v in CHECKPOINTS])
def test_weights_go_into_ours_and_back_into_a_model_of_theirs(torchvision: ModuleType, variant: str) -> None:
    """Both ways with nothing missing and nothing left over, and all three give the same, in float64."""
    size = smaller(variant, TARGETS[variant]["input"], **OPTIONS.get(variant, {}))
    theirs = randomise(model(torchvision, CHECKPOINTS[variant]), size, 0)
    net = network(variant, input=size, **OPTIONS.get(variant, {}))
    keys, own = their_keys(net, theirs), net.arrays(weights=theirs, training=True)
    assert keys.keys() == own.keys()
    before = theirs.state_dict()
    back = {key: torch.from_numpy(own[path]).reshape(before[key].shape) for path, key in keys.items()}
    back |= {key: value for key, value in before.items() if key.endswith(IGNORED)}
    back = OrderedDict(back)
    back._metadata = before._metadata  # type: ignore[attr-defined]  # MNASNet reads its version there
    again = model(torchvision, CHECKPOINTS[variant])
    again.load_state_dict(back, strict=True)
    assert all(torch.equal(value, before[key]) for key, value in again.state_dict().items())
    del before, back
    x = images(size, 2, 5).astype(np.float64)
    first = torch_run(theirs.double().eval(), x)
    del theirs  # RegNetY-128GF has 644 million parameters: one module in float64 at a time
    second = torch_run(again.double().eval(), x)
    del again
    third = torch_run(net.to_torch(weights=own).double().eval(), x)
    assert np.array_equal(first, second) and np.abs(first[0] - first[1]).max() > 0
    assert np.abs(first - third).max() <= 1e-8 * np.abs(first).max()


def without_chance(module: nn.Module) -> nn.Module:
    """A module in train mode and float64 whose dropout drops nothing."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return module.double().train()


@pytest.mark.parametrize("variant", [pytest.param(v, marks=full(v)) for v in TRAINED])
def test_gradients_and_a_step_of_training_are_theirs(torchvision: ModuleType, variant: str) -> None:
    """Outputs in train mode without dropout, every gradient, and every tensor after a step of SGD, in float64."""
    theirs = model(torchvision, CHECKPOINTS[variant])
    net = network(variant, input=(3, 64, 64))
    keys, own = their_keys(net, theirs), net.arrays(seed=3, training=True)
    state = {key: torch.from_numpy(own[path]) for path, key in keys.items()}
    theirs.load_state_dict(state, strict=False)
    ours = without_chance(net.to_torch(training=True, weights=state))
    without_chance(theirs)
    x = torch.from_numpy(images((3, 64, 64), 4, 5)).double() / 4
    labels = torch.tensor([1, 20, 300, 999])
    outputs = []
    for module in (theirs, ours):
        step = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        output = module(x)
        outputs.append(output.detach().numpy())
        nn.functional.cross_entropy(output, labels).backward()
        step.step()
    agreement(*outputs, tol=1e-9)
    gradients = [{key: p.grad for key, p in module.named_parameters()} for module in (theirs, ours)]
    assert len(gradients[0]) == len(gradients[1]) > 20
    after = [module.state_dict() for module in (theirs, ours)]
    moved = 0
    for path, key in keys.items():
        for found in [gradients, after] if path in gradients[1] else [after]:
            one, other = found[0][key], found[1][path]
            assert one is not None and other is not None
            assert float((one - other).abs().max()) <= 1e-8 * max(1e-3, float(one.abs().max())), path
        moved += not np.array_equal(after[1][path].numpy(), own[path].astype(np.float64))
    assert moved == len(keys)
