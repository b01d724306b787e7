"""Passes and what a network computes in: no level loses precision or free sizes to a pass, and where one is named
that would, it is said or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from pass_harness import spec
from test_onnx_dynamic import agrees_at, says
from test_passes_doc import SECTIONS, fence
from test_tune import Netspec, netspec, profile

from netspec.backend import able
from netspec.diagnostics.errors import MissingError, UsageError
from netspec.ir.graph import Graph
from netspec.network import Network
from netspec.passes import CHOSEN, of_level
from netspec.passes.runtimes import MEASURED
from netspec.running.ways import Prepared, Prepares, Way

__all__ = ["netspec"]  # a fixture

EXACT = [p.name for p in of_level(1)]
ROUNDS = {"float16": 2**-11, "int8": 2**-5}
"""What a type rounds by, as a share of the values: half of its last digit; in int8 what a few layers lose."""
PICKY = {"winograd"}
"""Passes whose numbers cancel, so that they lose several times what a convolution does (Lavin and Gray 2016)."""


CHANNELS = 16
"""Of the example of a pass for many, so that it is soon run."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass for layers of many channels takes these."""
    monkeypatch.setattr("netspec.passes.winograd.KERNELS", CHANNELS * 2 * CHANNELS)


def example(name: str, folder: Path) -> Network:
    """The network that docs/passes.md shows for a pass, with few channels."""
    return spec(
        folder, fence("yaml", SECTIONS[name]).replace("[256,", f"[{CHANNELS},").replace("512", f"{2 * CHANNELS}")
    )


def outputs(network: Network, dtype: str) -> dict[str, np.ndarray]:
    """What it gives in onnxruntime, computed in a type."""
    rng = np.random.default_rng(0)
    given = {str(node.path): rng.standard_normal((2, *node.shape[1:])) for node in network.inference.inputs}
    prepared = able("onnx", Prepares).prepare(network.inference, network.arrays(3), Way(dtype=dtype))
    found: dict[str, np.ndarray] = prepared.run({name: x.astype(np.float32) for name, x in given.items()})  # type: ignore[assignment]
    return found


def loss(network: Network, dtype: str, exact: dict[str, np.ndarray]) -> float:
    """How far its outputs are from exact ones, by root mean squares."""
    found = outputs(network, dtype)
    return max(float(np.sqrt(np.mean((found[k] - exact[k]) ** 2.0) / np.mean(exact[k] ** 2))) for k in exact)


def test_levels_have_what_serves_the_type_and_the_sizes() -> None:
    for runtime in ("", *MEASURED):
        usual = [p.name for p in of_level(2, runtime)]
        for dtype, dynamic in (("float16", False), ("bfloat16", False), ("int8", False), ("float32", True)):
            found = [p.name for p in of_level(2, runtime, dtype, dynamic)]
            assert found == [name for name in usual if name not in PICKY]
    assert set(usual) and PICKY & {p.name for p in of_level(2, "onnxruntime")}


def test_winograd_is_left_out_or_said_or_refused(netspec: Netspec) -> None:
    """Of the command and of Python, by its level, its name and a profile."""
    network = example("winograd", Path())
    Path("p.json").write_text(profile(network, [{"name": "winograd", "at": ["c"]}]), encoding="utf-8")
    to = ["compile", "net.yaml", "--to", "onnx", "-o", "a.onnx"]
    loses = "note: the pass 'winograd' is for float32: in float16 it loses precision"
    for more in (["-O2"], ["-O2", "--dtype", "float16"], ["--pass", "winograd", "--dtype", "float16"]):
        code, _, err = netspec(*to, *more)
        names = {node.name for node in onnx.load("a.onnx").graph.node}
        assert code == 0 and (loses in err) == ("winograd" in more)
        assert any("c_squares" in name for name in names) == (more != ["-O2", "--dtype", "float16"])
    assert loses in netspec(*to, "-O2", "--profile", "p.json", "--dtype", "float16")[2]
    Path("a.onnx").unlink()
    for more in (["--pass", "winograd"], ["-O2", "--profile", "p.json"]):
        code, _, err = netspec(*to, "--dynamic", *more)
        assert code == 2 and not Path("a.onnx").exists()
        assert "after the pass 'winograd' the height and width of 'net' cannot be free" in err
        assert "leave out --dynamic, or the pass" in err


def test_python_says_it_in_its_words(tmp_path: Path) -> None:
    network = example("winograd", tmp_path)
    assert "c_squares" in network.optimised(2, "onnxruntime").inference.nodes
    assert "c_squares" not in network.optimised(2, "onnxruntime", dtype="int8").inference.nodes
    assert "c_squares" not in network.optimised(2, "onnxruntime", dynamic=True).inference.nodes
    for made in (network.after(["winograd"]), network.optimised(2, "onnxruntime")):
        with pytest.raises(UsageError, match="leave out dynamic=True, or the pass"):
            made.to_onnx(tmp_path / "a.onnx", dynamic=True)
    with pytest.raises(UsageError, match="dtype"):
        network.optimised(2, dtype="int4")
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["verify", "bench"])
def test_targets_have_what_compile_has(command: str, netspec: Netspec, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the type of the target."""
    example("winograd", Path())
    backend = able("onnx", Prepares)
    tiles: dict[str, bool] = {}

    def spied(self: object, graph: Graph, arrays: object, way: Way) -> Prepared:
        tiles[way.dtype] = "c_squares" in graph.nodes
        raise MissingError("there is no kernel for it")

    monkeypatch.setattr(type(backend), "prepare", spied)
    for dtype in backend.dtypes:
        target = [f"onnx+{dtype}+O2"] if dtype != "float32" else ["onnx+O2"]
        netspec(command, "net.yaml", *(["--blocks", "--target", *target] if command == "bench" else target))
    assert tiles == {dtype: dtype == "float32" for dtype in backend.dtypes}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ROUNDS)
@pytest.mark.parametrize("name", CHOSEN)
def test_a_pass_loses_no_precision_or_says_that_it_does(name: str, dtype: str, tmp_path: Path) -> None:
    if dtype == "int8" and name in ("lrn_as_conv", "hard_swish_as_mul"):
        pytest.skip("before the pass it has no layer with weights")
    network = example(name, tmp_path).after(EXACT)
    exact = outputs(network, "float32")
    before, after = (loss(one, dtype, exact) for one in (network, network.after([name])))
    assert (after > max(2 * before, ROUNDS[dtype])) == (not CHOSEN[name].serves(dtype)) == (name in PICKY)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_free_sizes_are_those_without_the_pass(name: str, tmp_path: Path) -> None:
    network, file = example(name, tmp_path), tmp_path / "net.onnx"
    network.to_onnx(file, seed=1, dynamic=True)
    usual = says(onnx.load(file))
    _, channels, *sides = map(str, network.inference.inputs[0].shape)
    larger = [int(channels), *(int(side) + 3 for side in sides)]
    network.to_onnx(file, seed=1, dynamic=True, level=2)
    assert says(onnx.load(file)) == usual
    agrees_at(tmp_path, *larger)
    if not CHOSEN[name].serves("float32", dynamic=True):
        with pytest.raises(UsageError, match=f"'{name}'"):
            network.to_onnx(file, dynamic=True, passes=[name])
        return
    network.to_onnx(file, seed=1, dynamic=True, passes=[name])
    assert says(onnx.load(file)) == usual
    agrees_at(tmp_path, *larger)
