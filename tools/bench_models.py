"""Files in onnxruntime: ours, as written and rewritten, against those of PyTorch's exporter; of `tools/dev bench`."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import TYPE_CHECKING

from bench_pairs import Call, Row, interleaved, table
from exporters import SERVED, export_module, with_statistics

if TYPE_CHECKING:
    import onnxruntime

THEIRS, AGAIN = "exporter", "exporter again"
BATCHES = (1, 8)
THREADS = int(os.environ.get("OMP_NUM_THREADS", 0))
"""Of the processor, as PyTorch reads it too; 0 is all of them."""
TOLERANCE = 1e-3
"""How far outputs of the same network may be apart, by the largest of them."""


def files_of(name: str, folder: Path) -> dict[str, Path]:
    """The file of PyTorch's exporter (TorchScript), and ours with the same weights, by -O1 and -O2."""
    import torch

    import netspec

    found = {kind: folder / f"{name}.{kind}.onnx" for kind in (THEIRS, "-O1", "-O2")}
    if not found["-O2"].exists():
        network = SERVED[name]
        model = with_statistics(network)
        weights = folder / f"{name}.pth"
        torch.save(model.state_dict(), weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            export_module(False, model, network.size, str(found[THEIRS]))
        for level in (1, 2):
            netspec.load(name).to_onnx(found[f"-O{level}"], weights=weights, level=level)
    return found


def tuned(name: str, folder: Path, batch: int, seconds: float, weights: Path | None = None) -> dict[str, Path]:
    """The same by -O2 with the profile that `netspec tune` measures here in so many seconds; nothing for none."""
    import netspec

    if not seconds:
        return {}
    profile, path = folder / f"{name}.{batch}.json", folder / f"{name}.tuned.onnx"
    asked = ["-b", str(batch), "--seconds", str(seconds), "--threads", str(THREADS), "-o", str(profile)]
    command = [sys.executable, "-m", "netspec", "tune", name, "--target", "onnxruntime", *asked]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"netspec tune {name} failed:\n{done.stderr[-2000:]}")
    netspec.load(name).to_onnx(path, profile=profile, weights=weights)
    return {"-O2 tuned": path}


def session(path: Path) -> onnxruntime.InferenceSession:
    """A file in onnxruntime, on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.force_spinning_stop", "1")  # its threads leave the cores to the next one
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def runs(paths: dict[str, Path], batch: int, turn: int = 0, alike: float | None = TOLERANCE) -> dict[str, Call]:
    """Runs of files on the same random images; raises SystemExit where their outputs differ by more than `alike`.

    The sessions are made in an order that depends on `turn`.
    """
    import numpy as np

    order = [*paths][turn % len(paths) :] + [*paths][: turn % len(paths)]
    opened = {kind: session(paths[kind]) for kind in order}
    calls: dict[str, Call] = {}
    outputs = []
    for kind in paths:
        (value,) = opened[kind].get_inputs()
        shape = (batch, *(int(d) for d in value.shape[1:]))
        image = np.random.default_rng(0).standard_normal(shape, np.float32)
        calls[kind] = partial(opened[kind].run, None, {value.name: image})
        outputs.append(calls[kind]()[0])  # type: ignore[index]
    for kind, output in zip(paths, outputs, strict=True):
        apart = float(abs(output - outputs[0]).max() / abs(outputs[0]).max())
        if alike is not None and not apart <= alike:
            raise SystemExit(f"{kind} of {paths[kind].name} gives other outputs: {apart:.1e}")
    return calls


def row(title: str, paths: dict[str, Path], batch: int, seconds: float, alike: float | None = TOLERANCE) -> Row:
    """The latency of files at a batch; the first is what the others are compared with."""
    turns = count()
    times = interleaved(lambda: runs(paths, batch, next(turns), alike), seconds, 6)
    return Row((title, str(batch)), times, next(iter(paths)))


def sessions(seconds: float, folder: Path, names: tuple[str, ...] = tuple(SERVED)) -> Iterator[str]:
    """How long it takes to make a session of our default file, and of the exporter's."""
    rows = []
    for name in names:
        found = files_of(name, folder)
        paths = {THEIRS: found[THEIRS], AGAIN: found[THEIRS], "-O1 (the default)": found["-O1"], "-O2": found["-O2"]}
        turns = count()
        times = interleaved(lambda paths=paths, turns=turns: _copies(paths, next(turns)), seconds, 9)  # type: ignore[misc]
        rows.append(Row((SERVED[name].title,), times, THEIRS))
    yield table("Making a session in onnxruntime", ["network"], rows)


def _copies(paths: dict[str, Path], turn: int) -> dict[str, Call]:
    """Sessions of new copies of files: where the system keeps a file in memory, equal ones differ by a quarter."""
    kinds = list(paths)
    calls: dict[str, Call] = {}
    for number, kind in enumerate(kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]):
        copy = paths[kind].with_name(f"copy.{number}.onnx")
        copy.unlink(missing_ok=True)
        shutil.copyfile(paths[kind], copy)
        calls[kind] = partial(session, copy)
    return {kind: calls[kind] for kind in kinds}


def latency(seconds: float, folder: Path, tuning: float = 0, names: tuple[str, ...] = tuple(SERVED)) -> Iterator[str]:
    """The latency of our files in onnxruntime, and of the exporter's; tuned for so many seconds at each batch."""
    rows = []
    for name, batch in product(names, BATCHES):
        paths = files_of(name, folder)
        asked = {THEIRS: paths[THEIRS], AGAIN: paths[THEIRS], "-O1": paths["-O1"], "-O2": paths["-O2"]}
        asked |= tuned(name, folder, batch, tuning, folder / f"{name}.pth")
        rows.append(row(SERVED[name].title, asked, batch, seconds))
    yield table("Latency in onnxruntime", ["network", "batch"], rows)


def levels(seconds: float, folder: Path, tuning: float = 0) -> Iterator[str]:
    """GoogLeNet with the normalisation of its paper, as its spec has it and rewritten."""
    import netspec

    paths = {f"-O{level}": folder / f"googlenet.{level}.onnx" for level in (0, 1, 2)}
    for level, path in enumerate(paths.values()):
        netspec.load("googlenet").to_onnx(path, level=level)  # type: ignore[arg-type]
    rows = []
    for batch in BATCHES:
        asked = {"-O0": paths["-O0"], "-O0 again": paths["-O0"], **paths, **tuned("googlenet", folder, batch, tuning)}
        rows.append(row("GoogLeNet", asked, batch, seconds))
    yield table("GoogLeNet with local response normalisation", ["network", "batch"], rows)
