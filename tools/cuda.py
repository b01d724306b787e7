"""Measures on a GPU of NVIDIA in at most eight minutes, without a network: `tools/dev cuda --wheels DIR`.

Parts run in the order of their worth, each in a process of its own with a time limit; what was measured before a limit
counts. What has no library, provider or time is a row "not run". The page is docs/benchmarks-cuda.md. DIR has the
wheels of `pip download -d DIR ".[cuda,torch]" torchvision pytest hypothesis hatchling editables tensorrt`, run where
there is a network; without --wheels the environment is used as it is. `--device cpu --tiny` rehearses all parts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-cuda.md"
MINUTES = 8.0
NETWORKS = ("resnet50", "mobilenet_v2", "googlenet", "vgg16", "densenet121", "efficientnet_b0")
THREE = NETWORKS[:3]
BATCHES = (1, 8, 64)
WARM_UP, REPEATS, SECONDS = 3, 30, 0.5
"""Untimed runs; then at most so many, or so long."""

Row = dict[str, object]


@dataclass(frozen=True)
class Asked:
    """What a part is told."""

    device: str
    tiny: bool

    @property
    def networks(self) -> tuple[str, ...]:
        """Those of the first table."""
        return ("lenet5",) if self.tiny else NETWORKS

    @property
    def three(self) -> tuple[str, ...]:
        """Those of the others."""
        return ("squeezenet",) if self.tiny else THREE

    @property
    def batches(self) -> tuple[int, ...]:
        """The batches of the first table."""
        return (1, 2) if self.tiny else BATCHES

    @property
    def batch(self) -> int:
        """The batch of the others."""
        return 2 if self.tiny else 64


# What a process measures: each part yields its rows as they are known.


def load(name: str, asked: Asked) -> Any:
    """A network; at 3x32x32 where the sizes are tiny and it takes images in colour."""
    import netspec

    return netspec.load(name, input=(3, 32, 32)) if asked.tiny and name != "lenet5" else netspec.load(name)


def sample(network: Any, batch: int) -> tuple[str, Any]:
    """The name of the input, and random values for it."""
    import numpy as np

    (node,) = network.inference.inputs
    shape = (batch, *(int(d) for d in node.shape[1:]))
    return str(node.path), np.random.default_rng(0).standard_normal(shape, np.float32)


def tried(row: Row, measure: Callable[[], list[float]]) -> Row:
    """A row with the median of its milliseconds, or with what stands in the way."""
    try:
        times = measure()
    except Exception as e:  # an absent provider, too little memory, a kernel that is missing: a row of the table
        return {**row, "not run": f"{type(e).__name__}: {' '.join(str(e).split())[:160]}"}
    batch = row["batch"]
    assert isinstance(batch, int)
    middle = statistics.median(times)
    return {**row, "ms": middle, "least": min(times), "most": max(times), "images": 1000 * batch / middle}


def timed(call: Callable[[], object], wait: Callable[[], object], seconds: float = SECONDS) -> list[float]:
    """The milliseconds of calls after some to warm up; `wait` returns when the device is done."""
    for _ in range(WARM_UP):
        call()
    wait()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < REPEATS and (len(times) < 3 or time.perf_counter() - begun < seconds):
        start = time.perf_counter()
        call()
        wait()
        times.append(1000 * (time.perf_counter() - start))
    return times


def in_torch(module: Callable[[], Any], value: Any, kind: str, asked: Asked, compiled: bool = False) -> list[float]:
    """The milliseconds of a module in PyTorch, in fp32, tf32 or fp16."""
    import torch

    if asked.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("this PyTorch cannot use CUDA")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = kind == "tf32"
    dtype = torch.float16 if kind == "fp16" else torch.float32
    made = module().eval().to(asked.device, dtype)
    given = torch.from_numpy(value).to(asked.device, dtype)
    if compiled:
        torch._dynamo.reset()
        made = torch.compile(made, dynamic=True, backend="eager" if asked.tiny else "inductor")
    wait: Callable[[], object] = torch.cuda.synchronize if asked.device == "cuda" else lambda: None
    with torch.inference_mode():
        return timed(lambda: made(given), wait, 0.05 if asked.tiny else SECONDS)


def in_onnxruntime(path: Path, value: tuple[str, Any], device: str, exact: bool = False) -> list[float]:
    """The milliseconds of a model in onnxruntime, with inputs and outputs on the device."""
    from netspec.backend import OpensModels, able
    from netspec.running.place import Place

    opened = able("onnx", OpensModels).open(path, Place(device, exact=exact))
    name, array = value
    begun = time.perf_counter()
    opened.run({name: array}, WARM_UP)
    each = (time.perf_counter() - begun) / (WARM_UP + 1)
    return opened.run({name: array}, max(3, min(REPEATS, int(SECONDS / max(each, 1e-6))))).latency_ms


def tests(asked: Asked) -> Iterator[Row]:
    """The tests that run on the device."""
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in ("cuda", "session")[: 1 if asked.tiny else 2]]
    command = [sys.executable, "-m", "pytest", "-q", "--slow", "-p", "no:cacheprovider", *files]
    environment = os.environ | {"NETSPEC_TEST_DEVICE": asked.device}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    said = lines[-1] if lines else done.stderr.strip()[-200:]
    yield {"what": "tests", "result": "; ".join([said, *failed])[:2000]}


def latency(asked: Asked) -> Iterator[Row]:
    """PyTorch eager and onnxruntime, in fp32, tf32 and fp16."""
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.networks:
            network = load(name, asked)
            files = {kind: Path(folder, f"{kind}.onnx") for kind in ("float32", "float16")}
            for kind, path in files.items():
                network.to_onnx(path, dtype=kind)
            for batch in asked.batches:
                value = sample(network, batch)
                for kind in ("fp32", "tf32", "fp16"):
                    row: Row = {"network": name, "batch": batch, "type": kind}
                    path = files["float16" if kind == "fp16" else "float32"]
                    eager = partial(in_torch, network.to_torch, value[1], kind, asked)
                    yield tried({**row, "what": "torch eager"}, eager)
                    exact = kind == "fp32"
                    yield tried(
                        {**row, "what": "onnxruntime"}, partial(in_onnxruntime, path, value, asked.device, exact)
                    )


def compiled(asked: Asked) -> Iterator[Row]:
    """torch.compile of netspec's module and of torchvision's, with a batch that is free."""
    for name in asked.three:
        network = load(name, asked)
        value = sample(network, asked.batch)[1]
        row: Row = {"network": name, "batch": asked.batch, "type": "fp16"}
        theirs = partial(of_torchvision, name)
        for who, module in (("netspec", network.to_torch), ("torchvision", theirs)):
            yield tried({**row, "what": f"{who}, eager"}, partial(in_torch, module, value, "fp16", asked))
            yield tried({**row, "what": f"{who}, compiled"}, partial(in_torch, module, value, "fp16", asked, True))


def of_torchvision(name: str) -> Any:
    """torchvision's network of that name, without weights."""
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import import_torchvision

    options = {"init_weights": False, "aux_logits": False, "transform_input": False} if name == "googlenet" else {}
    named = {"squeezenet": "squeezenet1_0"}.get(name, name)
    return getattr(import_torchvision().models, named)(weights=None, **options)


def levels(asked: Asked) -> Iterator[Row]:
    """onnxruntime on models of -O0, -O1 and -O2."""
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.three:
            network = load(name, asked)
            for level in (0, 1, 2):
                row: Row = {"network": name, "batch": asked.batch, "type": "fp16", "what": f"onnxruntime, -O{level}"}

                def measure(level: int = level, network: Any = network) -> list[float]:
                    path = Path(folder, f"{level}.onnx")
                    network.to_onnx(path, level=level, dtype="float16")
                    return in_onnxruntime(path, sample(network, asked.batch), asked.device)

                yield tried(row, measure)


def tensorrt(asked: Asked) -> Iterator[Row]:
    """TensorRT in fp16, one engine for each network; its building is no part of the time."""
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.three:
            network, path = load(name, asked), Path(folder, f"{name}.onnx")
            network.to_onnx(path, dtype="float16")
            row: Row = {"network": name, "batch": asked.batch, "type": "fp16", "what": "TensorRT"}
            yield tried(row, partial(in_onnxruntime, path, sample(network, asked.batch), "tensorrt"))


@dataclass(frozen=True)
class Part:
    """One part: what measures it, how many seconds it may take, and what its table is called."""

    measure: Callable[[Asked], Iterator[Row]]
    seconds: float
    title: str


PARTS = {
    "tests": Part(tests, 90, "Tests on the device"),
    "latency": Part(latency, 200, "PyTorch eager and onnxruntime"),
    "compiled": Part(compiled, 150, "torch.compile with a free batch, beside torchvision's networks"),
    "levels": Part(levels, 60, "What -O1 and -O2 gain in onnxruntime"),
    "tensorrt": Part(tensorrt, 150, "TensorRT"),
}
"""In the order of their worth."""


# The process that starts the others.


def run_part(name: str, asked: Asked, seconds: float) -> list[Row]:
    """The rows that a part gives within so many seconds; what it lacks is a row "not run"."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", name, "--device", asked.device]
    command += ["--tiny"] * asked.tiny
    paths = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, stdout=out, stderr=err, env=os.environ | {"PYTHONPATH": paths}, start_new_session=True
        )
        why = ""
        try:
            if process.wait(seconds):
                err.seek(0)
                why = (err.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1][:300]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            why = f"its {seconds:.0f} s were over"
        out.seek(0)
        rows = [json.loads(line) for line in out if line.startswith("{") and line.endswith("}\n")]
    return [*rows, *([{"what": "the rest" if rows else name, "not run": why}] if why else [])]


def table(rows: list[Row]) -> str:
    """A Markdown table of the rows."""
    if any("result" in row for row in rows):
        return "\n".join(f"{row.get('result') or 'not run: ' + str(row.get('not run'))}" for row in rows)
    lines = [
        "| network | batch | type | | median | least to most | images a second |",
        "| --- | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [str(row.get(key, "")) for key in ("network", "batch", "type", "what")]
        if "not run" in row:
            cells += ["not run", str(row["not run"]).replace("|", "/"), ""]
        else:
            cells += [f"{row['ms']:.2f} ms", f"{row['least']:.2f} to {row['most']:.2f} ms", f"{row['images']:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def device_name(device: str) -> str:
    """What the machine says of its device."""
    if device == "cpu":
        return f"a CPU ({platform.machine()}, {os.cpu_count()} cores): a rehearsal, whose figures say nothing of a GPU"
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "no GPU that nvidia-smi names"


def versions() -> str:
    """The libraries that the figures hold for."""
    names = ("netspec-compiler", "torch", "torchvision", "onnxruntime-gpu", "tensorrt", "numpy")
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def measure(names: list[str], asked: Asked, minutes: float) -> str:
    """Runs the parts until the time is over; gives the page."""
    end = time.monotonic() + 60 * minutes
    texts = [
        "# Benchmarks on a GPU",
        f"By `tools/dev cuda`, {time.strftime('%Y-%m-%d')}, on {device_name(asked.device)}; "
        f"Python {platform.python_version()}, {versions()}. Random weights; medians after {WARM_UP} runs to warm up, "
        "inputs and outputs on the device.",
    ]
    for name in names:
        left = end - time.monotonic()
        over = [{"what": name, "not run": f"the {minutes:g} minutes were over"}]
        rows = run_part(name, asked, min(PARTS[name].seconds, left)) if left > 1 else over
        print(f"\n{name}: {60 * minutes - (end - time.monotonic()):.0f} s\n{table(rows)}", flush=True)
        texts += [f"## {PARTS[name].title}", table(rows)]
    return "\n\n".join(texts) + "\n"


def environment(wheels: Path) -> Path:
    """The Python of an environment with what the wheels of a folder bring; no network is asked."""
    place = ROOT / ".venv-cuda"
    venv.create(place, with_pip=True, system_site_packages=True)
    python = place / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    for packages in (["hatchling", "editables"], ["--no-build-isolation", "--editable", f"{ROOT}[cuda]"]):
        if subprocess.run([*pip, *packages]).returncode:
            sys.exit(f"tools/dev cuda: {wheels} does not hold what netspec needs; pip says above what")
    for packages in (["torch", "torchvision"], ["pytest", "hypothesis"], ["tensorrt"]):
        if subprocess.run([*pip, *packages]).returncode:
            print(f"{' and '.join(packages)}: not in {wheels}; what needs them is not run", file=sys.stderr)
    return python


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="tools/dev cuda", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="install from the wheels in this folder first")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which, with commas: {', '.join(PARTS)} (all)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small networks and batches, for a rehearsal")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"when it ends ({MINUTES:g}, at most)")
    parser.add_argument("-o", "--output", type=Path, help="the page (docs/benchmarks-cuda.md, of a GPU alone)")
    parser.add_argument("--worker", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    asked = Asked(args.device, args.tiny)
    here = Path(__file__).resolve().parent
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != here]  # NVIDIA's package `cuda` is not this file
    if args.worker:
        for row in PARTS[args.worker].measure(asked):
            print(json.dumps(row), flush=True)
        return 0
    names = args.parts.split(",")
    if wrong := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part '{wrong[0]}'; known: {', '.join(PARTS)}")
    if not 0 < args.minutes <= MINUTES:
        parser.error(f"--minutes is above 0 and at most {MINUTES:g}")
    if args.wheels:
        python = environment(args.wheels.resolve())
        rest = [word for word in sys.argv[1:] if word != "--wheels" and word != str(args.wheels)]
        return subprocess.run([python, __file__, *rest]).returncode
    page = measure(names, asked, args.minutes)
    target = args.output or (PAGE if args.device == "cuda" else None)
    if target is not None:
        target.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
