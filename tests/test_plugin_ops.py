"""Ops from outside: a package is installed into a folder of its own, and its ops are like those of the core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tests" / "plugins" / "extra_ops"

SPEC = """\
netspec: 1
name: gem
input: [3, 17, 12]
body:
  - conv: {out: 8, kernel: 3, pad: half}
  - hard_mish                                        # -> 8x17x12
  - pool = gem_pool: {eps: 0.01, init: {weight: 2}}
  - flatten
  - linear: 5
expect: {params: 270, receptive_field: {hard_mish: 3}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into, from a copy of its source, as a user installs one."""
    folder = tmp_path_factory.mktemp("plugin")
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *flags, str(folder / "site"), str(PACKAGE)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (folder / "gem.yaml").write_text(SPEC, encoding="utf-8")
    return folder


def python(folder: Path, *args: str, plugin: bool = True) -> subprocess.CompletedProcess[str]:
    """A fresh Python in the folder, which finds the package or does not."""
    paths = [str(folder / "site")] * plugin + [str(ROOT), str(ROOT / "backends")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True, timeout=300)


CALLS = """\
import contextlib, io, json, sys
from netspec.cli.main import main
printed = []
for args in json.loads(sys.argv[1]):
    sys.argv = ["netspec", *args]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as stop:
            assert not stop.code, (args, stop.code)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


def netspec(folder: Path, *commands: str) -> list[str]:
    """What each of some commands prints; all must succeed."""
    done = python(folder, "-c", CALLS, json.dumps([command.split() for command in commands]))
    assert done.returncode == 0, done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


def test_the_spec_is_an_error_without_the_package(installed: Path) -> None:
    done = python(installed, "-m", "netspec", "check", "gem.yaml", plugin=False)
    assert done.returncode == 1 and "there is no op or block 'hard_mish'" in done.stderr


def test_it_is_checked_listed_drawn_and_summed_up(installed: Path) -> None:
    (schema,) = netspec(installed, "schema")
    _, listed, summary, drawn, explained = netspec(
        installed,
        "check gem.yaml --strict",
        "list ops -f json",
        "summary gem.yaml -f json",
        "draw gem.yaml -f dot -o - --show rf,names",
        "explain gem.yaml pool",
    )
    ops = {row["name"]: row for row in json.loads(listed)}
    assert ops["gem_pool"]["arguments"].strip() == "| eps=1e-06"
    assert ops["hard_mish"]["manual"] == "x * min(max(x + 2, 0), 2) / 2, the shape stays."
    assert json.loads(summary)["totals"]["params"] == 3 * 8 * 9 + 8 + 1 + 8 * 5 + 5
    assert "hard Mish" in drawn and "GeM pool" in drawn
    assert "sees 3\u00d73" in drawn and "sees the whole input" in drawn
    assert "op_gem_pool" in schema and "hard_mish" in schema
    assert "generalised mean" in explained and "pool.weight: 1 parameters" in explained


def test_an_alias_and_a_misspelling_find_it(installed: Path) -> None:
    for old, new, meant in (
        ("- hard_mish ", "- HardMish ", "hard_mish"),
        ("gem_pool", "GeneralizedMeanPooling", "gem_pool"),
    ):
        (installed / "wrong.yaml").write_text(SPEC.replace(old, new), encoding="utf-8")
        done = python(installed, "-m", "netspec", "check", "wrong.yaml")
        assert done.returncode == 1 and f"did you mean '{meant}'?" in done.stderr


def test_both_targets_are_written_and_give_the_same(installed: Path) -> None:
    np.save(installed / "x.npy", np.random.default_rng(0).standard_normal((2, 3, 17, 12), np.float32))
    netspec(
        installed,
        "compile gem.yaml --to torch -o gem.py",
        "compile gem.yaml --to onnx -o gem.onnx",
        "run gem.yaml --backend torch --npy x.npy --save torch.npz",
        "run gem.yaml --backend onnx --npy x.npy --save onnx.npz",
        "run gem.onnx --npy x.npy --save file.npz",
    )
    source = (installed / "gem.py").read_text(encoding="utf-8")
    assert "class GeMPool(nn.Module):" in source and "def hard_mish(x):" in source
    first, *others = (next(iter(np.load(installed / f"{name}.npz").values())) for name in ("torch", "onnx", "file"))
    assert first.shape == (2, 5)
    for other in others:
        assert np.abs(first - other).max() <= 1e-5 * np.abs(first).max()
    alone = "import sys, torch, gem; print(gem.load()(torch.zeros(1, 3, 17, 12)).shape, 'netspec' in sys.modules)"
    done = python(installed, "-c", alone, plugin=False)
    assert done.returncode == 0 and "[1, 5]) False" in done.stdout, done.stderr


SAMPLES = """\
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from conformance import arrays_of, one_op
from netspec.backend import get
from netspec_onnx.options import OnnxOptions
from netspec.ops import OPS, lookup
from netspec.weights.initialise import draw, initialise

lookup("_")
names = [op.name for op in OPS.values() if op.fn.__module__ == "netspec_extra_ops"]
assert names == ["hard_mish", "gem_pool"], names
for name in names:
    for attrs, shapes in OPS[name].samples:
        graph = one_op(name, dict(attrs), shapes)
        weights, inputs = draw(graph, 3), arrays_of(shapes, 2)
        x = inputs["x0"].astype(np.float64)
        if name == "hard_mish":
            expected = x * np.clip(x + 2, 0, 2) / 2
        else:
            p = float(weights["step.weight"][0])
            expected = (np.maximum(x, attrs.get("eps", 1e-6)) ** p).mean((2, 3), keepdims=True) ** (1 / p)
            assert initialise(graph)["step.weight"].tolist() == [3.0]
        half = {{"options": OnnxOptions(dtype="float16", io_dtype="float16")}}
        for backend, options, near in (("torch", {{}}, 1e-5), ("onnx", {{}}, 1e-5), ("onnx", half, 5e-3)):
            got = get(backend).run(graph, weights, inputs, **options).outputs["y0"]
            assert got.shape == expected.shape
            assert np.abs(got - expected).max() <= near * np.abs(expected).max(), (name, backend)
"""


def test_the_samples_give_what_their_definitions_say(installed: Path) -> None:
    done = python(installed, "-c", SAMPLES.format(tests=str(ROOT / "tests")))
    assert done.returncode == 0, done.stderr


def test_an_op_without_a_lowering_is_an_error_of_the_backend(installed: Path) -> None:
    """A plug-in need not know every backend; what it does not know of is said by name."""
    without = (
        "import netspec_extra_ops.torch_rows as rows, netspec.backend as b; b._LOWERINGS['torch'].pop('gem_pool')\n"
    )
    code = without + "from netspec.cli.main import main; import sys; sys.argv = ['netspec', 'compile', 'gem.yaml', "
    done = python(installed, "-c", code + "'--to', 'torch', '-o', 'none.py']; main()")
    assert done.returncode == 1 and "the torch backend has no row for 'gem_pool' (pool)" in done.stderr
    assert not (installed / "none.py").exists()
