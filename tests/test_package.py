"""The manifest agrees with itself, and the wheel works where there is no checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import netspec

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, str]:
    """The versions of tools/constraints.txt by name."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return {name.lower(): pin for name, _, pin in (line.partition("==") for line in lines if line[:1] not in ("", "#"))}


def test_the_version_is_one() -> None:
    assert version("netspec-compiler") == netspec.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", netspec.__version__)


def test_every_dependency_is_tested_at_a_version_that_the_manifest_allows() -> None:
    pinned = pins()
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(item for extra in extras for item in extra)]:
        expected = Requirement(text)
        if expected.marker and not expected.marker.evaluate({"sys_platform": "linux"}):
            continue
        assert expected.name.lower() in pinned, f"tools/constraints.txt does not pin {expected.name}"
        assert expected.specifier.contains(pinned[expected.name.lower()]), f"{text} is tested at another version"


def test_lower_bounds_are_the_versions_that_are_run() -> None:
    """tools/oldest.txt for what users install (`tools/dev test --oldest`), constraints.txt for the tools."""
    lines = (ROOT / "tools" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = {Requirement(line) for line in lines if line and line[0] != "#"}
    extras = PROJECT["optional-dependencies"]
    users = [*PROJECT["dependencies"], *(item for name, extra in extras.items() if name != "dev" for item in extra)]
    plain = [re.sub(r"\[.*?\]", "", item) for item in users]  # a constraint has no extras
    assert oldest == {Requirement(item.replace(">=", "==")) for item in plain}
    assert all(str(Requirement(item).specifier).startswith(">=") for item in users)
    for item in map(Requirement, extras["dev"]):
        assert str(item.specifier) == f">={pins()[item.name.lower()]}"


def test_both_backends_are_found_by_name() -> None:
    found = {entry.name: entry.load().name for entry in entry_points(group="netspec.backends")}
    assert found["torch"] == "torch"
    assert found["onnx"] == "onnx"


def command(*args: str | Path, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command that knows nothing of this checkout; asserts its exit status."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run([str(a) for a in args], cwd=cwd, capture_output=True, text=True, env=clean, timeout=300)
    assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel built from the checkout, and one built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation")
    command(*build, "--wheel", "-o", folder / "direct", ROOT, cwd=folder)
    command(*build, "-o", folder / "by_sdist", ROOT, cwd=folder)  # build makes the wheel out of the sdist
    (direct,), (by_sdist,) = ((folder / name).glob("*.whl") for name in ("direct", "by_sdist"))
    return direct, by_sdist


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_the_specs(wheels: tuple[Path, Path]) -> None:
    direct, by_sdist = (set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels)
    assert direct == by_sdist
    specs = {f"netspec/specs/{path.relative_to(ROOT / 'specs').as_posix()}" for path in ROOT.glob("specs/**/*.yaml")}
    assert specs and {*specs, "netspec/specs/netspec.schema.json"} <= direct
    assert "netspec/running/assets/imagenet.txt" in direct
    tops = {name.partition("/")[0] for name in direct if ".dist-info/" not in name}
    assert tops == {"netspec", "netspec_torch", "netspec_onnx"}


@pytest.mark.slow
def test_an_installed_wheel_compiles_googlenet_from_an_empty_folder(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    env, empty = tmp_path / "env", tmp_path / "empty"
    empty.mkdir()
    venv.create(env, with_pip=True)
    bin_ = env / ("Scripts" if os.name == "nt" else "bin")
    command(bin_ / "python", "-m", "pip", "install", "-q", "-c", CONSTRAINTS, wheels[1], cwd=empty)

    command(bin_ / "netspec", "compile", "googlenet", "--to", "onnx", "-o", "g.onnx", cwd=empty)
    assert [path.name for path in empty.iterdir()] == ["g.onnx"]
    count = (
        "import onnx, math; onnx.checker.check_model('g.onnx', full_check=True); "
        "print(sum(math.prod(t.dims) for t in onnx.load('g.onnx').graph.initializer if t.data_type == 1))"
    )
    assert int(command(bin_ / "python", "-c", count, cwd=empty).stdout) == 6_998_552

    rows = json.loads(command(bin_ / "netspec", "list", "specs", "-f", "json", cwd=empty).stdout)
    assert {"googlenet", "resnet50", "densenet121", "squeezenet", "mobilenet_v2"} <= {row["name"] for row in rows}

    # Without the extras the commands that need them say which one to install, and end with 3.
    missing = command(bin_ / "netspec", "run", "g.onnx", cwd=empty, status=3)
    assert "netspec-compiler[run]" in missing.stderr
    assert "Traceback" not in missing.stderr
