"""Pairs of files, a model or a source and its weights: how they are written and what they hold."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from netspec_onnx.options import OnnxOptions
from netspec_torch.options import TorchOptions

import netspec
from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.weights.initialise import initialise, lazily

posix = pytest.mark.skipif(os.name != "posix", reason="links of POSIX")


SPEC = "netspec: 1\nname: net\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 3]\n  - relu\n  - conv: [2, 1]\n"


def small(folder: Path) -> Graph:
    """A graph of two convolutions, whose spec is net.yaml in a folder."""
    path = folder / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return netspec.load(path).inference


def emit(graph: Graph, path: Path, seed: int, external: bool = True) -> list[Path]:
    options = OnnxOptions(external_data=external)
    written: list[Path] = get("onnx").emit(graph, initialise(graph, seed), path, options).files
    return written


def holds(graph: Graph, path: Path, seed: int) -> bool:
    """Whether a model is whole and has the weights of a seed."""
    expected = initialise(graph, seed)
    found = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    return found.keys() == expected.keys() and all(np.array_equal(found[k], expected[k]) for k in expected)


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def aged(folder: Path) -> None:
    """Makes the parts that were left behind older than a minute."""
    for path in folder.glob(".netspec-*.part"):
        os.utime(path, (time.time() - 120,) * 2)


# PyTorch's source and its weights
def write(graph: Graph, path: Path, seed: int) -> list[Path]:
    written: list[Path] = get("torch").emit(graph, lazily(graph, seed), path, TorchOptions()).files
    return written


def module(path: Path) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "net", "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    return space


def seed_of(graph: Graph, path: Path, weights: Path | None = None) -> int | None:
    """The seed whose weights a source loads; None where it refuses the file."""
    try:
        state = module(path)["load"](weights).state_dict()
    except ValueError as e:
        assert "does not hold the weights" in str(e)
        return None
    return next(
        seed
        for seed in (1, 2, 3)
        if all(np.array_equal(state[key].numpy(), value) for key, value in initialise(graph, seed).items())
    )
