"""Sampled inputs: what a network with regions of interest can take."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netspec.weights.sample_inputs import sample


@given(
    st.sampled_from([("rois", 16), ("image_rois", 1)]),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 100),
)
def test_rois_lie_inside_the_image(kind: tuple[str, int], batch: int, height: int, width: int, seed: int) -> None:
    shapes = {"map": ("N", 8, height, width), "rois": ("R", 5)}
    found = sample(shapes, {"rois": kind[0]}, batch, seed)
    index, x1, y1, x2, y2 = found["rois"].T
    assert found["map"].shape == (batch, 8, height, width)
    assert set(index) <= set(range(batch))
    assert (x1 < x2).all() and (y1 < y2).all() and (x1 >= 0).all() and (y1 >= 0).all()
    assert (x2 <= kind[1] * width).all() and (y2 <= kind[1] * height).all()
    assert np.array_equal(found["rois"], sample(shapes, {"rois": kind[0]}, batch, seed)["rois"])
