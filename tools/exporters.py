"""PyTorch's two ONNX exporters on plain networks, by netspec's names: what `tools/dev bench` times netspec against."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

TESTS = Path(__file__).resolve().parent.parent / "tests"


@dataclass(frozen=True)
class Exported:
    """A network as it is exported, with random weights."""

    title: str
    make: Callable[[], nn.Module]
    size: int = field(default=224)
    """Of its square input."""


def _torchvision(name: str, **options: object) -> nn.Module:
    sys.path.insert(0, str(TESTS))
    from conftest import import_torchvision

    made: nn.Module = getattr(import_torchvision().models, name)(weights=None, **options)
    return made


def _resnet_1202() -> nn.Module:
    """torchvision has none: the plain module that the tests compare with."""
    sys.path.insert(0, str(TESTS))
    from reference.resnet_cifar import CifarResNet

    return CifarResNet(200)


_HEADLESS = {"aux_logits": False, "init_weights": False, "transform_input": False}
NETWORKS = {
    "googlenet": Exported("GoogLeNet", partial(_torchvision, "googlenet", **_HEADLESS)),
    "resnet50": Exported("ResNet-50", partial(_torchvision, "resnet50")),
    "densenet121": Exported("DenseNet-121", partial(_torchvision, "densenet121")),
    "inception_v3": Exported("Inception v3", partial(_torchvision, "inception_v3", **_HEADLESS), 299),
    "efficientnet_b0": Exported("EfficientNet-B0", partial(_torchvision, "efficientnet_b0")),
    "mobilenet_v2": Exported("MobileNetV2", partial(_torchvision, "mobilenet_v2")),
    "resnet1202_cifar": Exported("ResNet-1202", _resnet_1202, 32),
}


def export(dynamo: bool, name: str, target: str) -> None:
    """Exports a network for inference with a free batch size."""
    import torch

    network = NETWORKS[name]
    model = network.make().eval()
    image = torch.zeros(2, 3, network.size, network.size)
    if dynamo:
        torch.onnx.export(model, (image,), target, dynamo=True, dynamic_shapes=({0: torch.export.Dim("N")},))
    else:
        torch.onnx.export(model, (image,), target, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "N"}})
