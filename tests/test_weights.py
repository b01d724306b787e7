"""Initial weights, and weights drawn for comparisons."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import finalize

import numpy as np
import pytest
from conftest import agreement, sampled
from parity import images

import netspec
from netspec.backend import get
from netspec.network import Network
from netspec.ops.initialisers import check_init
from netspec.weights.initialise import draw, initialise, lazily
from netspec.weights.lazy import Arrays, Lazy, in_pieces, in_turn

HEAD = "netspec: 1\nname: tiny\ninput: [8, 12, 12]\nbody:\n"
STEPS = """\
  - stem = conv: {out: 64, kernel: 3, groups: 2}
  - bn = batch_norm
  - flatten
  - head = linear: 300
"""


def load(folder: Path, steps: str = STEPS, rest: str = "") -> Network:
    path = folder / "tiny.yaml"
    path.write_text(HEAD + steps + rest, encoding="utf-8")
    return netspec.load(path)


@pytest.fixture
def tiny(tmp_path: Path) -> Network:
    return load(tmp_path)


# Initialisers


def test_default_is_he_normal_by_fan_in(tiny: Network) -> None:
    """He et al. 2015, Delving Deep into Rectifiers, equation 10: std = sqrt(2 / fan_in), biases are 0."""
    arrays = initialise(tiny.inference, 0)
    for key, fan_in in (("stem.weight", 8 // 2 * 3 * 3), ("head.weight", 64 * 10 * 10)):
        weight = arrays[key]
        assert weight.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)
        assert abs(weight.mean()) < 4 * weight.std() / math.sqrt(weight.size)
        assert np.abs(weight).max() > 3 * weight.std()  # a normal distribution, no uniform one
    constants = {
        "stem.bias": 0,
        "head.bias": 0,
        "bn.weight": 1,
        "bn.bias": 0,
        "bn.running_mean": 0,
        "bn.running_var": 1,
    }
    assert {key: set(arrays[key].tolist()) for key in constants} == {key: {value} for key, value in constants.items()}
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}


def test_init_of_a_spec_is_honoured(tmp_path: Path) -> None:
    graph = load(
        tmp_path,
        """\
  - flatten
  - a = linear: {out: 400, init: {weight: xavier, bias: -2}}
  - b = linear: {out: 300, init: {weight: he, bias: ones}}
  - c = linear: {out: 300, init: {weight: {normal: 0.25}}}
  - d = linear: {out: 300, init: {weight: {uniform: 0.5}}}
  - e = linear: {out: 300, init: {weight: {truncated_normal: 0.125}}}
  - f = linear: {out: 3, init: {weight: zeros}}
""",
    ).inference
    w = initialise(graph, 0)
    bound = math.sqrt(6 / (8 * 12 * 12 + 400))  # Glorot and Bengio 2010, equation 16
    assert 0.999 * bound < np.abs(w["a.weight"]).max() <= bound
    assert w["a.weight"].std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert set(w["a.bias"].tolist()) == {-2.0}
    assert set(w["b.bias"].tolist()) == {1.0}
    assert w["b.weight"].std() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert w["c.weight"].std() == pytest.approx(0.25, rel=0.02)
    assert 0.499 < np.abs(w["d.weight"]).max() <= 0.5
    assert 0.249 < np.abs(w["e.weight"]).max() <= 0.25
    # a normal distribution cut at two deviations has 0.8796 of its deviation
    assert w["e.weight"].std() == pytest.approx(0.8796 * 0.125, rel=0.02)
    assert not w["f.weight"].any()
    for key in "abcde":  # around 0
        assert abs(w[f"{key}.weight"].mean()) < 0.02 * w[f"{key}.weight"].std(), key


@pytest.mark.parametrize("value", [0, -2, 0.5, "zeros", "ones", "he", "xavier", {"normal": 0.01}, {"uniform": 1}])
def test_initialisers_that_can_stand_in_a_spec(value: object) -> None:
    assert check_init(value) == ""


@pytest.mark.parametrize(
    "value",
    [
        True,
        "kaiming",
        {"normal": -1},
        {"normal": "a"},
        {"gamma": 1},
        {},
        [1],
        None,
        {"normal": 1, "uniform": 1},
        {"normal": True},
    ],
)
def test_initialisers_that_cannot(value: object) -> None:
    assert "initialiser" in check_init(value)


def test_a_tensor_depends_on_the_seed_and_its_key_alone(tiny: Network, tmp_path: Path) -> None:
    first, again, other = (initialise(tiny.inference, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["stem.weight"], other["stem.weight"])
    more = initialise(load(tmp_path, "  - before = conv: [8, 1]\n" + STEPS).inference, 5)
    assert np.array_equal(first["stem.weight"], more["stem.weight"])


def test_seeded_values_stay_the_same_on_every_platform(tiny: Network) -> None:
    """Written down once: a change here changes every model that was compiled with a seed."""
    weight = initialise(tiny.inference, 0)["stem.weight"].ravel()[:3]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([0, _crc("stem.weight")])))
    assert weight.tolist() == (rng.standard_normal(3, np.float32) * np.float32(math.sqrt(2 / 36))).tolist()


def _crc(key: str) -> int:
    """CRC-32 as in PNG and zip, bit by bit."""
    value = 0xFFFFFFFF
    for byte in key.encode():
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_shared_weights_are_one_tensor(tmp_path: Path) -> None:
    graph = load(tmp_path, "  - c = conv: {out: 8, kernel: 3, pad: 1}\n    repeat: 5\n    share: true\n").inference
    assert sorted(initialise(graph, 0)) == ["c.bias", "c.weight"]


def test_initialising_is_fast() -> None:
    """7 million numbers of GoogLeNet; single-threaded, so ten times the usual time is allowed."""
    graph = netspec.load("googlenet").inference
    start = time.perf_counter()
    initialise(graph, 0)
    assert time.perf_counter() - start < 1.5


# Weights for comparing outputs


def test_every_drawn_tensor_is_random_and_within_bounds(tiny: Network) -> None:
    arrays = draw(tiny.inference, 0)
    assert arrays.keys() == tiny.inference.tensors().keys()
    assert all(len(np.unique(a)) > a.size / 2 for a in arrays.values())
    bounds = {
        "bn.weight": (0.5, 1.5),
        "bn.running_var": (0.5, 1.5),
        "bn.bias": (-0.2, 0.2),
        "bn.running_mean": (-0.2, 0.2),
    }
    for key, (low, high) in bounds.items():
        assert low <= arrays[key].min() < arrays[key].max() <= high


DEEP = {
    "residual": "add: {a: [conv: {out: 8, kernel: 3, pad: 1}], b: []}",
    "positive": "add: {a: [conv: {out: 8, kernel: 3, pad: 1, bias: false}, batch_norm, relu], b: []}",
    "pre-activation": "add: {a: [batch_norm, relu, conv: {out: 8, kernel: 3, pad: 1, bias: false}], b: []}",
    "tanh": "do: [conv: {out: 8, kernel: 3, pad: 1}, tanh]",
}


@pytest.mark.parametrize("block", DEEP.values(), ids=DEEP)
@pytest.mark.quick(1)
def test_signals_keep_their_size_through_two_hundred_layers(tmp_path: Path, block: str) -> None:
    graph = load(tmp_path, f"  - {block}\n    repeat: 200\n").inference
    assert len(graph.nodes) > 400
    for seed in sampled((0, 1), 1):
        x = {"input": images((8, 12, 12), 2, seed)}
        out = get("onnx").run(graph, draw(graph, seed), x, repeat=0).outputs["output"]
        agreement(out, out)


@pytest.mark.parametrize("value", [1e39, float("-inf"), float("nan"), {"normal": 1e39}, {"uniform": float("nan")}])
def test_an_initialiser_is_a_number_of_float32(value: Any) -> None:
    assert check_init(value)
    assert not check_init(3e38) and not check_init({"normal": 3e38})


# Weights that are made one at a time

KINDS = """\
  - conv: {out: 64, kernel: 3, groups: 2}
  - batch_norm
  - up = conv_transpose: {out: 8, kernel: 4, stride: 2, init: {weight: bilinear}}
  - conv_transpose: {out: 8, kernel: 3, groups: 2}
  - prelu
  - flatten
  - a = linear: {out: 40, init: {weight: xavier, bias: -2}}
  - b = linear: {out: 300, init: {weight: he, bias: ones}}
  - c = linear: {out: 300, init: {weight: {normal: 0.25}}}
  - d = linear: {out: 300, init: {weight: {uniform: 0.5}, bias: 0.1}}
  - e = linear: {out: 300, init: {weight: {truncated_normal: 0.125}, bias: {uniform: 0.3}}}
  - f = linear: {out: 3, init: {weight: zeros}}
"""


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for key, value in arrays.items():
        found.update(f"{key} {value.dtype.str} {value.shape} ".encode() + value.tobytes())
    return found.hexdigest()[:16]


@pytest.mark.slow
def test_a_seed_gives_the_numbers_that_it_always_gave(tmp_path: Path) -> None:
    """Made by version 0.1 as of November 2026, when all weights were drawn at once, with numpy 2.4."""
    graph = load(tmp_path, KINDS).inference
    for seed, expected in ((0, "4580338baa75a267"), (7, "e6bc3deb3858fe9e"), (2**64 - 1, "d0794abb834f6b6b")):
        assert digest(initialise(graph, seed)) == expected
    assert digest(draw(graph, 3)) == "b2872786483d5529"
    resnet = netspec.load("resnet18").inference
    assert digest(lazily(resnet, 7)) == "dfac455b0092ad7f"


def test_lazy_arrays_are_those_of_all_at_once(tmp_path: Path) -> None:
    net = load(tmp_path, KINDS)
    whole, lazy = net.arrays(5), net.lazy_arrays(5)
    assert list(lazy) == list(whole) and len(lazy) == len(whole) and "conv.weight" in lazy and "x" not in lazy
    assert all(np.array_equal(lazy[key], whole[key]) for key in whole)
    assert all(lazy.lazy[key].shape == whole[key].shape and lazy.lazy[key].nbytes == whole[key].nbytes for key in whole)
    lazy["a.bias"][:] = 9  # each time a new array
    assert np.array_equal(lazy["a.bias"], whole["a.bias"])


@pytest.mark.parametrize("ahead", [0, 1, 100, 2000, pytest.param(10**9, marks=pytest.mark.slow)])
def test_arrays_come_in_turn_whatever_is_made_ahead(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.weights.lazy.AHEAD", ahead)
    alive: list[int] = []
    live, lock = [0], Lock()

    def make(size: int) -> np.ndarray:
        array = np.full(size, size, np.float32)
        with lock:
            live[0] += array.nbytes
            alive.append(live[0])
        finalize(array, gone, array.nbytes)
        return array

    def gone(size: int) -> None:
        with lock:
            live[0] -= size

    sizes = [3, 400, 20, 20, 1000, 1, 2, 3, 0, 900, 5]
    lazy = Arrays({str(i): Lazy((n,), np.dtype(np.float32), partial(make, n)) for i, n in enumerate(sizes)})
    with in_turn(lazy, lazy) as take:  # arrays in no cycle are gone when the last name of them is
        for size in sizes:
            assert set(take().tolist()) <= {size}
    assert max(alive) <= max(4000, ahead) + ahead
    with in_turn(lazy.all(), lazy) as take:
        assert [len(take()) for _ in sizes] == sizes
    with (
        pytest.raises(ZeroDivisionError),
        in_turn(Arrays({"a": Lazy((1,), np.dtype(np.float32), lambda: 1 // 0)}), ["a"]) as take,
    ):
        take()


@pytest.mark.parametrize(
    "piece", [pytest.param(1, marks=pytest.mark.slow), 7, pytest.param(2**18, marks=pytest.mark.slow)]
)
def test_the_numbers_of_an_array_are_the_same_in_pieces(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = load(tmp_path, KINDS).lazy_arrays(5)
    whole = lazy.all()
    monkeypatch.setattr("netspec.weights.lazy.PIECE", piece)
    monkeypatch.setattr("netspec.weights.initialise.PIECE", piece)
    keys = ["a.weight", "e.weight", "up.weight", "d.bias", "a.bias", "conv.weight"]
    with in_pieces(lazy, keys) as take, in_pieces(whole, keys) as taken:
        for key in keys:
            pieces = list(take())
            assert all(p.ndim == 1 and len(p) <= piece for p in pieces)
            assert np.array_equal(np.concatenate(pieces), whole[key].reshape(-1))
            assert np.array_equal(np.concatenate(list(taken())), whole[key].reshape(-1))
    assert np.array_equal(lazy["conv.weight"], whole["conv.weight"])


@pytest.mark.parametrize("ahead", [0, 64, pytest.param(400, marks=pytest.mark.slow), 10**9])
def test_pieces_are_made_ahead_as_far_as_there_is_room(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AHEAD", ahead), ("ROOM", 64), ("SMALL", 12), ("PIECE", 4)):
        monkeypatch.setattr(f"netspec.weights.lazy.{name}", value)
    alive, live, lock = [0], [0], Lock()

    def fill(out: np.ndarray) -> None:
        out.fill(live_piece(out))

    def live_piece(out: np.ndarray) -> int:
        with lock:
            live[0] += out.nbytes
            alive.append(live[0])
        finalize(out, gone, out.nbytes)
        return out.size

    def gone(size: int) -> None:
        with lock:
            live[0] -= size

    sizes = [3, 400, 20, 1, 1000, 0, 6]
    streams = {str(i): Lazy((n,), np.dtype(np.float32), lambda: np.empty(0), lambda: fill) for i, n in enumerate(sizes)}
    with in_pieces(Arrays(streams), streams) as take:
        for size in sizes:
            got = 0
            for piece in take():
                assert set(piece.tolist()) == {len(piece)}
                got += len(piece)
                del piece
            assert got == size
    threads = os.cpu_count() or 1
    assert (
        max(alive) <= max(ahead, 64) + (threads + 2) * 4 * 4
    )  # a piece in each thread, one that is taken, a small one


def test_pieces_end_with_the_block_however_it_ends() -> None:
    """The threads would wait for room for ever, and the block for them."""

    def fail(out: np.ndarray) -> None:
        raise ZeroDivisionError

    def lazy(size: int, fill: Callable[[np.ndarray], None]) -> Lazy:
        return Lazy((size,), np.dtype(np.float32), lambda: np.empty(0), lambda: fill)

    large = {str(i): lazy(2**25, lambda out: None) for i in range(3)}
    with in_pieces(Arrays(large), large) as take:
        pieces = take()
        assert len(next(pieces)) == 2**18
    with pytest.raises(KeyError), in_pieces(Arrays(large), large) as take:
        next(take())
        raise KeyError
    with pytest.raises(ZeroDivisionError), in_pieces(Arrays({"a": lazy(2**20, fail)}), "a") as take:
        list(take())
