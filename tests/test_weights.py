"""Initial weights, drawn weights, and checkpoints that are read, mapped and refused."""

from __future__ import annotations

import json
import math
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import images
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

import netspec
from netspec.backend import get
from netspec.checkpoints import match, read_checkpoint, rules_of
from netspec.errors import DataError, Reporter, SpecError, UsageError
from netspec.network import Network
from netspec.weights import check_init, draw, initialise

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
    constants = {"stem.bias": 0, "head.bias": 0,
                 "bn.weight": 1, "bn.bias": 0, "bn.running_mean": 0, "bn.running_var": 1}
    assert {key: set(arrays[key].tolist()) for key in constants} == {key: {value} for key, value in constants.items()}
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}


def test_init_of_a_spec_is_honoured(tmp_path: Path) -> None:
    graph = load(tmp_path, """\
  - flatten
  - a = linear: {out: 400, init: {weight: xavier, bias: -2}}
  - b = linear: {out: 300, init: {weight: he, bias: ones}}
  - c = linear: {out: 300, init: {weight: {normal: 0.25}}}
  - d = linear: {out: 300, init: {weight: {uniform: 0.5}}}
  - e = linear: {out: 300, init: {weight: {truncated_normal: 0.125}}}
  - f = linear: {out: 3, init: {weight: zeros}}
""").inference
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


@pytest.mark.parametrize("value", [0, -2, 0.5, "zeros", "ones", "he", "xavier", {"normal": 0.01}, {"uniform": 1}])
def test_initialisers_that_can_stand_in_a_spec(value: object) -> None:
    assert check_init(value) == ""


@pytest.mark.parametrize("value", [True, "kaiming", {"normal": -1}, {"normal": "a"}, {"gamma": 1}, {}, [1], None,
                                   {"normal": 1, "uniform": 1}, {"normal": True}])
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
    bounds = {"bn.weight": (0.5, 1.5), "bn.running_var": (0.5, 1.5),
              "bn.bias": (-0.2, 0.2), "bn.running_mean": (-0.2, 0.2)}
    for key, (low, high) in bounds.items():
        assert low <= arrays[key].min() < arrays[key].max() <= high


DEEP = {
    "residual": "add: {a: [conv: {out: 8, kernel: 3, pad: 1}], b: []}",
    "positive": "add: {a: [conv: {out: 8, kernel: 3, pad: 1, bias: false}, batch_norm, relu], b: []}",
    "pre-activation": "add: {a: [batch_norm, relu, conv: {out: 8, kernel: 3, pad: 1, bias: false}], b: []}",
    "tanh": "do: [conv: {out: 8, kernel: 3, pad: 1}, tanh]",
}


@pytest.mark.parametrize("block", DEEP.values(), ids=DEEP)
def test_signals_keep_their_size_through_two_hundred_layers(tmp_path: Path, block: str) -> None:
    graph = load(tmp_path, f"  - {block}\n    repeat: 200\n").inference
    assert len(graph.nodes) > 400
    for seed in (0, 1):
        x = {"input": images((8, 12, 12), 2, seed)}
        out = get("onnx").run(graph, draw(graph, seed), x, repeat=0).outputs["output"]
        agreement(out, out)


# Files


@pytest.fixture
def arrays(tiny: Network) -> dict[str, np.ndarray]:
    return draw(tiny.inference, 0)


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_checkpoints_by_suffix(tiny: Network, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    save_file(arrays, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", **arrays)
    np.savez_compressed(tmp_path / "v.npz", **arrays)
    state = {key: torch.from_numpy(value) for key, value in arrays.items()}
    torch.save(state, tmp_path / "w.pth")
    torch.save(state | {"bn.num_batches_tracked": torch.tensor(7)}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.npz", "v.npz", "w.pth", "w.pt"):
        assert equal(tiny.arrays(weights=tmp_path / name), arrays), name


def test_other_precisions_become_single(tiny: Network, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    state = {key: torch.from_numpy(value) for key, value in arrays.items()}
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        wanted = {key: value.to(dtype).to(torch.float32).numpy() for key, value in state.items()}
        save_torch_file({key: value.to(dtype) for key, value in state.items()}, tmp_path / "w.safetensors")
        torch.save({key: value.to(dtype) for key, value in state.items()}, tmp_path / "w.pth")
        for name in ("w.safetensors", "w.pth"):
            read = tiny.arrays(weights=tmp_path / name)
            assert equal(read, wanted) and {a.dtype for a in read.values()} == {np.dtype(np.float32)}, (dtype, name)


def test_nan_and_infinity_stay(tiny: Network, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    arrays["head.bias"][:2] = np.nan, np.inf
    save_file(arrays, tmp_path / "w.safetensors")
    read = tiny.arrays(weights=tmp_path / "w.safetensors")["head.bias"]
    assert np.isnan(read[0]) and np.isinf(read[1])


def header_of(size: int) -> bytes:
    """A safetensors file whose header says more than there is."""
    text = json.dumps({"a": {"dtype": "F32", "shape": [size], "data_offsets": [0, 4 * size]}}).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize("name, data, error", [
    ("w.txt", b"weights", UsageError),
    ("w", b"PK\x03\x04", UsageError),
    ("w.safetensors", b"", DataError),
    ("w.safetensors", b"PK\x03\x04 a zip file", DataError),
    ("w.safetensors", header_of(2**40), DataError),
    ("w.safetensors", struct.pack("<Q", 2**62) + b"{", DataError),
    ("w.npz", b"", DataError),
    ("w.npz", b"PK\x03\x04 damaged", DataError),
    ("w.npz", b"\x93NUMPY\x01\x00", DataError),
    ("w.pth", b"", DataError),
    ("w.pth", b"PK\x03\x04 damaged", DataError),
    ("w.pth", b"\x80\x02 damaged", DataError),
    ("w.pth", header_of(1) + bytes(4), DataError),
])
def test_a_file_that_is_no_checkpoint_is_refused(
        tmp_path: Path, name: str, data: bytes, error: type[Exception]) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=name):
        read_checkpoint(tmp_path / name)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_checkpoint(path)


class Bomb:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    torch.save({"weight": Bomb(mark)}, tmp_path / "w.pth")
    np.savez(tmp_path / "w.npz", weight=np.array([Bomb(mark)], dtype=object))
    for name in ("w.pth", "w.npz"):
        with pytest.raises(DataError):
            read_checkpoint(tmp_path / name)
    assert not mark.exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.checkpoints.MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "w.npz", weight=np.zeros(10_000, np.float32))
    with pytest.raises(DataError, match="unpacks to more"):
        read_checkpoint(tmp_path / "w.npz")


@pytest.mark.parametrize("position", [100, 300, 3000, -30])
def test_a_damaged_archive_is_refused(tmp_path: Path, position: int) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, weight=np.arange(5000, dtype=np.float32))
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    data[position + 1] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(DataError):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pth", "old.pt"])
def test_no_damage_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    arrays = {"a.weight": np.arange(200, dtype=np.float32).reshape(10, 20), "b": np.ones(3, np.float32)}
    path, rng = tmp_path / name, np.random.default_rng(0)
    if name == "w.npz":
        np.savez_compressed(path, **arrays)
    elif name == "w.safetensors":
        save_file(arrays, path)
    else:
        state = {key: torch.from_numpy(value) for key, value in arrays.items()}
        torch.save(state, path, _use_new_zipfile_serialization=name == "w.pth")
    whole = path.read_bytes()
    refused = 0
    for _ in range(150):
        data = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, rng.choice([100, len(data)]), rng.integers(1, 6))
        data[places] = rng.integers(0, 256, len(places))
        path.write_bytes(data.tobytes()[:None if rng.random() < 0.8 else int(rng.integers(len(data)))])
        try:
            read_checkpoint(path)
        except (DataError, UsageError):
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("value", [torch.eye(3).to_sparse(), torch.empty(3, device="meta"), "words", 3])
def test_what_holds_no_numbers_is_no_checkpoint(tmp_path: Path, value: object) -> None:
    torch.save({"a.weight": value}, tmp_path / "w.pth")
    with pytest.raises(DataError):
        read_checkpoint(tmp_path / "w.pth")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as z:
        z.writestr("readme.txt", "no array")
    with pytest.raises(DataError, match="no array"):
        read_checkpoint(tmp_path / "w.npz")


# Keys


def test_keys_that_do_not_fit_are_listed(tiny: Network, arrays: dict[str, np.ndarray]) -> None:
    graph, given = tiny.inference, dict(arrays)
    del given["bn.bias"]
    given["extra.weight"] = np.zeros(3, np.float32)
    given["head.weight"] = np.zeros((300, 7), np.float32)
    given["head.bias"] = np.zeros(300, np.int64)
    with pytest.raises(DataError) as info:
        match(graph, given, None)
    assert info.value.code == "NS602"
    text = str(info.value)
    assert "missing in the file (1):\n    bn.bias" in text
    assert "unexpected in the file (1):\n    extra.weight" in text
    assert "head.weight: 300x7 in the file, 300x6400 in the network" in text
    assert "head.bias: int64 in the file" in text


def test_a_long_list_is_cut(tiny: Network) -> None:
    with pytest.raises(DataError) as info:
        match(tiny.inference, {f"layer{i}.weight": np.zeros(1, np.float32) for i in range(1000)}, None)
    assert "unexpected in the file (1000):" in str(info.value) and "... and 990 more" in str(info.value)
    assert len(str(info.value).splitlines()) < 40


RULES = """
checkpoints:
  wrong: [{from: "nothing.{t}", to: "stem.{t}"}]
  other:
    - {from: "features.0.{t}", to: "stem.{t}"}
    - {from: "features.{n}.{t}", to: "{['', 'bn'][n - 6]}.{t}"}
    - {from: "classifier.{t}", to: "head.{t}", reshape: true}
    - {from: "aux.{t}", to: null}
"""


def foreign(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = {"stem": "features.0", "bn": "features.7", "head": "classifier"}
    found = {names[key.split(".")[0]] + "." + key.split(".")[1]: value for key, value in arrays.items()}
    return found | {"aux.weight": np.zeros(2, np.float32), "features.7.num_batches_tracked": np.array(5)}


def test_the_first_rule_that_matches_maps_a_key(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    net = load(tmp_path, rest=RULES)
    given = foreign(arrays)
    given["classifier.weight"] = given["classifier.weight"].reshape(300, 64, 10, 10)
    assert equal(match(net.inference, given, net.document.checkpoints), arrays)
    assert equal(match(net.inference, arrays, net.document.checkpoints), arrays), "its own names need no rule"


@pytest.mark.parametrize("spoil, message", [
    (lambda a: a.pop("features.0.bias"), "missing in the file (1):\n    stem.bias"),
    (lambda a: a.update({"features.0.scale": a["features.0.bias"]}), "features.0.scale (as stem.scale)"),
    (lambda a: a.update({"features.9.bias": a["features.0.bias"]}), "unexpected in the file (1):\n    features.9.bias"),
    (lambda a: a.update({"features.x.bias": a["features.0.bias"]}), "unexpected in the file (1):\n    features.x.bias"),
    (lambda a: a.update({"stem.bias": a["features.0.bias"]}), "mapped twice (1):\n    stem.bias"),
    (lambda a: a.update({"features.0.weight": a["features.0.weight"].reshape(64, 36)}), "of another shape (1)"),
])
def test_every_tensor_is_accounted_for(tmp_path: Path, arrays: dict[str, np.ndarray], spoil, message: str) -> None:
    net = load(tmp_path, rest=RULES)
    given = foreign(arrays)
    spoil(given)
    with pytest.raises(DataError) as info:
        match(net.inference, given, net.document.checkpoints)
    assert message in str(info.value) and "(by other)" in str(info.value)


@pytest.mark.parametrize("rule, code, column", [
    ('{from: "a{n}.{n}", to: "b"}', "NS204", 20),
    ('{from: "a{n}", to: "b{m}"}', "NS202", 26),
    ('{from: "a{n", to: "b"}', "NS301", 14),
    ('{from: "a{1n}", to: "b"}', "NS301", 14),
    ('{from: "a{x}{y}", to: "b"}', "NS301", 14),
    ('{from: "{x}a{y}a{z}", to: "b"}', "NS301", 14),
    ('{from: "a{n}", to: "b{n + }"}', "NS301", 33),
])
def test_mistakes_in_rules_have_a_place(tmp_path: Path, rule: str, code: str, column: int | None) -> None:
    net = load(tmp_path, rest=f"checkpoints:\n  other:\n    - {rule}\n")
    reporter = Reporter()
    rules_of(net.document.checkpoints, reporter)
    (found,) = reporter.diagnostics
    assert found.code == code and found.span is not None
    assert found.span.line == len((HEAD + STEPS).splitlines()) + 3
    assert column is None or found.span.col == column
    with pytest.raises(SpecError):
        match(net.inference, {}, net.document.checkpoints)


def test_rules_and_keys_made_to_be_slow_are_not(tmp_path: Path, tiny: Network) -> None:
    """Backtracking over twenty holes would take longer than anybody waits."""
    pattern = ".".join(f"{{a{i}}}_{{b{i}}}" for i in range(10))
    net = load(tmp_path, rest=f'checkpoints:\n  other:\n    - {{from: "{pattern}.end", to: null}}\n')
    key = ".".join(["_".join("a" * 60)] * 10) + ".other"
    start = time.perf_counter()
    with pytest.raises(DataError):
        match(net.inference, {key: np.zeros(1, np.float32)}, net.document.checkpoints)
    assert time.perf_counter() - start < 1


def test_heads_that_only_training_has_may_be_in_the_file(tmp_path: Path) -> None:
    net = load(tmp_path, """\
  - flatten
  - aux = tee: [linear: 3]
  - head = linear: 2
""", "outputs:\n  logits: head\n  aux: {from: aux, training_only: true}\n")
    full = draw(net.graph, 0)
    assert full.keys() - net.inference.tensors().keys() == {"aux.linear.weight", "aux.linear.bias"}
    save_file(full, tmp_path / "w.safetensors")
    assert net.arrays(weights=tmp_path / "w.safetensors").keys() == net.inference.tensors().keys()

