"""Writes a state dict as .safetensors, tensor by tensor; needs neither torch nor the library of the format.

A file is the length of the header as 8 bytes, little endian, the header in JSON, filled up to 8 bytes, and the bytes of
every tensor without gaps (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from netspec.files.parts import Part
from netspec.ir.graph import Graph
from netspec.weights.checkpoints.stored import PASSES
from netspec.weights.lazy import in_pieces
from netspec_torch.entries import held, layout


def save(graph: Graph, arrays: Mapping[str, np.ndarray], file: Part, passes: Sequence[str] = ()) -> None:
    """Writes the weights that are given, and which passes changed them; raises DataError."""
    shapes = layout(held(graph, arrays), arrays)
    counters = [key for key, shape in shapes.items() if shape is None]
    tensors = {key: shape for key, shape in shapes.items() if shape is not None}
    header, end = {}, 0
    for key in counters:  # the widest type first, so that every tensor is aligned
        header[key] = {"dtype": "I64", "shape": [], "data_offsets": [end, end := end + 8]}
    for key, shape in tensors.items():
        offsets = [end, end := end + 4 * prod(shape)]
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": offsets}
    text = json.dumps(
        {"__metadata__": {"format": "pt", PASSES: ",".join(passes)}, **header}, separators=(",", ":")
    ).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text + bytes(8 * len(counters)))
    with in_pieces(arrays, tensors) as take:
        for _ in tensors:
            for piece in take():
                file.write(np.ascontiguousarray(piece, "<f4").data.cast("B"))
