"""A folder of odd files, and a caller that finds a traceback or a file that was changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netspec.cli.main import run

NET = """\
netspec: 1
name: net
params:
  classes: 10
  act: {type: block, default: relu}
  layers: [2, 3]
  wide: false
  rate: 0.5
  k: {type: size, default: 3}
  p: {type: pad, default: half}
  s: {type: str, default: a, one_of: [a, b]}
variants: {small: {}, big: {classes: 20}}
input: [3, 16, 16]
blocks:
  cell:
    params: {out: int}
    examples: [{input: [3, 8, 8], args: 4}]
    body: [conv: [=out, 1]]
body:
  - cell: =4 * len(layers) if wide else 4
  - conv: {out: 4, kernel: =k, pad: =p}
  - act
  - dropout: =rate if s == 'a' else 0.1
  - global_avg_pool
  - flatten
  - linear: =classes
"""


LIB = """\
netspec: 1
name: lib
blocks:
  widen: {params: {out: int}, body: [conv: [=out, 1]]}
  two: {inputs: [a, b], body: [add: {l: a, r: b}]}
"""


def fill(folder: Path) -> None:
    """Writes a spec, a library, and files that are none, into a folder."""
    (folder / "net.yaml").write_text(NET)
    (folder / "lib.yaml").write_text(LIB)
    for name in ("folder", "dir.yaml"):
        (folder / name).mkdir()
    files = {
        "empty.yaml": b"",
        "bin.yaml": bytes(range(256)),
        "null.yaml": b"null\n",
        "list.yaml": b"- a\n",
        "two.yaml": b"netspec: 1\n---\nnetspec: 1\n",
        "x.onnx": b"garbage",
        "empty.onnx": b"",
        "big.yaml": b"# x\n" * 1_100_000,
        "w.npz": b"PK\x03\x04",
        "w.pth": b"\x80",
        "i.png": b"\x89PNG",
        "w.safetensors": b"\0" * 20,
        "bad.npy": b"\x93NUMPY",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    os.symlink("nowhere.yaml", folder / "dangling.yaml")
    os.symlink("loop.yaml", folder / "loop.yaml")
    os.symlink("net.yaml", folder / "link.yaml")


def snapshot() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in Path().rglob("*") if p.is_file()}


class Caller:
    """Runs command lines in a row and looks at what each leaves."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys, self.before = capsys, snapshot()

    def __call__(self, *args: str) -> tuple[int, str]:
        code = run(list(args))
        err = self.capsys.readouterr().err
        assert code in (0, 1, 2, 3) and "error: a bug" not in err, f"{args}: {code} {err}"
        assert code == 0 or err.strip(), f"{args}: exit code {code} and no message"
        after = snapshot()
        lost = [name for name, data in self.before.items() if after.get(name) != data]
        assert not lost, f"{args}: {lost} is not what it was"
        new = set(after) - set(self.before)
        assert code == 0 or not new, f"{args}: {new} is left behind"
        for name in new:
            Path(name).unlink()
        return code, err
