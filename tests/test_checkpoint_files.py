"""Checkpoints that are read, mapped by rules, and refused."""

from __future__ import annotations

import json
import os
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from netspec_torch.mapped import Mapped
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

import netspec
from netspec.backend import read_checkpoint
from netspec.diagnostics.errors import DataError, SpecError, UsageError
from netspec.network import Network
from netspec.weights.checkpoints.account import Target
from netspec.weights.checkpoints.choices import Choices
from netspec.weights.checkpoints.files import states_of
from netspec.weights.checkpoints.load import fit
from netspec.weights.checkpoints.stored import Need, State, Stored
from netspec.weights.initialise import draw

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


@pytest.fixture
def arrays(tiny: Network) -> dict[str, np.ndarray]:
    return draw(tiny.inference, 0)


def values_of(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a file, read."""
    states = states_of(path, Need(), read_checkpoint)
    return {key: value.read() for state in states for key, value in state.tensors.items()}


def match(net: Network, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of a network out of the tensors of a file."""
    states = [State((), {key: Stored.of(value) for key, value in arrays.items()})]
    return fit(net, states, Target.of(net.inference, net.graph), Choices()).arrays.all()


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.slow
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
        expected = {key: value.to(dtype).to(torch.float32).numpy() for key, value in state.items()}
        save_torch_file({key: value.to(dtype) for key, value in state.items()}, tmp_path / "w.safetensors")
        torch.save({key: value.to(dtype) for key, value in state.items()}, tmp_path / "w.pth")
        for name in ("w.safetensors", "w.pth"):
            read = tiny.arrays(weights=tmp_path / name)
            assert equal(read, expected) and {a.dtype for a in read.values()} == {np.dtype(np.float32)}, (dtype, name)


def test_nan_and_infinity_stay(tiny: Network, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    arrays["head.bias"][:2] = np.nan, np.inf
    save_file(arrays, tmp_path / "w.safetensors")
    read = tiny.arrays(weights=tmp_path / "w.safetensors")["head.bias"]
    assert np.isnan(read[0]) and np.isinf(read[1])


def header_of(size: int) -> bytes:
    """A safetensors file whose header says more than there is."""
    text = json.dumps({"a": {"dtype": "F32", "shape": [size], "data_offsets": [0, 4 * size]}}).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "name, data, error",
    [
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
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(
    tmp_path: Path, name: str, data: bytes, error: type[Exception]
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=name):
        values_of(tmp_path / name)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            values_of(path)


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
            values_of(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("position", [100, 300, 3000, -30])
def test_a_damaged_archive_is_refused(tmp_path: Path, position: int) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, weight=np.arange(5000, dtype=np.float32))
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    data[position + 1] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(DataError):
        values_of(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pth", "old.pt"])
@pytest.mark.quick(1)
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
        path.write_bytes(data.tobytes()[: None if rng.random() < 0.8 else int(rng.integers(len(data)))])
        try:
            values_of(path)
        except (DataError, UsageError):
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("value", [torch.eye(3).to_sparse(), torch.empty(3, device="meta"), "words", 3])
def test_what_holds_no_numbers_is_no_checkpoint(tmp_path: Path, value: object) -> None:
    torch.save({"a.weight": value}, tmp_path / "w.pth")
    with pytest.raises(DataError):
        values_of(tmp_path / "w.pth")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as z:
        z.writestr("readme.txt", "no array")
    with pytest.raises(DataError, match="is not an array"):
        values_of(tmp_path / "w.npz")


@pytest.mark.parametrize("text", ["(", "{'descr': '<f4', 'shape': (1", "(" * 5000, "0 if", "\0"])
def test_a_header_that_is_no_python_is_refused(tmp_path: Path, text: str) -> None:
    """numpy reads it with tokenize and ast, whose errors are of other classes."""
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as z:
        z.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
    with pytest.raises(DataError):
        values_of(tmp_path / "w.npz")


# Keys


def test_keys_that_do_not_fit_are_listed(tiny: Network, arrays: dict[str, np.ndarray]) -> None:
    given = dict(arrays)
    del given["bn.bias"]
    given["extra.weight"] = np.zeros(3, np.float32)
    given["head.weight"] = np.zeros((300, 7), np.float32)
    given["head.bias"] = np.zeros(300, np.int64)
    with pytest.raises(DataError) as info:
        match(tiny, given)
    assert info.value.code == "NS602"
    text = str(info.value)
    assert "missing in the file (1):\n    bn.bias" in text
    assert "unexpected in the file (1):\n    extra.weight" in text
    assert "head.weight: 300x7 in the file, 300x6400 in the network" in text
    assert "of another type (1)" in text and "head.bias: int64 in the file" in text


def test_a_long_list_is_cut(tiny: Network) -> None:
    with pytest.raises(DataError) as info:
        match(tiny, {f"layer{i}.weight": np.zeros(1, np.float32) for i in range(1000)})
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
    assert equal(match(net, given), arrays)
    assert equal(match(net, arrays), arrays), "its own names need no rule"


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda a: a.pop("features.0.bias"), "missing in the file (1):\n    stem.bias"),
        (lambda a: a.update({"features.0.scale": a["features.0.bias"]}), "features.0.scale (as stem.scale)"),
        (
            lambda a: a.update({"features.9.bias": a["features.0.bias"]}),
            "unexpected in the file (1):\n    features.9.bias",
        ),
        (
            lambda a: a.update({"features.x.bias": a["features.0.bias"]}),
            "unexpected in the file (1):\n    features.x.bias",
        ),
        (lambda a: a.update({"stem.bias": a["features.0.bias"]}), "mapped twice (1):\n    stem.bias"),
        (lambda a: a.update({"features.0.weight": a["features.0.weight"].reshape(64, 36)}), "of another shape (1)"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path: Path, arrays: dict[str, np.ndarray], spoil, message: str) -> None:
    net = load(tmp_path, rest=RULES)
    given = foreign(arrays)
    spoil(given)
    with pytest.raises(DataError) as info:
        match(net, given)
    assert message in str(info.value) and "(by other)" in str(info.value)


@pytest.mark.parametrize(
    "rule, code, column",
    [
        ('{from: "a{n}.{n}", to: "b"}', "NS204", 20),
        ('{from: "a{n}", to: "b{m}"}', "NS202", 26),
        ('{from: "a{n", to: "b"}', "NS301", 14),
        ('{from: "a{1n}", to: "b"}', "NS301", 14),
        ('{from: "a{x}{y}", to: "b"}', "NS301", 14),
        ('{from: "{x}a{y}a{z}", to: "b"}', "NS301", 14),
        ('{from: "a{n}", to: "b{n + }"}', "NS301", 33),
    ],
)
def test_mistakes_in_rules_have_a_place(tmp_path: Path, rule: str, code: str, column: int | None) -> None:
    with pytest.raises(SpecError) as info:
        load(tmp_path, rest=f"checkpoints:\n  other:\n    - {rule}\n")
    (found,) = info.value.diagnostics
    assert found.code == code and found.span is not None
    assert found.span.line == len((HEAD + STEPS).splitlines()) + 3
    assert column is None or found.span.col == column


def test_rules_and_keys_made_to_be_slow_are_not(tmp_path: Path, tiny: Network) -> None:
    """Backtracking over twenty holes would take longer than anybody waits."""
    pattern = ".".join(f"{{a{i}}}_{{b{i}}}" for i in range(10))
    net = load(tmp_path, rest=f'checkpoints:\n  other:\n    - {{from: "{pattern}.end", to: null}}\n')
    key = ".".join(["_".join("a" * 60)] * 10) + ".other"
    start = time.perf_counter()
    with pytest.raises(DataError):
        match(net, {key: np.zeros(1, np.float32)})
    assert time.perf_counter() - start < 1


def test_heads_that_only_training_has_may_be_in_the_file(tmp_path: Path) -> None:
    net = load(
        tmp_path,
        """\
  - flatten
  - aux = tee: [linear: 3]
  - head = linear: 2
""",
        "outputs:\n  logits: head\n  aux: {from: aux, training_only: true}\n",
    )
    full = draw(net.graph, 0)
    assert full.keys() - net.inference.tensors().keys() == {"aux.linear.weight", "aux.linear.bias"}
    save_file(full, tmp_path / "w.safetensors")
    assert net.arrays(weights=tmp_path / "w.safetensors").keys() == net.inference.tensors().keys()


def test_rules_read_params_and_let(tmp_path: Path) -> None:
    spec = Path(__file__).parent / "good" / "rules_read_params.yaml"
    for layers in (2, 5):
        net = netspec.load(spec, layers=layers)
        arrays = net.arrays(seed=3)
        path = tmp_path / f"{layers}.npz"
        np.savez(
            path,
            **{
                k.replace(f"stage{s}.", f"features.{layers * s}."): v
                for s in range(3)
                for k, v in arrays.items()
                if k.startswith(f"stage{s}.")
            },
        )
        found = net.arrays(weights=path)
        assert all(np.array_equal(found[k], v) for k, v in arrays.items())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what is mapped is known on Linux")
def test_tensors_of_a_mapped_file_are_read_past_the_mapping(tmp_path: Path) -> None:
    """A checkpoint's pages do not stay in memory: contiguous tensors come from the file, others by their strides."""
    path = tmp_path / "a name with blanks.pth"
    state = {"a": torch.randn(64, 33), "b": torch.randn(5, 7).double(), "c": torch.randn(3).half(), "d": torch.ones(())}
    torch.save({**state, "t": state["a"].T, "view": state["a"][3:5]}, path)
    loaded = torch.load(path, weights_only=True, mmap=True)
    file = Mapped(path)
    assert file.ranges
    for key, tensor in loaded.items():
        found = file.read(tensor)
        assert found.dtype == tensor.numpy().dtype and np.array_equal(found, tensor.numpy()), key
        assert not np.shares_memory(found, tensor.numpy()), key
    (tmp_path / "new").write_bytes(bytes(path.stat().st_size))
    os.replace(tmp_path / "new", path)  # another file of that name: the mapping has what was there
    assert np.array_equal(file.read(loaded["a"]), state["a"].numpy())
    assert np.array_equal(Mapped(tmp_path / "none").read(state["a"]), state["a"].numpy())
