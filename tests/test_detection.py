"""Detectors of torchvision: its checkpoints load, and the heads give its numbers; what picks boxes is left out."""

from __future__ import annotations

import re
from functools import partial
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
        expected = [conv(m).numpy() for head in heads for conv, m in zip(head.module_list, maps, strict=True)]
    agreement(expected, torch_outputs(ours, x), tol=1e-4)
    # the 8732 boxes of the paper's Figure 2
    assert sum(scores.shape[1] // 91 * scores.shape[2] * scores.shape[3] for scores in expected[:6]) == 8732


def published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of torchvision's published files, of version 1, which it renames where it reads one."""
    found = {}
    for key, value in state.items():
        key = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        key = re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", key)
        found[re.sub(r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", key)] = value
    return found


@pytest.mark.slow
@pytest.mark.parametrize("family", ["faster_rcnn_fpn", "mask_rcnn"])
def test_detectors_on_a_pyramid_give_torchvisions_heads(torchvision: ModuleType, family: str, tmp_path: Path) -> None:
    name = {"faster_rcnn_fpn": "fasterrcnn_resnet50_fpn", "mask_rcnn": "maskrcnn_resnet50_fpn"}[family]
    theirs = drawn(torchvision.models.get_model(name, weights=None, weights_backbone=None))
    state = theirs.state_dict()
    before = published(state)
    assert {"backbone.fpn.inner_blocks.0.weight", "rpn.head.conv.weight"} <= before.keys()
    assert ("roi_heads.mask_head.mask_fcn4.bias" in before) is (family == "mask_rcnn")
    torch.save(state, tmp_path / "detector.pth")
    torch.save(before, tmp_path / "published.pth")
    net = netspec.load(SPECS / f"{family}.yaml", input={"image": (3, 160, 192)})
    ours = net.to_torch(weights=tmp_path / "detector.pth")
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    found, arrays = net.arrays(weights=tmp_path / "published.pth"), ours.state_dict()
    assert all(np.array_equal(value, arrays[key]) for key, value in found.items())
    x = images((3, 160, 192), 2, 3)
    boxes = [np.array([[i % 2, 4, 6, 90, 70], [1 - i % 2, 20, 30, 180, 150]], np.float32) for i in range(4)]
    with torch.inference_mode():
        levels = list(theirs.backbone(torch.from_numpy(x)).values())
        objectness, proposals = theirs.rpn.head(levels)

        def bins(size: int) -> list[torch.Tensor]:
            align = partial(torchvision.ops.roi_align, output_size=size, sampling_ratio=2, aligned=True)
            pairs = enumerate(zip(levels, boxes, strict=False), 2)
            return [align(level, torch.from_numpy(rois), spatial_scale=1 / 2**k) for k, (level, rois) in pairs]

        heads = theirs.roi_heads
        regions = [heads.box_predictor(heads.box_head(region)) for region in bins(7)]
        masks = [heads.mask_predictor(heads.mask_head(m)) for m in bins(14)] if family == "mask_rcnn" else []
    expected = [*objectness, *proposals, *(r[0] for r in regions), *(r[1] for r in regions), *masks]
    agreement(expected, torch_outputs(ours, x, *boxes), tol=1e-4)
