"""Inputs for runs and tests: random values that the network can take."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.ops import Shape

ROI_STRIDES = {"rois": 16, "image_rois": 1}
"""Pixels of the image for each cell of the first map, by the kind: 16 in R-CNN's networks on VGG and ResNet."""


def sample(shapes: Mapping[str, Shape], kinds: Mapping[str, str], batch: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs by name: standard normal, or regions, rows of image index, x1, y1, x2, y2 in pixels."""
    rng = np.random.default_rng(seed)
    maps = [tuple(batch if isinstance(d, str) else d for d in s) for s in shapes.values() if len(s) == 4]
    inputs = {}
    for name, shape in shapes.items():
        sizes = tuple(batch if isinstance(d, str) else d for d in shape)
        if (kind := kinds.get(name, "")) in ROI_STRIDES:
            inputs[name] = rois(sizes[0], maps[0] if maps else (batch, 1, 14, 14), rng, ROI_STRIDES[kind])
        else:
            inputs[name] = rng.standard_normal(sizes, np.float32)
    return inputs


def contrasting(shapes: Mapping[str, Shape], kinds: Mapping[str, str], batch: int, seed: int) -> dict[str, np.ndarray]:
    """The same as `sample`, with images that differ in the large: a pooling of the whole map takes white noise for one.

    To an image of noise are added a value for each channel and one for each cell of a grid of 5 x 5.
    """
    inputs = sample(shapes, kinds, batch, seed)
    for i, value in enumerate(inputs.values()):
        if value.ndim == 4:
            rng, (n, c, h, w) = np.random.default_rng([seed, i]), value.shape
            grid = rng.standard_normal((n, c, 5, 5), np.float32)
            value += grid.repeat(-(-h // 5), 2).repeat(-(-w // 5), 3)[:, :, :h, :w]
            value += rng.standard_normal((n, c, 1, 1), np.float32)
    return inputs


def rois(count: int, features: tuple[int, ...], rng: np.random.Generator, stride: int) -> np.ndarray:
    """Regions of images whose map (N, C, H, W) has a cell for `stride` pixels: image index, x1, y1, x2, y2."""
    height, width = (d * stride for d in features[2:])
    corners = rng.random((2, count, 2), np.float32) * np.array([width - 1, height - 1], np.float32)
    index = np.arange(count, dtype=np.float32)[:, None] % features[0]
    return np.concatenate([index, corners.min(0), corners.max(0) + 1], axis=1)


WORDS = ("red", "green", "blue")


def noise(shape: tuple[int, ...], dtype: np.dtype[np.generic], rng: np.random.Generator) -> np.ndarray:
    """Random values of any type: bytes from their whole range, other integers from 0 to 9, numbers standard normal."""
    if dtype.kind == "O":
        drawn = rng.integers(0, len(WORDS), shape)
        return np.asarray(np.array(WORDS, dtype=object)[drawn], dtype=object)
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape), np.bool_)
    if dtype in (np.int8, np.uint8):
        limits = np.iinfo(dtype.name)
        return np.asarray(rng.integers(limits.min, limits.max, shape, endpoint=True), dtype)
    if "int" in dtype.name:
        return np.asarray(rng.integers(0, {"int2": 2, "uint2": 4, "int4": 8}.get(dtype.name, 10), shape)).astype(dtype)
    return np.asarray(rng.standard_normal(shape, np.float32)).astype(dtype)
