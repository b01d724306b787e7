"""Deformable networks: with zero offsets they are the plain ones; offsets begin at zero."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import agreement
from parity import images, network, torch_run

from netspec.backend import get
from netspec.weights.initialise import draw, initialise


def plain_name(key: str) -> str:
    """The name that a tensor of deformable_resnet50 has in resnet50."""
    for theirs, ours in (
        ("net.base.", ""),
        ("net.conv5.", "layer4."),
        ("conv2.deform_conv.", "conv2.conv."),
        (".bn2.", ".conv2.bn."),
        ("net.", ""),
    ):
        key = key.replace(theirs, ours)
    return key


@pytest.mark.slow
def test_zero_offsets_are_the_plain_network() -> None:
    deformable, plain = network("deformable_resnet50").inference, network("resnet50").inference
    arrays = {key: np.zeros_like(value) if ".offset." in key else value for key, value in draw(deformable, 0).items()}
    same = {plain_name(key): value for key, value in arrays.items() if ".offset." not in key}
    assert same.keys() == plain.tensors().keys()
    x = images((3, 224, 224), 2, 3)
    backend = get("torch")
    agreement(
        torch_run(backend.to_module(plain, same), x),
        torch_run(backend.to_module(deformable, arrays), x),
    )


@pytest.mark.parametrize("variant", ["deformable_resnet50", "deformable_roi_pooling"])
def test_offsets_begin_at_zero(variant: str) -> None:
    arrays = initialise(network(variant).inference)
    offsets = [value for key, value in arrays.items() if ".offset." in key]
    assert offsets and not any(value.any() for value in offsets)
