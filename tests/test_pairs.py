"""Pairs of files are consistent at every moment: an error or a kill leaves the old pair, or the new one."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from netspec_torch import safetensors_file
from netspec_torch.weights import state_dict
from pairs_harness import SPEC, emit, holds, module, names, posix, seed_of, small, write
from safetensors.torch import load_file, save_file

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import UsageError
from netspec.files.atomic import together
from netspec.files.parts import data_name, is_data_of
from netspec.ir.graph import Graph
from netspec.weights.initialise import initialise, lazily


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return small(tmp_path_factory.mktemp("spec"))


# ONNX with external data
def test_the_data_file_has_the_digits_of_its_hash(graph: Graph, tmp_path: Path) -> None:
    model, data = emit(graph, tmp_path / "net.onnx", 1)
    assert re.fullmatch(r"net\.onnx\.[0-9a-f]{12}\.data", data.name)
    assert data.name.split(".")[2] == hashlib.sha256(data.read_bytes()).hexdigest()[:12]
    assert holds(graph, model, 1)
    assert names(tmp_path) == {model.name, data.name}


def test_the_old_models_data_goes_with_it(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    first = emit(graph, path, 1)[1]
    second = emit(graph, path, 2)[1]
    assert first != second and names(tmp_path) == {"net.onnx", second.name} and holds(graph, path, 2)
    assert emit(graph, path, 2)[1] == second  # the same weights again
    assert names(tmp_path) == {"net.onnx", second.name} and holds(graph, path, 2)
    emit(graph, path, 3, external=False)
    assert names(tmp_path) == {"net.onnx"} and holds(graph, path, 3)


def test_what_is_not_the_old_models_own_data_stays(graph: Graph, tmp_path: Path) -> None:
    """Of the same pattern but unnamed by it; named by it but of another pattern; another model's; a copy's."""
    path = tmp_path / "net.onnx"
    others = {
        data_name("net.onnx", "0" * 12),
        "net.onnx.data",
        data_name("other.onnx", "1" * 12),
        data_name("net.onnx", "ABCDEF012345"),
        "net.onnx.0123.data",
    }
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    data = emit(graph, path, 1)[1]
    (tmp_path / "copy.onnx").write_bytes(path.read_bytes())
    new = emit(graph, path, 2)[1]
    assert names(tmp_path) == {*others, "net.onnx", "copy.onnx", data.name, new.name}
    assert holds(graph, tmp_path / "copy.onnx", 1) and holds(graph, path, 2)
    # a model that names data of another pattern
    os.rename(tmp_path / "copy.onnx", tmp_path / "third.onnx")
    emit(graph, tmp_path / "third.onnx", 3)
    assert data.exists()


@posix
def test_a_pair_stands_beside_the_target_of_a_link(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.onnx"
    link.symlink_to(tmp_path / "real" / "net.onnx")
    for seed in (1, 2):  # a link that leads nowhere yet, and one that leads to a model
        model, data = emit(graph, link, seed)
        assert link.is_symlink() and names(tmp_path / "links") == {"link.onnx"}
        assert names(tmp_path / "real") == {"net.onnx", data.name}
        assert data.parent == tmp_path / "real" and is_data_of(data.name, "net.onnx")
        assert holds(graph, tmp_path / "real" / "net.onnx", seed)
        x = {"input": np.ones((1, 3, 8, 8), np.float32)}
        found = get("onnx").run_file(link, x).outputs["output"]
        assert np.array_equal(found, get("onnx").run_file(model.resolve(), x).outputs["output"])


@posix
def test_a_pair_needs_a_regular_file(graph: Graph) -> None:
    with pytest.raises(UsageError, match="is not a regular file"):
        emit(graph, Path("/dev/null"), 1)
    emit(graph, Path("/dev/null"), 1, external=False)


@posix
def test_a_name_that_no_model_can_hold_is_refused(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.onnx")
    with pytest.raises(UsageError, match="not UTF-8"):
        emit(graph, path, 1)
    assert not names(tmp_path)
    emit(graph, path, 1, external=False)
    emit(graph, tmp_path / "né t.onnx", 1)
    assert holds(graph, tmp_path / "né t.onnx", 1)


def test_a_source_loads_the_weights_that_were_written_with_it(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    assert write(graph, path, 1) == [path, tmp_path / "net.pth"]
    assert names(tmp_path) == {"net.py", "net.pth"} and seed_of(graph, path) == 1
    assert hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest() in path.read_text()
    (tmp_path / "other").mkdir()
    moved = tmp_path / "other" / "moved.pth"
    moved.write_bytes((tmp_path / "net.pth").read_bytes())
    assert seed_of(graph, path, moved) == 1  # the same bytes under another name
    write(graph, tmp_path / "other" / "net.py", 2)
    assert seed_of(graph, path, tmp_path / "other" / "net.pth") is None
    os.replace(tmp_path / "other" / "net.pth", tmp_path / "net.pth")
    assert seed_of(graph, path) is None  # of the same shapes: it would load silently
    assert not module(path)["load"](moved).training


@posix
def test_a_source_and_its_weights_stand_beside_the_target_of_a_link(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "net.py")
    write(graph, tmp_path / "link.py", 1)
    assert names(tmp_path) == {"real", "link.py"} and names(tmp_path / "real") == {"net.py", "net.pth"}
    assert seed_of(graph, tmp_path / "link.py") == 1


def test_weights_do_not_take_the_place_of_their_source(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="would have the same name"):
        write(graph, tmp_path / "net.pth", 1)
    (tmp_path / "net.pth").mkdir()
    with pytest.raises(UsageError, match="net.pth is a folder"):
        write(graph, tmp_path / "net.py", 1)
    assert names(tmp_path) == {"net.pth"}


def test_safetensors_are_written_as_the_library_reads_them(tmp_path: Path) -> None:
    """Scalars, counters, tensors of no elements, and names that JSON escapes."""
    spec = tmp_path / "net.yaml"
    spec.write_text(SPEC.replace("relu", "batch_norm"), encoding="utf-8")
    graph = netspec.load(spec).inference
    with together(tmp_path / "net.safetensors") as new:
        safetensors_file.save(graph, lazily(graph, 1), new.add("net.safetensors"))
    found, expected = load_file(tmp_path / "net.safetensors"), state_dict(graph, initialise(graph, 1))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) and found[key].dtype == expected[key].dtype for key in expected)
    path = tmp_path / "net.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        patch.delitem(sys.modules, "netspec_torch.weights", raising=False)
        write(graph, path, 1)
    assert names(tmp_path) == {"net.yaml", "net.py", "net.safetensors"} and seed_of(graph, path) == 1
    other = tmp_path / "other.safetensors"
    save_file(found, other)
    assert seed_of(graph, path, other) is None
