"""A small network with published weights, and a server on the loopback address that they are downloaded from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub, serving
from safetensors.numpy import save

import netspec
from netspec.network import Network

SPEC = """\
netspec: 1
name: small
params: {act: {type: block, default: relu}}
variants: {small: {}, other: {act: relu6}, dense: {of: small, title: The same}}
input: [3, 8, 8]
body:
  - stem = conv: [64, 3]
  - act
  - flatten
  - fc = linear: 40
checkpoints:
  lab:
    labels: [cat, dog]
    weights:
      small:
        - {name: V2, file: "https://lab.org/models/small.safetensors#sha256=DIGITS", preprocess: {resize: 9, crop: 8}}
        - {name: hub, file: "hf:lab/small"}
        - {name: six, file: "hf:lab/small", params: {act: relu6}}
"""
ARRAYS = {
    key: np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for key, shape in {
        "stem.weight": (64, 3, 3, 3),
        "stem.bias": (64,),
        "fc.weight": (40, 64 * 36),
        "fc.bias": (40,),
    }.items()
}
DATA = save(ARRAYS)
DIGITS = hashlib.sha256(DATA).hexdigest()
URL = f"https://lab.org/models/small.safetensors#sha256={DIGITS[:8]}"
PATH = "/lab.org/models/small.safetensors"


@contextmanager
def small_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server, whose files URLs and names of the hub lead to, and empty caches; small.yaml is in the folder."""
    with serving() as made:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("NETSPEC_MIRROR", made.url)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        Path("small.yaml").write_text(SPEC.replace("DIGITS", DIGITS[:8]))
        yield made


def small(variant: str | None = None, **params: object) -> Network:
    return netspec.load("small.yaml", variant, **params)


def loaded(weights: str) -> bool:
    """Whether the small network takes its weights from there."""
    found = small().arrays(weights=weights)
    return all(np.array_equal(found[key], value) for key, value in ARRAYS.items())


def cached(folder: Path) -> list[str]:
    """The files of torch.hub's cache."""
    return sorted(path.name for path in (folder / "torch").rglob("*") if path.is_file())
