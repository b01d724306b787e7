"""`netspec run` on every model of the pip package onnx: onnxruntime's own result, or its own message; never a crash."""

from __future__ import annotations

import io
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import how_many
from onnx import numpy_helper

from netspec.cli.main import run

NO_KERNEL = "error: onnxruntime has no kernel for"
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
PROTOS = {
    "optional_type": (onnx.OptionalProto, numpy_helper.to_optional, numpy_helper.from_optional),
    "sequence_type": (onnx.SequenceProto, numpy_helper.to_list, numpy_helper.from_list),
    "tensor_type": (onnx.TensorProto, numpy_helper.to_array, numpy_helper.from_array),
}


@dataclass
class Case:
    """A model, and the folders of its test sets."""

    name: str
    path: Path
    sets: list[Path]
    tolerance: tuple[float, float] = (1e-3, 1e-7)


def on_disk(pattern: str) -> Iterator[Case]:
    for path in sorted(DATA.glob(f"{pattern}/model.onnx")):
        yield Case(path.parent.name, path, sorted(path.parent.glob("test_data_set_*")))


def of_nodes(folder: Path) -> Iterator[Case]:
    """The models of ONNX's tests of single nodes, written one after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)  # type: ignore[arg-type]
    for case in cases:
        home = folder / case.name
        home.mkdir()
        (home / "model.onnx").write_bytes(case.model.SerializeToString())
        sets = []
        for i, values in enumerate(case.data_sets):
            sets.append(home / f"test_data_set_{i}")
            sets[-1].mkdir()
            graph = case.model.graph
            for kind, infos, given in zip(("input", "output"), (graph.input, graph.output), values, strict=True):
                for k, (info, value) in enumerate(zip(infos, given, strict=False)):
                    make = PROTOS[info.type.WhichOneof("value")][2]
                    proto = (
                        value
                        if isinstance(value, onnx.TensorProto)
                        else make(np.asarray(value) if make is numpy_helper.from_array else value)
                    )
                    (sets[-1] / f"{kind}_{k}.pb").write_bytes(proto.SerializeToString())
        yield Case(case.name, home / "model.onnx", sets, (case.rtol, case.atol))
        shutil.rmtree(home)


def call(*args: str) -> tuple[int, str]:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        return run(["run", *args, "--repeat", "1"]), said.getvalue()


def read(folder: Path, kind: str, infos: Any) -> dict[str, Any]:
    found = {}
    for i, info in enumerate(infos):
        path = folder / f"{kind}_{i}.pb"
        if path.is_file():
            proto, value, _ = PROTOS[info.type.WhichOneof("value")]
            parsed = proto()
            parsed.ParseFromString(path.read_bytes())
            found[info.name] = value(parsed)
    return found


def bare(case: Case, folder: Path) -> dict[str, Any]:
    """What onnxruntime gives by itself; raises its own exceptions."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(case.path), options, providers=["CPUExecutionProvider"])
    feed = read(folder, "input", onnx.load(case.path, load_external_data=False).graph.input)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))


def parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a result by the names under which it is saved."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from parts(f"{name}[{i}]", item)
    elif isinstance(value, dict):
        yield from ((f"{name}.keys", np.array(list(value))), (f"{name}.values", np.array(list(value.values()))))
    elif value is not None:
        array = np.asarray(value)
        yield name, array.astype(str) if array.dtype.kind == "O" else array


def saved(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as found:
        return dict(found.items())


def plain(text: str) -> str:
    return re.sub(r"\s+", "", text)


def outcome(case: Case, folder: Path, target: Path) -> str:
    """What came of a test set: `equal`, `as expected` where onnxruntime alone cannot be fed from numpy, `refused`."""
    target.unlink(missing_ok=True)
    code, said = call(str(case.path), "--pb", str(folder), "--save", str(target))
    try:
        theirs = dict(p for name, value in bare(case, folder).items() for p in parts(name, value))
    except Exception as error:  # noqa: BLE001 - onnxruntime's own classes
        if code == 3:  # its message names the node that onnxruntime's does
            assert NO_KERNEL in said and "NOT_IMPLEMENTED" in str(error), said
            return "refused"
        if code:
            unfed = "Numpy_type" in str(error)  # a type that numpy lacks: our own run went further
            assert "error[NS703]: onnxruntime" in said and (unfed or plain(str(error)[:300]) in plain(said)), said
            assert code == 1
            return "refused"
        expected = read(folder, "output", onnx.load(case.path, load_external_data=False).graph.output)
        rtol, atol = case.tolerance
        for name, value in saved(target).items():
            np.testing.assert_allclose(value, expected[name].astype(value.dtype), rtol, atol, err_msg=case.name)
        return "as expected"
    assert code == 0, said
    ours = saved(target)
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name].shape == value.shape and ours[name].dtype == value.dtype, name
        assert np.array_equal(ours[name], value, equal_nan=value.dtype.kind in "fc"), name
    return "equal"


def sweep(cases: Iterator[Case], target: Path) -> Counter[str]:
    """Every model with random inputs and on its own test sets; asserts what must hold, and counts what came of it."""
    counts: Counter[str] = Counter()
    wrong = []
    for case in cases:
        counts["models"] += 1
        code, said = call(str(case.path))
        counts[f"random: {code}"] += 1
        if code and not (code == 1 and "error[NS703]: onnxruntime" in said or code == 3 and NO_KERNEL in said):
            wrong.append(f"{case.name}: {said}")
        for folder in case.sets:
            try:
                counts[outcome(case, folder, target)] += 1
            except AssertionError as error:
                wrong.append(f"{case.name}, {folder.name}: {str(error)[:500]}")
    assert not wrong, "\n".join(wrong[:20])
    return counts


@pytest.mark.slow
def test_models_with_sequences_and_strings(tmp_path: Path) -> None:
    counts = sweep(on_disk("simple/*"), tmp_path / "o.npz")
    assert counts["models"] >= 20 and counts["equal"] >= 15, counts


@pytest.mark.slow
def test_every_model_of_the_package(tmp_path: Path) -> None:
    """A sixth of the 2,024 models of onnx 1.23, all with --full-size: docs/reliability.md says what came of them."""
    every = how_many(quick=6, slow=6, full=1)
    cases = chain(islice(on_disk("*/*"), 0, None, every), islice(of_nodes(tmp_path), 0, None, every))
    counts = sweep(cases, tmp_path / "o.npz")
    print(dict(counts))
    assert counts["models"] > 1500 // every and counts["equal"] > counts["models"] * 0.6, counts
    assert counts["random: 0"] > counts["models"] * 0.5, counts


@pytest.mark.slow
def test_large_networks_of_the_package() -> None:
    """Their weights are one repeated value, so that a megabyte holds AlexNet; VGG-19 alone takes 600 MB."""
    for path in sorted(DATA.glob("light/*.onnx")):
        code, said = call(str(path))
        assert code == 0 and "random (seed 0)" in said, said
