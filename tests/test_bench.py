"""`netspec bench`: what is timed is what was asked for, and its figures add up; `draw --heat FILE`."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docs_harness import run_page
from netspec_onnx import prepared, providers, runtime
from netspec_onnx.runtime import Opened
from run_harness import Netspec

import netspec as api
from netspec.backend import able
from netspec.running.measure import Times, peak
from netspec.running.place import Place
from netspec.running.ways import Prepares, Way

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
SPEC = """\
netspec: 1
name: small
input: [3, 16, 16]
body:
  - a = do:
      - conv: {out: 16, kernel: 3, pad: 1}
      - relu
  - b = do:
      - conv: {out: 16, kernel: 3, pad: 1}
      - relu
  - global_avg_pool
  - flatten
  - fc = linear: 10
"""
MACS = {"a": 3 * 16 * 9 * 256, "b": 16 * 16 * 9 * 256, "fc": 160}


@pytest.fixture
def netspec(netspec: Netspec) -> Netspec:
    """The command line, in a folder with a small spec: the exit code, stdout and stderr."""
    Path("small.yaml").write_text(SPEC, encoding="utf-8")
    return netspec


@pytest.mark.slow
def test_a_batch_that_a_file_has_not_is_a_row_that_says_so(netspec: Netspec) -> None:
    for args in (["-b", "1", "-o", "one.onnx"], ["-o", "any.onnx"]):
        assert netspec("compile", "small.yaml", "--to", "onnx", "-q", *args)[0] == 0
    asked = ["one.onnx", "any.onnx", "-b", "1", "-b", "2", "--repeat", "2", "-f", "json"]
    code, out, _ = netspec("bench", *asked)
    rows = [(row["network"], row.get("batch"), row["provider"]) for row in json.loads(out)]
    assert code == 0 and [row[2] == "not run" for row in rows] == [False, True, False, False], rows
    code, _, err = netspec("bench", "one.onnx", "one.onnx", "-b", "2", "--repeat", "2")
    assert code == 2 and "the batch of the model is fixed at 1" in err
    assert "one.onnx was not run: -b 2" in netspec("bench", *asked[:-2])[1]


@pytest.mark.slow
def test_each_target_is_run_with_each_batch_and_number_of_threads(netspec: Netspec) -> None:
    asked = ["--target", "onnx", "--target", "torch", "-b", "1", "-b", "3", "--threads", "1"]
    code, out, _ = netspec("bench", "small.yaml", *asked, "--repeat", "4", "-f", "json")
    rows = json.loads(out)
    assert code == 0 and [(r["target"], r["batch"]) for r in rows] == [
        ("onnx", 1),
        ("onnx", 3),
        ("torch", 1),
        ("torch", 3),
    ]
    for row in rows:
        assert row["threads"] == 1 and 0 < row["low_ms"] <= row["median_ms"] <= row["high_ms"]
        assert row["per_second"] == pytest.approx(1000 * row["batch"] / row["median_ms"])
        assert row["macs_per_second"] == pytest.approx(row["per_second"] * sum(MACS.values()))
        assert row["share_of_peak"] > 0


@pytest.mark.parametrize("target", ["onnx", "onnx:functions", "torch"])
@pytest.mark.slow
def test_blocks_have_their_macs_and_all_of_the_time(target: str, netspec: Netspec) -> None:
    profiled = ["bench", "small.yaml", "--target", target, "--blocks", "--repeat", "3"]
    code, out, _ = netspec(*profiled, "-f", "csv", "--times", "times.json")
    rows = {row["part"]: row for row in csv.DictReader(io.StringIO(out))}
    assert code == 0 and {part: int(rows[part]["macs"]) for part in MACS} == MACS
    assert sum(float(row["share_of_time"] or 0) for row in rows.values()) == pytest.approx(1)
    assert sum(float(row["share_of_macs"] or 0) for row in rows.values()) == pytest.approx(1)
    assert float(rows["a"]["ms"]) > 0 and float(rows["b"]["ms"]) > 0
    times = json.loads(Path("times.json").read_text(encoding="utf-8"))
    assert set(times) <= api.load("small.yaml").inference.nodes.keys()
    inside = sum(ms for path, ms in times.items() if path.startswith("b."))
    assert inside == pytest.approx(float(rows["b"]["ms"]))


@pytest.mark.slow
def test_a_file_is_timed(netspec: Netspec) -> None:
    assert netspec("compile", "small.yaml", "--to", "onnx", "-q")[0] == 0
    code, out, _ = netspec("bench", "small.onnx", "-b", "2", "--repeat", "2", "-f", "json")
    (row,) = json.loads(out)
    assert code == 0 and row["macs_per_second"] is None and row["median_ms"] > 0


@pytest.mark.slow
def test_what_the_machine_lacks_is_a_row(netspec: Netspec) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    asked = ["--target", "torch", "--target", "torch+cuda", "--repeat", "1"]
    code, out, _ = netspec("bench", "small.yaml", *asked)
    assert code == 0 and "torch+cuda was not run: this PyTorch cannot use CUDA" in out
    assert netspec("bench", "small.yaml", *asked[2:])[0] == 3


DRIVER = """\
#include <string.h>
static int ready;
int cuInit(unsigned flags) { ready = !flags; return flags ? 1 : 0; }
int cuDeviceGet(int *device, int ordinal) {
    if (!ready) return 3;
    if (ordinal < 0 || ordinal > 1) return 101;
    *device = 40 + ordinal;
    return 0;
}
int cuDeviceGetName(char *name, int length, int device) {
    if (device < 40 || device > 41) return 101;
    strncpy(name, device == 40 ? "NVIDIA Zero" : "NVIDIA One", length);
    return 0;
}
"""
"""CUDA's driver on a machine of two GPUs, as far as their names: what it refuses, and the codes, are the manual's."""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That driver in the place of NVIDIA's."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform == "win32":
        pytest.skip("there is no compiler of C")
    library, source = tmp_path / "driver.so", tmp_path / "driver.c"
    source.write_text(DRIVER, encoding="utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    monkeypatch.setattr(providers, "DRIVER", str(library))


@pytest.mark.slow
@pytest.mark.usefixtures("driver")
def test_a_gpu_is_named_as_its_driver_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [providers.gpu_name(Place(device)) for device in ("cuda", "cuda:1", "tensorrt:1", "cuda:2")]
    assert named == ["NVIDIA Zero", "NVIDIA One", "NVIDIA One", ""]
    for absent in ("libabsent.so", str(Path(math.__file__))):  # no library, and one of other functions
        monkeypatch.setattr(providers, "DRIVER", absent)
        assert providers.gpu_name(Place("cuda")) == ""


class OnCuda(Opened):
    """A model that runs on the processor, and says that it runs on a GPU."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.session = Claiming(self.session)


class Claiming:
    """A session of onnxruntime, which says of the GPU what one with CUDA says."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


@pytest.mark.slow
@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("there", [True, False])
def test_the_gpu_stands_beside_its_figures(there: bool, netspec: Netspec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute figures say nothing without their device; where no driver names it, the provider stands alone."""
    monkeypatch.setattr(prepared, "Opened", OnCuda)
    monkeypatch.setattr(prepared, "place_of", lambda way: Place("cpu"))
    monkeypatch.setattr("netspec.cli.bench.peak", lambda *args: 1e12)  # a product that large takes a processor minutes
    if not there:
        monkeypatch.setattr(providers, "DRIVER", "libabsent.so")
    code, out, err = netspec("bench", "small.yaml", "--target", "onnx+cuda", "--repeat", "2", "-f", "json")
    (row,) = json.loads(out)
    assert code == 0 and row["provider"] == "CUDAExecutionProvider" + " (NVIDIA Zero)" * there, err


@pytest.mark.slow
@pytest.mark.usefixtures("driver")
def test_run_and_a_session_name_the_gpu_as_bench_does(netspec: Netspec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "Opened", OnCuda)
    code, out, err = netspec("run", "small.yaml", "--repeat", "1")
    assert code == 0 and "ran on: CUDAExecutionProvider (NVIDIA Zero)" in out.splitlines(), err
    assert repr(api.Session("small.yaml")) == "Session(small on CUDAExecutionProvider (NVIDIA Zero))"


@pytest.mark.slow
def test_the_peak_is_near_that_of_another_library() -> None:
    """numpy's own product of such matrices is within a factor of 50, other programs on the machine included."""
    import time

    import numpy as np

    a = np.ones((1024, 1024), np.float32)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    found = peak(able("onnx", Prepares), Way())
    assert 1 / 50 < found / (1024**3 / min(times)) < 50


def test_times_are_summed_up_by_their_quartiles() -> None:
    times = Times([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (times.median, times.quartiles) == (3.0, (2.0, 4.0))
    assert Times([7.0]).quartiles == (7.0, 7.0)
    assert statistics.median(times.all) == times.median


@pytest.mark.slow
def test_memory_is_what_was_added() -> None:
    """In a process of its own: in one that keeps what was freed, what was there before is not added."""
    code = """
from netspec.running.measure import memory
with memory() as used:
    held = bytearray(64 * 2**20)
    held[::4096] = b"1" * len(held[::4096])
    del held
print(used.added)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    ).stdout.strip()
    if said == "None":
        pytest.skip("this system does not tell")
    assert 60 * 2**20 < int(said) < 96 * 2**20


@pytest.mark.slow
def test_memory_is_that_of_a_row_whatever_was_run_before(netspec: Netspec) -> None:
    """A network of 16 MB of weights and one of few: in either order, and after itself, each has its own."""
    large = "netspec: 1\nname: large\ninput: [8, 16, 16]\nbody: [flatten, linear: 2048]\n"
    Path("large.yaml").write_text(large, encoding="utf-8")
    for name in ("small", "large"):
        assert netspec("compile", f"{name}.yaml", "--to", "onnx", "-q", "-o", f"{name}.onnx")[0] == 0
    asked = ["small.onnx", "large.onnx", "small.onnx", "large.onnx", "--repeat", "2", "-f", "json"]
    rows = [row["memory"] for row in json.loads(netspec("bench", *asked)[1])]
    if None in rows:
        pytest.skip("this system does not tell")
    megabytes = [row / 2**20 for row in rows]
    assert megabytes[2:] == pytest.approx(megabytes[:2], rel=0.2, abs=2)
    assert megabytes[0] < 8 and megabytes[1] > 16


@pytest.mark.slow
def test_memory_of_a_spec_that_is_read_once(netspec: Netspec) -> None:
    """The process that it is measured in has no such stdin; what was compiled is sent to it."""
    line = [sys.executable, "-m", "netspec", "bench", "-", "--target", "onnx", "--repeat", "2", "-f", "json"]
    done = subprocess.run(line, input=SPEC, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout)[0]["memory"]
    assert found is None or 0 < found < 2**24


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--blocks"], "a profile is of one network in one way, got 2"),
        (["--target", "onnx", "-b", "1", "-b", "2", "--times", "t.json"], "got 2"),
        (["--target", "other.onnx"], "name it in place of SPEC"),
        (["--target", "onnx+int9"], "there is no 'int9'"),
        (["absent.onnx"], "there is no file absent.onnx"),
    ],
)
@pytest.mark.quick(1)
def test_what_cannot_be_timed_is_said(args: list[str], said: str, netspec: Netspec) -> None:
    code, out, err = netspec("bench", "small.yaml", *args)
    assert code == 2 and said in err and not out


HEAT = {"a.conv": 3.0, "b": 12.0}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.json", json.dumps(HEAT)),
        ("n.csv", "part,ms,of\na.conv,3,x\nb,12,y\n(outside),1,z\n"),
    ],
)
@pytest.mark.slow
def test_boxes_are_coloured_by_the_numbers_of_a_file(name: str, text: str, netspec: Netspec) -> None:
    Path(name).write_text(text, encoding="utf-8")
    code, out, _ = netspec(
        "draw",
        "small.yaml",
        "--depth",
        "1",
        "--collapse",
        "a",
        "--collapse",
        "b",
        "--heat",
        name,
        "-f",
        "dot",
        "-o",
        "-",
    )
    assert code == 0 and f"numbers of {name}, strongest 12" in out
    code, page, _ = netspec("draw", "small.yaml", "--heat", name, "-o", "page.html")
    assert code == 0 and f"stronger is more by the numbers of {name}" in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("n.json", '{"a.cnov": 1}', "did you mean 'a.conv'?"),
        ("n.json", '{"a.conv": -1}', "expected one from 0 on"),
        ("n.json", '{"a.conv": NaN}', "expected one from 0 on"),
        ("n.json", '{"a.conv": 1, "a.conv": 2}', "two numbers for 'a.conv'"),
        ("n.json", '{"a.conv": "1"}', "is not a number"),
        ("n.json", '{"a.conv": 1' + "0" * 400 + "}", "is too large"),
        ("n.json", "[" * 100_000, "is not JSON"),
        ("n.json", "[1]", "expected a mapping of numbers by path"),
        ("n.json", "{}", "has no numbers"),
        ("n.csv", "a.conv\n", "n.csv:1: expected PATH,NUMBER"),
        ("n.csv", "path,ms\na.conv,x\n", "n.csv:2: 'x' is not a number"),
        ("n.csv", "path,ms\na.conv,\nb,\n", "has no numbers"),
        ("n.txt", "", "there is no 'n.txt' to colour by"),
    ],
)
@pytest.mark.quick(2)
def test_a_file_without_numbers_is_refused(name: str, text: str, said: str, netspec: Netspec) -> None:
    Path(name).write_text(text, encoding="utf-8")
    code, out, err = netspec("draw", "small.yaml", "--heat", name, "-f", "dot", "-o", "-")
    assert code in (1, 2) and said in err and not out


@pytest.mark.parametrize(
    ("network", "asked"),
    [
        ("small.yaml", ["--target", "onnx", "--depth", "2"]),
        pytest.param("espcn_x3", ["--target", "onnx"], marks=pytest.mark.slow),
        pytest.param("resnet18", ["--input", "3x64x64", "--target", "torch", "--depth", "3"], marks=pytest.mark.slow),
    ],
)
def test_what_bench_writes_colours_a_picture(network: str, asked: list[str], netspec: Netspec) -> None:
    """A step that was fused with another has no milliseconds; those that have some are the picture's numbers."""
    asked = [network, *asked]
    assert netspec("bench", *asked, "--blocks", "--repeat", "2", "-o", "e.csv")[0] == 0
    rows = list(csv.DictReader(io.StringIO(Path("e.csv").read_text(encoding="utf-8"))))
    assert any(not row["ms"] for row in rows) and any(row["ms"] for row in rows)
    code, _, err = netspec("draw", network, "--heat", "e.csv", "-f", "dot", "-o", "e.dot")
    assert code == 0, err
    assert "numbers of e.csv, strongest" in Path("e.dot").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_prints_what_it_says(netspec: Netspec) -> None:
    pytest.importorskip("pygraphviz")
    assert run_page(PAGE, netspec) == 4
