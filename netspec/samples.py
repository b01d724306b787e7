"""Inputs for runs and tests: random values that the network can take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from netspec.ops import Shape

if TYPE_CHECKING:
    import numpy as np

ROI_STRIDE = 16
"""Pixels of the image for each cell of the feature map, as in R-CNN's networks on VGG and ResNet."""


def sample(shapes: Mapping[str, Shape], kinds: Mapping[str, str], batch: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs by name: standard normal, or `rois`, rows of image index, x1, y1, x2, y2 in pixels."""
    import numpy as np

    rng = np.random.default_rng(seed)
    maps = [s for s in shapes.values() if len(s) == 4]
    height, width = (int(d) * ROI_STRIDE for d in (maps[0][2:] if maps else (14, 14)))
    found = {}
    for name, shape in shapes.items():
        sizes = [batch if isinstance(d, str) else d for d in shape]
        if kinds.get(name) == "rois":
            corners = rng.random((2, sizes[0], 2), np.float32) * np.array([width - 1, height - 1], np.float32)
            index = np.arange(sizes[0], dtype=np.float32)[:, None] % batch
            found[name] = np.concatenate([index, corners.min(0), corners.max(0) + 1], axis=1)
        else:
            found[name] = rng.standard_normal(sizes, np.float32)
    return found
