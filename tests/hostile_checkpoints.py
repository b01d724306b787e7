"""A small network for checkpoints that are wrong, and how to write those."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch

import netspec
from netspec.network import Network

SPEC = """\
netspec: 1
name: n
input: [3, 8, 8]
body:
  - c = conv: [8, 3]
  - bn = batch_norm
  - flatten
  - fc = linear: 10
"""


def small(folder: Path) -> Network:
    """A network of four layers, whose spec is n.yaml in a folder."""
    (folder / "n.yaml").write_text(SPEC, encoding="utf-8")
    return netspec.load(folder / "n.yaml")


def tensors(header: object, data: bytes = b"") -> bytes:
    """A safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def state() -> dict[str, torch.Tensor]:
    return {f"{layer}.{t}": torch.ones(2) for layer in "abcd" for t in ("weight", "bias")}
