"""What runs on a GPU, compared with the processor; `tools/dev cuda` calls it, and elsewhere it is skipped.

NETSPEC_TEST_DEVICE=cpu rehearses it: the device is then the processor, which says nothing of a GPU.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import netspec
from netspec.backend import KeepsReady, able
from netspec.diagnostics.errors import MissingError
from netspec.running.place import Place

DEVICE = os.environ.get("NETSPEC_TEST_DEVICE", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DEVICE, reason="NETSPEC_TEST_DEVICE names no device; tools/dev cuda does"),
]
GRAPHS = [False, True] if DEVICE == "cuda" else [False]


def noise(batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, 3, 64, 64), np.float32)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("backend", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["squeezenet", "mobilenet_v2"])
def test_a_device_gives_what_the_processor_gives(name: str, backend: str, graph: bool) -> None:
    if graph and backend == "torch":
        pytest.skip("onnxruntime's alone")
    network = netspec.load(name, input=(3, 64, 64))
    place = Place(DEVICE, cuda_graph=graph, exact=True)
    try:
        opened = able(backend, KeepsReady).ready(network.inference, network.arrays(), place)
    except MissingError as e:
        pytest.skip(str(e))
    plain = netspec.Session(network)
    (title,) = plain.inputs
    for batch, seed in ((2, 0), (2, 1), (3, 2), (2, 3)):  # other values and other shapes in the same memory
        value = noise(batch, seed)
        found, expected = opened.run({title: value}, 1).outputs["logits"], plain.run(value)["logits"]
        assert isinstance(found, np.ndarray) and isinstance(expected, np.ndarray)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
