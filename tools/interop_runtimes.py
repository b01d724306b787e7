"""The runtimes that `tools/dev interop` compares with, a row each, and the environment that each has of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / ".interop"


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime: its function in interop_runner.py, what installs it, and the options of its files."""

    runner: str
    packages: tuple[str, ...]
    options: Mapping[str, object]
    """What the files for it are compiled with."""
    bare: tuple[str, ...] = ()
    """What pip installs without its requirements: PyTorch's plain wheel would bring gigabytes of CUDA."""
    npm: tuple[str, ...] = ()
    shares: bool = False
    """Whether it sees torch and what else is in the environment that runs this."""
    bound: float = 1e-4
    """The largest difference from torch that passes, of the largest value of an output."""

    @property
    def called(self) -> str:
        """The options as the command line has them; nothing where there are none."""
        words = {"for_": "--for", "batch": "-b", "opset": "--opset"}
        return " ".join(f"{words[name]} {value}" for name, value in self.options.items())


def preset(name: str, *packages: str, **more: object) -> Runtime:
    """A runtime that has a preset of `--for`, and is run by the function of that name."""
    return Runtime(name, packages, {"for_": name}, **more)  # type: ignore[arg-type]


RUNTIMES = {
    "onnxruntime 1.32.0": preset("onnxruntime", "onnxruntime==1.32.0"),
    # The oldest that netspec itself asks for.
    "onnxruntime 1.25.0": preset("onnxruntime", "onnxruntime==1.25.0"),
    # 1.14 was the first with opset 18, which files have by default; of it there is no wheel for Python 3.11.
    "onnxruntime 1.15.0": Runtime("onnxruntime", ("onnxruntime==1.15.0", "numpy<2"), {}),
    "OpenVINO 2026.4.1": preset("openvino", "openvino==2026.4.1"),
    "MNN 3.6.1": preset("mnn", "mnn==3.6.1"),
    "ncnn 1.0.20261020": preset("ncnn", "ncnn==1.0.20261020", bare=("pnnx==20261020",)),
    "tract 0.23.9": preset("tract", "tract==0.23.9"),
    "OpenCV 5.0.0.93": preset("opencv", "opencv-python-headless==5.0.0.93"),
    "onnx2torch 1.5.15": Runtime("onnx2torch", (), {"for_": "browser"}, bare=("onnx2torch==1.5.15",), shares=True),
    "onnxruntime-web 1.30.0": Runtime("web", (), {"for_": "browser"}, npm=("onnxruntime-web@1.30.0",)),
    # Both read Resize as it was before opset 18.
    "IREE 3.13.0": Runtime(
        "iree", ("iree-base-compiler[onnx]==3.13.0", "iree-base-runtime==3.13.0"), {"batch": 1, "opset": 17}
    ),
    "TVM 0.27.0": Runtime("tvm", ("apache-tvm==0.27.0.post1", "onnx==1.23.2"), {"batch": 1, "opset": 17}),
}
"""By name and version, in the order of the columns."""


def _pip(python: Path, *packages: str) -> None:
    """Installs into another environment with the pip of this one; raises CalledProcessError."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)


def python_of(name: str) -> Path:
    """The Python of a runtime's environment, which is made first where its packages are not there.

    Raises CalledProcessError, OSError where it cannot be made.
    """
    runtime = RUNTIMES[name]
    folder = ENVS / name.lower().replace(" ", "-")
    expected = "\n".join((*runtime.packages, *runtime.bare, *runtime.npm))
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "packages.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != expected:
        venv.create(folder, clear=True, with_pip=False)
        if runtime.shares:
            _share(python)
        else:
            _pip(python, "numpy", *runtime.packages)
        if runtime.bare:
            _pip(python, "--no-deps", *runtime.bare)
        if runtime.npm:
            subprocess.run(["npm", "install", "--silent", "--no-audit", *runtime.npm], cwd=folder, check=True)
        stamp.write_text(expected, encoding="utf-8")
    return python


def _share(python: Path) -> None:
    """Lets another environment see the packages of this one, after its own."""
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    Path(own, "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
