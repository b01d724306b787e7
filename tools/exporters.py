"""PyTorch's two ONNX exporters on plain networks, by netspec's names: what `tools/dev bench` times netspec against."""

from __future__ import annotations

import importlib
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
    make: Callable[..., nn.Module]
    size: int = field(default=224)
    """Of its square input."""


def torchvision_module(name: str, **options: object) -> nn.Module:
    """A classifier of torchvision, without trained weights."""
    sys.path.insert(0, str(TESTS))
    from conftest import import_torchvision

    made: nn.Module = getattr(import_torchvision().models, name)(weights=None, **options)
    return made


def _timm(name: str) -> nn.Module:
    torchvision_module("squeezenet1_1")  # timm imports torchvision, which may need what conftest declares
    made: nn.Module = importlib.import_module("timm").create_model(name, pretrained=False)
    return made


def _resnet_1202() -> nn.Module:
    """torchvision has none: the plain module that the tests compare with."""
    sys.path.insert(0, str(TESTS))
    from reference.resnet_cifar import CifarResNet

    return CifarResNet(200)


_HEADLESS = {"aux_logits": False, "init_weights": False, "transform_input": False}
NETWORKS = {
    "googlenet_torchvision": Exported("GoogLeNet", partial(torchvision_module, "googlenet", **_HEADLESS)),
    "resnet50": Exported("ResNet-50", partial(torchvision_module, "resnet50")),
    "densenet121": Exported("DenseNet-121", partial(torchvision_module, "densenet121")),
    "inception_v3": Exported("Inception v3", partial(torchvision_module, "inception_v3", **_HEADLESS), 299),
    "efficientnet_b0": Exported("EfficientNet-B0", partial(torchvision_module, "efficientnet_b0")),
    "mobilenet_v2": Exported("MobileNetV2", partial(torchvision_module, "mobilenet_v2")),
    "resnet1202_cifar": Exported("ResNet-1202", _resnet_1202, 32),
}
"""Those whose export is timed."""
SERVED = {name: network for name, network in NETWORKS.items() if name != "resnet1202_cifar"} | {
    "vgg16": Exported("VGG-16", partial(torchvision_module, "vgg16")),
    "mobilenet_v3_large": Exported("MobileNetV3-large", partial(torchvision_module, "mobilenet_v3_large")),
    "shufflenet_v2_x1_0": Exported("ShuffleNetV2 1.0x", partial(torchvision_module, "shufflenet_v2_x1_0")),
    "squeezenet_11": Exported("SqueezeNet 1.1", partial(torchvision_module, "squeezenet1_1")),
    "resnext50_32x4d": Exported("ResNeXt-50 32x4d", partial(torchvision_module, "resnext50_32x4d")),
    "regnet_y_400mf": Exported("RegNetY-400MF", partial(torchvision_module, "regnet_y_400mf")),
    "repvgg_a0": Exported("RepVGG-A0", partial(_timm, "repvgg_a0")),
}
"""Those whose files are run."""


def export(dynamo: bool, name: str, target: str) -> None:
    """Exports a network for inference with a free batch size."""
    network = NETWORKS[name]
    export_module(dynamo, network.make(), network.size, target)


def export_module(dynamo: bool, model: nn.Module, size: int, target: str) -> None:
    """Exports a module for inference on square images, with a free batch size."""
    import torch

    model.eval()
    image = torch.zeros(2, 3, size, size)
    if dynamo:
        torch.onnx.export(model, (image,), target, dynamo=True, dynamic_shapes=({0: torch.export.Dim("N")},))
    else:
        torch.onnx.export(model, (image,), target, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "N"}})


def with_statistics(network: Exported, make: Callable[..., nn.Module] | None = None) -> nn.Module:
    """The network with the statistics of a random batch in its batch norms, as after training.

    Without them the values of a deep network grow or shrink layer by layer, to numbers that processors are slow with.
    """
    import torch

    torch.manual_seed(0)
    model = (make or network.make)()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches, of which there is one
    with torch.no_grad():
        model.train()(torch.randn(4, 3, network.size, network.size))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    return model.eval()
