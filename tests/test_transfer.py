"""Transfer of the first n layers: which weights come from a file, which are trained (Yosinski et al. 2014)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import netspec
from netspec.diagnostics.errors import DataError, UsageError
from netspec.ir.selection import keys_of

pytestmark = pytest.mark.slow

LAYERS = ["net.conv1", "net.conv2", "net.conv3", "net.conv4", "net.conv5", "fc6", "fc7", "fc8"]
# trained parameters of the 8-layer network when the first n are frozen, by the number of classes
TRAINED = {
    500: [58916724, 58881780, 58574324, 57689204, 57025268, 56582644, 18829812, 2048500],
    449: [58707777, 58672833, 58365377, 57480257, 56816321, 56373697, 18620865, 1839553],
    551: [59125671, 59090727, 58783271, 57898151, 57234215, 56791591, 19038759, 2257447],
    1000: [60965224, 60930280, 60622824, 59737704, 59073768, 58631144, 20878312, 4097000],
}


def trained(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.slow
@pytest.mark.parametrize("classes", TRAINED)
def test_the_first_n_layers_of_alexnet_are_frozen(classes: int) -> None:
    net = netspec.load("alexnet", classes=classes)
    assert trained(net.to_torch(freeze=LAYERS[:6])) == TRAINED[classes][6]
    sizes = {key: math.prod(map(int, shape)) for key, (shape, _, _) in net.graph.tensors().items()}
    for n, left in enumerate(TRAINED[classes]):
        assert sum(sizes.values()) - sum(sizes[key] for key in keys_of(net.graph, LAYERS[:n])) == left


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the network on other classes, A."""
    path = tmp_path_factory.mktemp("transfer") / "a.safetensors"
    save_file(netspec.load("lenet5", classes=7).arrays(seed=5), path)
    return path


@pytest.mark.parametrize("frozen", [False, True], ids=["AnB+", "AnB"])
def test_n_layers_come_from_another_network(base: Path, frozen: bool) -> None:
    net, first = netspec.load("lenet5"), ["c1", "c3"]
    module = net.to_torch(weights=base, layers=first, freeze=first if frozen else ())
    other, own = netspec.load("lenet5", classes=7).arrays(seed=5), net.arrays()
    for key, value in module.state_dict().items():
        source = other if key.split(".")[0] in first else own
        assert np.array_equal(value.numpy(), source[key]), key
    assert trained(module) == 61706 - (156 + 2416 if frozen else 0)
    module(torch.randn(2, 1, 32, 32)).sum().backward()
    assert (module.c1.weight.grad is None) == frozen and module.f6.weight.grad is not None


def test_what_is_not_there_is_named(base: Path) -> None:
    net = netspec.load("lenet5")
    with pytest.raises(UsageError, match="no step 'conv1' with weights"):
        net.to_torch(freeze=["conv1"])
    with pytest.raises(DataError, match="output.weight"):
        net.to_torch(weights=base)  # its output has 7 classes
    with pytest.raises(DataError, match="output.weight"):
        net.to_torch(weights=base, layers=["output"])
