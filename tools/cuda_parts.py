"""What `tools/dev cuda` measures: parts that yield their rows as they are known, each in a process of its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
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
        torch._dynamo.mark_dynamic(given, 0)  # the batch alone: with dynamic=True height and width are free too
        made = torch.compile(made, backend="eager" if asked.tiny else "inductor")
    wait: Callable[[], object] = torch.cuda.synchronize if asked.device == "cuda" else lambda: None
    with torch.inference_mode():
        return timed(lambda: made(given), wait, 0.05 if asked.tiny else SECONDS)


def in_onnxruntime(path: Path, value: tuple[str, Any], device: str, exact: bool = False) -> list[float]:
    """The milliseconds of a model in onnxruntime, with inputs and outputs on the device."""
    from netspec.backend import OpensModels, able
    from netspec.running.place import Place

    opened = able("onnx", OpensModels).open(path, Place(device, exact=exact))
    name, array = value
    # Its first run, which is not timed, builds an engine or looks for the fastest kernels, which takes up to a minute.
    each = statistics.median(opened.run({name: array}, WARM_UP).latency_ms) / 1000
    return opened.run({name: array}, max(3, min(REPEATS, int(SECONDS / max(each, 1e-6))))).latency_ms


def tests(asked: Asked) -> Iterator[Row]:
    """The tests that run on the device; what is no report of tests, as of a library that is absent, was not run."""
    if find_spec("pytest") is None:
        yield {"what": "tests", "not run": "pytest is not installed"}
        return
    for name in ("cuda", "devices", "session")[: 1 if asked.tiny else 3]:
        yield tests_of(f"tests/test_{name}.py", asked)


def tests_of(file: str, asked: Asked) -> Row:
    """What became of the tests in a file."""
    command = [sys.executable, "-m", "pytest", "-q", "--slow", "-p", "no:cacheprovider", file]
    environment = os.environ | {"NETSPEC_TEST_DEVICE": asked.device}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    if done.returncode in (0, 1):  # all passed, or some failed; otherwise pytest did not come to its tests
        return {"what": file, "result": f"{file}: {'; '.join([lines[-1], *failed])}"[:2000]}
    last = [(text.strip().splitlines() or [""])[-1] for text in (done.stdout, done.stderr)]
    said = "; ".join([*filter(None, last), *failed])[:300]
    return {"what": file, "not run": f"pytest ended with {done.returncode}: {said}"}


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
