"""Checkpoints that are made to hurt: each ends in an error, at once, with no more memory than the network needs."""

from __future__ import annotations

import json
import os
import re
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
from hostile_checkpoints import small, tensors
from safetensors.numpy import save_file

from netspec.diagnostics.errors import DataError, NetspecError
from netspec.network import Network


@pytest.fixture
def net(tmp_path: Path) -> Network:
    return small(tmp_path)


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
    done = subprocess.run(
        [sys.executable, "-c", program, "w.pth"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
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


@pytest.mark.slow
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
