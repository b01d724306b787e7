"""Checkpoints that are made to hurt: each ends in an error, at once, with no more memory than the network needs."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import shlex
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from netspec_torch.outline import conversion
from safetensors.numpy import save_file

import netspec
from netspec.backend import read_checkpoint
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, NetspecError
from netspec.network import CheckpointWarning, Network
from netspec.weights.checkpoints.files import states_of
from netspec.weights.checkpoints.stored import Need

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


@pytest.fixture
def net(tmp_path: Path) -> Network:
    (tmp_path / "n.yaml").write_text(SPEC, encoding="utf-8")
    return netspec.load(tmp_path / "n.yaml")


def tensors(header: object, data: bytes = b"") -> bytes:
    """A safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def f32(shape: list[int], size: int = 4) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}


def npy(shape: tuple[int, ...], dtype: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def archive(entries: Sequence[tuple[str, bytes | Callable[[], bytes]]], packed: bool = True) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of zipfile, about two parts of one name
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as z:
                for name, data in entries:
                    z.writestr(name, data if isinstance(data, bytes) else data())

    return write


def pth(program: bytes) -> Callable[[Path], None]:
    """A PyTorch file whose pickle is this program."""
    return archive([("a/data.pkl", program), ("a/version", b"3\n"), ("a/byteorder", b"little")], packed=False)


def sparse(start: bytes, size: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(start)
        os.truncate(path, size)

    return write


PROTO = b"\x80\x02"
LONG = b"\x8a\x05\x00\x00\x00\x00\x02"  # 2^33
LAUGHS = b"}q\x00K\x01q\x01" + b"".join(b"h%ch%c\x86q%c" % (i - 1, i - 1, i) for i in range(2, 60)) + b"K\x01s."
LEGACY = b"".join(PROTO + part for part in (b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"M\xe9\x03.", b"}.", b"}.", b"]."))

FILES: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "header of 2^40 bytes.safetensors": (struct.pack("<Q", 2**40) + b"{" + bytes(100), "its header is said to have"),
    "header of 50 MB.safetensors": (tensors(b"{" + b" " * (50 * 2**20) + b"}"), "its header is said to have"),
    "deep header.safetensors": (tensors(b'{"a":' + b"[" * 100_000), "cannot|can be read"),
    "one name twice.safetensors": (
        tensors(b'{"a":%s,"a":%s}' % ((json.dumps(f32([1])).encode(),) * 2), bytes(4)),
        "two tensors of one name: a|duplicate",
    ),
    "shape of 2^80.safetensors": (tensors({"a": f32([2**40, 2**40])}, bytes(4)), "can be read"),
    "negative shape.safetensors": (tensors({"a": f32([-1])}, bytes(4)), "can be read"),
    "outside.safetensors": (tensors({"a": f32([2**20], 2**22)}, bytes(4)), "can be read"),
    "bomb.npz": (
        archive([("c.weight.npy", lambda: npy((2**27,), data=bytes(2**29)))]),
        r"134217728 in the file, 8x3x3x3",
    ),
    "shape of 2^80.npz": (archive([("a.npy", npy((2**40, 2**40)))]), "which are not its bytes"),
    "negative shape.npz": (archive([("a.npy", npy((-4, -1), data=bytes(16)))]), "cannot be read"),
    "header bomb.npz": (
        archive([("a.npy", lambda: b"\x93NUMPY\2\0" + struct.pack("<I", 2**30) + b" " * 2**28)]),
        "cannot be read",
    ),
    "60,000 parts.npz": (archive([(f"a{i}.npy", b"") for i in range(60_000)]), "its directory is said to have"),
    "one name twice.npz": (archive([("a.npy", npy((1,), data=bytes(4)))] * 2), "two parts of one name: a.npy"),
    "objects.npz": (archive([("a.npy", npy((1,), "|O", bytes(8)))]), "Python objects"),
    "records.npz": (archive([("a.npy", npy((1,), "|V4", bytes(4)))]), "unexpected in the file"),
    "text.npz": (archive([("a.npy", npy((1,), "<U1", bytes(4)))]), "unexpected in the file"),
    "short.npz": (archive([("c.weight.npy", npy((8, 3, 3, 3), data=bytes(100)))]), "which are not its bytes"),
    "an allocation.pth": (pth(PROTO + b"cbuiltins\nbytearray\n(" + LONG + b"tR."), "the class builtins.bytearray"),
    "a tensor of 2^33.pth": (pth(PROTO + b"ctorch\nTensor\n(" + LONG + b"tR."), "the class torch.Tensor"),
    "a storage of 2^33.pth": (pth(PROTO + b"ctorch.storage\nUntypedStorage\n(" + LONG + b"tR."), "UntypedStorage"),
    "encoding of encoding.pth": (pth(PROTO + b"c_codecs\nencode\n(X\1\0\0\0aX\3\0\0\0hextR."), "_codecs.encode"),
    "tuples of tuples.pth": (pth(PROTO + LAUGHS), "never be read"),
    "4,000,000 lists.pth": (pth(PROTO + b"]" * 4_000_000 + b"."), "more than what the network could need"),
    "a long name.pth": (pth(PROTO + b"c" + b"a" * 4_000_000), "is not a checkpoint of tensors alone"),
    "4,000,000 lists, old.pth": (PROTO + b"]" * 4_000_000 + b".", "more than what the network could need"),
    "10 GB, old.pth": (sparse(LEGACY, 10 * 2**30), "has 10,737,418,240 bytes"),
    "packed.pth": (archive([("a/data.pkl", lambda: b" " * 2**28)]), "its parts are compressed"),
    "other folders.index.json": (b'{"weight_map": {"a": "../../etc/passwd"}}', "is not a file next to it"),
    "itself.safetensors.index.json": (
        b'{"weight_map": {"a": "itself.safetensors.index.json"}}',
        "is not a file next to it",
    ),
    "deep.index.json": (b"[" * 1_000_000, "is not an index of shards"),
    "10 GB.index.json": (sparse(b"{", 10 * 2**30), "is not an index of shards"),
    "10 GB of nothing.npz": (sparse(b"PK\3\4", 10 * 2**30), "its end is missing"),
}

MEASURE = """
import resource, sys
from pathlib import Path
import netspec
from netspec.diagnostics.errors import DataError, UsageError
net = netspec.load("n.yaml")
net.to_torch()  # what the libraries take is not the checkpoint's
def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
before = peak()
for name in sys.argv[1:]:
    try:
        net.arrays(weights=name)
    except (DataError, UsageError) as e:
        print(f"{name}: {type(e).__name__}: {e}".replace("\\n", " "))
    else:
        raise SystemExit(f"{name} was read")
print((peak() - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_file_takes_more_memory_than_the_network_needs(net: Network, tmp_path: Path) -> None:
    for name, (content, _) in FILES.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            content(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *FILES], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    *lines, peak = done.stdout.splitlines()
    assert len(lines) == len(FILES)
    for line, (name, (_, message)) in zip(lines, FILES.items(), strict=True):
        assert line.startswith(f"{name}: DataError"), line
        assert re.search(message, line), line
    assert int(peak) < 300


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_checkpoint_with_other_large_tensors_takes_what_the_network_needs(net: Network, tmp_path: Path) -> None:
    """Of 1 GB beside the weights nothing is read."""
    state = {k: torch.from_numpy(v) for k, v in net.arrays(seed=1).items()}
    torch.save({"model": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2**28)}}}}, tmp_path / "w.pth")
    program = MEASURE.replace('    else:\n        raise SystemExit(f"{name} was read")\n', "")
    done = subprocess.run([sys.executable, "-c", program, "w.pth"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 300
    (tmp_path / "w.pth").unlink()


LARGE = ("bomb.npz", "60,000 parts.npz", "header bomb.npz", "packed.pth", "4,000,000 lists.pth")
"""Take seconds to write."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in FILES])
def test_a_file_that_is_made_to_hurt_is_refused(net: Network, name: str, tmp_path: Path) -> None:
    content, message = FILES[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
    with pytest.raises(DataError, match=message):
        net.arrays(weights=tmp_path / name)
    (tmp_path / name).unlink()


def test_pipes_devices_folders_and_locked_files(net: Network, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "locked.npz").write_bytes(b"PK")
    (tmp_path / "locked.npz").chmod(0)
    names = ["pipe.pth", "/dev/zero", "/dev/null", "folder.pth", "missing.npz", "a" * 5000, "\0"]
    if os.geteuid() != 0:
        names.append("locked.npz")
    os.symlink("pipe.pth", tmp_path / "link.npz")
    for name in [*names, "link.npz"]:
        for option in ("weights", "rules"):
            given = {"weights": tmp_path / "w.npz", option: tmp_path / name}
            if option == "rules":
                np.savez(tmp_path / "w.npz", **net.arrays())
            with pytest.raises(NetspecError, match="cannot be read") as info:
                net.arrays(**given)
            assert info.value.exit_code == 2
    line = [sys.executable, "-m", "netspec", "run", "n.yaml", "--weights", "pipe.pth"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "pipe" in done.stderr


# Pickles


@pytest.mark.parametrize(
    "value, name",
    [
        ({"args": argparse.Namespace(lr=1), "model": {"a": torch.zeros(1)}}, "argparse.Namespace"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"best": np.float64(3), "a": torch.zeros(1)}, r"numpy\S+scalar"),
        ({"a": np.zeros(3)}, r"numpy\S+_reconstruct"),
        ({"path": Path("a"), "a": torch.zeros(1)}, r"pathlib\S*Path"),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
def test_a_class_in_a_pickle_is_named_and_how_to_save_again(
    net: Network, value: object, name: str, old: bool, tmp_path: Path
) -> None:
    torch.save(value, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
    with pytest.raises(DataError, match=f"holds the class {name}") as info:
        net.arrays(weights=tmp_path / "w.pth")
    assert "torch.save(model.state_dict()" in info.value.help
    before, trusting, line = info.value.help.partition("; if you trust the file, of which this runs the code:\n")
    assert "weights_only=False" not in before and ("weights_only=False" in line) == bool(trusting)


def state() -> dict[str, torch.Tensor]:
    return {f"{layer}.{t}": torch.ones(2) for layer in "abcd" for t in ("weight", "bias")}


ODD = argparse.Namespace(lr=1)
CONVERTED: dict[str, tuple[object, str]] = {
    "model": ({"model": state(), "args": ODD}, "['model'], "),
    "after": ({"args": ODD, "epoch": 3, "net": {"state_dict": state()}}, "['net']['state_dict'], "),
    "optimizer": (
        {
            "args": ODD,
            "model": torch.nn.Linear(9, 9).state_dict(),
            "optimizer": {
                "state": {
                    i: {"step": torch.tensor(1.0), "exp_avg": torch.ones(9), "exp_avg_sq": torch.ones(9)}
                    for i in range(4)
                }
            },
        },
        "['model'], ",
    ),
    "average": (
        {"model": state(), "args": ODD, "ema": {"module": {**state(), "n": torch.tensor(3)}}},
        "{'model': d['model'], 'ema.module': d['ema']['module']}",
    ),
    "beside": ({**state(), "args": ODD}, "if torch.is_tensor(v)}, "),
    "inside": ({"model": {**state(), "a._extra_state": ODD}}, "if torch.is_tensor(v)}, "),
    "module": (torch.nn.Linear(2, 2), ".state_dict(), "),
    "module in it": ({"model": torch.nn.Sequential(torch.nn.Linear(2, 2)), "epoch": 3}, "['model'].state_dict()"),
    "parameters": ({"params": torch.nn.ParameterDict({"a": torch.ones(2)}).state_dict(), "args": ODD}, "['params']"),
}


def conversions(folder: Path, net: Network, protocol: int, old: bool) -> dict[str, str]:
    """The code that is printed for each."""
    found = {}
    for name, (value, wanted) in CONVERTED.items():
        torch.save(value, folder / f"{name}.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
        with pytest.raises(DataError) as info:
            net.arrays(weights=folder / f"{name}.pth")
        command, option, found[name] = shlex.split(info.value.help.splitlines()[-1])
        assert (command, option) == ("python", "-c") and wanted in found[name], found[name]
    return found


@pytest.mark.parametrize("protocol", [pytest.param(n, marks=pytest.mark.slow) for n in (2, 4)])
def test_the_line_that_is_printed_for_a_trusted_file_takes_its_tensors_out(
    net: Network, protocol: int, tmp_path: Path
) -> None:
    codes = conversions(tmp_path, net, protocol, protocol == 2)
    lines = [
        f"{code}\nimport os; os.replace('weights.pth', {str(tmp_path / f'{name}.new')!r})"
        for name, code in codes.items()
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    for name in CONVERTED:
        os.replace(tmp_path / f"{name}.new", tmp_path / "new.pth")
        states = states_of(tmp_path / "new.pth", Need(), read_checkpoint)
        assert len(states) == 1 + (name == "average") and states[0].tensors, name
        if name in ("model", "beside", "inside", "average"):
            assert dict(states[0].tensors).keys() == state().keys(), name


def test_no_line_has_words_of_a_file_that_a_shell_would_read(net: Network, tmp_path: Path) -> None:
    for key in ("a'b", 'a"; rm x; "', "$(touch x)", "`x`", "a\nb", "k" * 100, "\u202e"):
        torch.save({key: state(), "args": ODD}, tmp_path / "w.pth")
        with pytest.raises(DataError) as info:
            net.arrays(weights=tmp_path / "w.pth")
        assert key not in info.value.help and "weights_only" not in info.value.help
    torch.save({"model": state(), "args": ODD}, tmp_path / "it's $HOME.pth")
    with pytest.raises(DataError) as info:
        net.arrays(weights=tmp_path / "it's $HOME.pth")
    assert "torch.load('FILE', " in info.value.help and "HOME" not in info.value.help


def test_no_instructions_of_a_pickle_break_its_outline(tmp_path: Path) -> None:
    """Whatever they are, there is a line or none, after as many steps as there are instructions."""
    rng = np.random.default_rng(0)
    whole = pickle.dumps({"model": {"a": 1, "b": [2, (3, 4)]}, "args": ODD}, 2)
    for _ in range(200):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.choice([*b"(}])tuseab02.NRQqhrjX", rng.integers(256)])
        conversion(tmp_path, bytes(data), 10_000)
    assert conversion(tmp_path, b"(" * 10_000 + b"}" * 10_000 + b"(t" * 10_000 + b".", 10**6) == ""
    loop = b"}q\0X\1\0\0\0ah\0s."
    assert conversion(tmp_path, loop, 100) == ""


def test_pickles_of_other_protocols_and_scripts(net: Network, tmp_path: Path) -> None:
    state = {k: torch.from_numpy(v) for k, v in net.arrays(seed=1).items()}
    for protocol in (2, 3, 4, 5):
        torch.save(state, tmp_path / "w.pth", pickle_protocol=protocol)
        try:
            found = net.arrays(weights=tmp_path / "w.pth")
        except DataError as e:
            assert protocol > 3 and "torch.save(model.state_dict()" in e.help, protocol
        else:
            assert all(np.array_equal(found[k], state[k].numpy()) for k in state)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "s.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(DataError, match="a scripted model"):
        net.arrays(weights=tmp_path / "s.pt")
    with (tmp_path / "p.pkl").open("wb") as f:
        pickle.dump({"a": 1}, f, 2)
    with pytest.raises(DataError):
        net.arrays(weights=tmp_path / "p.pkl")


def test_what_is_shared_expanded_or_of_other_types(net: Network, tmp_path: Path) -> None:
    """Views, expanded and transposed tensors, parameters, and both byte orders."""
    arrays = net.arrays(seed=1)
    state = {k: torch.from_numpy(v) for k, v in arrays.items()}
    state["bn.weight"] = torch.ones(1).expand(8)
    state["fc.weight"] = torch.from_numpy(arrays["fc.weight"].T.copy()).T
    state["c.bias"] = torch.nn.Parameter(torch.cat([torch.zeros(3), state["c.bias"]])[3:])
    for old in (False, True):
        torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
        found = net.arrays(weights=tmp_path / "w.pth")
        assert all(np.array_equal(found[k], state[k].detach().numpy()) for k in state)
    np.savez(tmp_path / "w.npz", **{k: np.asfortranarray(v.astype(">f8")) for k, v in arrays.items()})
    found = net.arrays(weights=tmp_path / "w.npz")
    assert all(np.array_equal(found[k], v) and found[k].dtype == np.float32 for k, v in arrays.items())


def test_a_pth_of_the_other_byte_order_is_refused(net: Network, tmp_path: Path) -> None:
    """PyTorch does not swap the bytes of a file that it maps."""
    torch.save({k: torch.from_numpy(v) for k, v in net.arrays(seed=1).items()}, tmp_path / "w.pth")
    other = "little" if sys.byteorder == "big" else "big"
    with zipfile.ZipFile(tmp_path / "w.pth") as old, zipfile.ZipFile(tmp_path / "v.pth", "w") as new:
        for part in old.infolist():
            new.writestr(part.filename, other if part.filename.endswith("byteorder") else old.read(part))
    with pytest.raises(DataError, match="the other order of bytes"):
        net.arrays(weights=tmp_path / "v.pth")


def test_what_was_read_does_not_change_with_the_file(net: Network, tmp_path: Path) -> None:
    for suffix, write in (
        (".pth", lambda a, p: torch.save({k: torch.from_numpy(v) for k, v in a.items()}, p)),
        (".safetensors", save_file),
        (".npz", lambda a, p: np.savez(p, **a)),
    ):
        path = tmp_path / f"w{suffix}"
        write(net.arrays(seed=1), path)
        found = net.arrays(weights=path)
        data = path.read_bytes()
        with path.open("r+b") as f:
            f.write(bytes(len(data)))
        assert all(np.array_equal(found[k], v) for k, v in net.arrays(seed=1).items()), suffix


def test_float8_tensors_are_what_torch_has(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    codes = torch.arange(256, dtype=torch.uint8)
    kinds = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
    save_torch({k: codes.clone().view(t) for k, t in kinds.items()}, tmp_path / "w.safetensors")
    (state,) = states_of(tmp_path / "w.safetensors", Need(), read_checkpoint)
    for key, kind in kinds.items():
        np.testing.assert_array_equal(state.tensors[key].read(), codes.view(kind).float().numpy())


def test_types_that_are_no_weights(net: Network, tmp_path: Path) -> None:
    rest = {k: v for k, v in net.arrays().items() if k != "bn.weight"}
    for dtype in ("F8_E8M0", "I8", "BOOL", "U8"):
        header = {k: {"dtype": "F32", "shape": list(v.shape), "data_offsets": [0, 0]} for k, v in rest.items()}
        header["bn.weight"] = {"dtype": dtype, "shape": [8], "data_offsets": [0, 0]}
        data, at = b"", 0
        for key, entry in header.items():
            part = rest[key].tobytes() if key in rest else bytes(8)
            entry["data_offsets"], at = [at, at + len(part)], at + len(part)
            data += part
        (tmp_path / "w.safetensors").write_bytes(tensors(header, data))
        with pytest.raises(DataError, match=r"bn\.weight: \w+ in the file, a network's weights are float|read"):
            net.arrays(weights=tmp_path / "w.safetensors")


# Values


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("fc.weight", np.nan, "NaN in fc.weight"),
        ("bn.running_mean", np.inf, "infinite values in bn.running_mean"),
        ("c.bias", -np.inf, "infinite values in c.bias"),
        ("bn.running_var", -0.5, "negative variances in bn.running_var"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
def test_values_that_are_no_weights_are_warned_of(
    net: Network, key: str, value: float, message: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = net.arrays(seed=1)
    arrays[key].flat[3] = value
    path = tmp_path / f"w{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".pth":
        torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, path)
    else:
        save_file(arrays, path)
    with pytest.warns(CheckpointWarning, match=f"the checkpoint has {message}"):
        net.arrays(weights=path)
    if (key, suffix) == ("fc.weight", ".npz"):
        line = ["compile", str(tmp_path / "n.yaml"), "--to", "onnx", "--weights", str(path)]
        assert run([*line, "-o", str(tmp_path / "loose.onnx")]) == 0
        assert f"warning[NS604]: the checkpoint has {message}" in capsys.readouterr().err
        assert run([*line, "-o", str(tmp_path / "strict.onnx"), "--strict"]) == 1
        assert f"error[NS604]: the checkpoint has {message}" in capsys.readouterr().err
        assert not (tmp_path / "strict.onnx").exists()


def test_the_first_tensors_are_named(tmp_path: Path) -> None:
    net = netspec.load("resnet18")
    np.savez(
        tmp_path / "w.npz", **{k: np.full_like(v, np.nan) if "bn.running" in k else v for k, v in net.arrays().items()}
    )
    with pytest.warns(CheckpointWarning, match=r"NaN in conv1\.bn\.running_mean, .*, and 35 more$"):
        net.arrays(weights=tmp_path / "w.npz")


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
def test_a_double_beyond_single_is_an_error(net: Network, suffix: str, tmp_path: Path) -> None:
    arrays = {k: v.astype(np.float64) for k, v in net.arrays(seed=1).items()}
    path = tmp_path / f"w{suffix}"
    for value, wrong in ((1e39, True), (-1e300, True), (3.4e38, False), (1e-300, False)):
        arrays["fc.bias"][2] = value
        if suffix == ".npz":
            np.savez(path, **arrays)
        elif suffix == ".pth":
            torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, path)
        else:
            save_file(arrays, path)
        if wrong:
            with pytest.raises(DataError, match="fc.bias has float64 values beyond float32"):
                net.arrays(weights=path)
        else:
            assert net.arrays(weights=path)["fc.bias"][2] == np.float32(value)
