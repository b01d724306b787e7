"""Detectors of torchvision: its checkpoints load, and the heads give its numbers; what picks boxes is left out."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import SPECS, images, torch_outputs
from torch import nn

import netspec


def drawn(model: nn.Module) -> nn.Module:
    """A model in eval mode whose heads begin with weights of some size: torchvision's have a deviation of 0.01."""
    torch.manual_seed(0)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not name.startswith("backbone.body"):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.uniform_(layer.bias, -0.1, 0.1)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.3, 0.7)  # sixteen blocks are added
    return model.eval()


@pytest.mark.slow
def test_ssd300_gives_torchvisions_heads(torchvision: ModuleType, tmp_path: Path) -> None:
    theirs = drawn(torchvision.models.detection.ssd300_vgg16(weights=None, weights_backbone=None))
    torch.save(theirs.state_dict(), tmp_path / "ssd.pth")
    assert sum(p.numel() for p in theirs.parameters()) == 35_641_826
    ours = netspec.load(SPECS / "ssd.yaml", "ssd300_vgg16_coco").to_torch(weights=tmp_path / "ssd.pth")
    x = images((3, 300, 300), 2, 3)
    with torch.inference_mode():
        maps = list(theirs.backbone(torch.from_numpy(x)).values())
        heads = (theirs.head.classification_head, theirs.head.regression_head)
        wanted = [conv(m).numpy() for head in heads for conv, m in zip(head.module_list, maps, strict=True)]
    agreement(wanted, torch_outputs(ours, x), tol=1e-4)
    # the 8732 boxes of the paper's Figure 2
    assert sum(scores.shape[1] // 91 * scores.shape[2] * scores.shape[3] for scores in wanted[:6]) == 8732


@pytest.mark.slow
@pytest.mark.parametrize("names", ["today's", "those of the published file"])
def test_faster_rcnn_gives_torchvisions_heads(torchvision: ModuleType, names: str, tmp_path: Path) -> None:
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    theirs = drawn(model)
    state = theirs.state_dict()
    if names != "today's":  # torchvision renames these where it reads a file of version 1
        state = {k.replace("conv.0.0.", "conv.").replace("_blocks.", "_blocks#"): v for k, v in state.items()}
        state = {(k if "#" not in k else k.replace(".0.", ".").replace("#", ".")): v for k, v in state.items()}
        assert {"backbone.fpn.inner_blocks.0.weight", "rpn.head.conv.weight"} <= state.keys()
    torch.save(state, tmp_path / "frcnn.pth")
    net = netspec.load(SPECS / "faster_rcnn_fpn.yaml", input={"image": (3, 160, 192)})
    ours = net.to_torch(weights=tmp_path / "frcnn.pth")
    x = images((3, 160, 192), 2, 3)
    boxes = [np.array([[i % 2, 4, 6, 90, 70], [1 - i % 2, 20, 30, 180, 150]], np.float32) for i in range(4)]
    with torch.inference_mode():
        levels = list(theirs.backbone(torch.from_numpy(x)).values())
        objectness, proposals = theirs.rpn.head(levels)
        regions = [
            theirs.roi_heads.box_head(
                torchvision.ops.roi_align(level, torch.from_numpy(rois), 7, 1 / 2**k, sampling_ratio=2, aligned=True)
            )
            for k, (level, rois) in enumerate(zip(levels, boxes, strict=False), 2)
        ]
        found = [theirs.roi_heads.box_predictor(region) for region in regions]
    wanted = [*objectness, *proposals, *(f[0] for f in found), *(f[1] for f in found)]
    agreement(wanted, torch_outputs(ours, x, *boxes), tol=1e-4)
