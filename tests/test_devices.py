"""Runs on a device: what a place may be, what a device that is not there says, and values on it.

This machine may have no GPU: what stands for one is told in the docstring of each test that needs it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from netspec_onnx import providers, runtime
from netspec_onnx.binding import Binding
from netspec_onnx.providers import PROVIDERS, Provider, chain
from netspec_onnx.runtime import SHAPES, Opened
from onnx import TensorProto
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail
from run_harness import model
from session_harness import noise, plain, written

import netspec
from netspec.backend import KeepsReady, able
from netspec.diagnostics.errors import DataError, MissingError, UsageError
from netspec.running.place import Place

SAID = """\
Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object file: No such file or directory
Failed to load /site/nvidia/cu13/lib/libcurand.so.10: libcurand.so.10: cannot open shared object file
Please follow https://onnxruntime.ai/docs/install/#cuda-and-cudnn to install CUDA."""
"""What onnxruntime 1.31.1 prints without CUDA's libraries, and of one in a wheel."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.mark.parametrize(
    "device, message",
    [
        ("gpu", "no device 'gpu'"),
        ("hip", "no device 'hip'\nhelp: known: cpu, cuda, cuda:1, tensorrt"),
        ("cuda:", "'cuda:' is no device"),
        ("cuda:x", "'cuda:x' is no device"),
        ("cpu:0", "'cpu:0' is no device"),
        ("openvino:gpu\n", "is no device"),
        ("tensorrt:9999", "is no device"),
    ],
)
@pytest.mark.quick(1)
def test_a_device_that_nobody_has_is_a_usage_error(device: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as info:
        Place(device)
    assert info.value.help


@pytest.mark.parametrize(
    "device, meant", [("CPU", "cpu"), ("gpu", "cuda"), ("Cuda:1", "cuda"), ("openvino:gpu", "openvino:GPU")]
)
@pytest.mark.quick(1)
def test_a_device_that_is_written_otherwise_is_suggested(device: str, meant: str) -> None:
    with pytest.raises(UsageError) as info:
        Place(device)
    assert info.value.help == f"did you mean '{meant}'?"


def test_a_place_says_which_device_and_how() -> None:
    assert (Place("cuda:1").kind, Place("cuda:1").which, Place("cpu").which) == ("cuda", "1", "")
    for wrong in ({"device": "cpu", "cuda_graph": True}, {"threads": -1}, {"device": "openvino", "cuda_graph": True}):
        with pytest.raises(UsageError):
            Place(**wrong)  # type: ignore[arg-type]


def test_providers_are_asked_with_the_options_of_onnxruntime() -> None:
    """The names are those of onnxruntime's pages on the providers of CUDA, TensorRT and OpenVINO."""
    ((name, options),) = chain(Place("cuda:1", cuda_graph=True, exact=True))
    assert name == "CUDAExecutionProvider"
    assert options == {"device_id": "1", "use_tf32": "0", "enable_cuda_graph": "1"}
    first, second = chain(Place("tensorrt"), half=True)
    assert first[0] == "TensorrtExecutionProvider" and first[1]["trt_fp16_enable"] == "1"
    assert second[0] == "CUDAExecutionProvider" and second[1]["use_tf32"] == "1"
    ((name, options),) = chain(Place("openvino:GPU", threads=2))
    assert (name, options) == ("OpenVINOExecutionProvider", {"device_type": "GPU", "num_of_threads": "2"})


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "tensorrt", "openvino"])
@pytest.mark.quick(1)
def test_a_device_that_is_not_there_is_no_fallback(path: Path, device: str, capfd: Any) -> None:
    """Nothing stands for a device here: on a machine that has it, it runs there."""
    try:
        session = netspec.Session(path, device)
    except MissingError as error:
        assert error.exit_code == 3 and error.help
        title = PROVIDERS[Place(device).kind].title
        assert f"cannot use {title}: " in error.message or "this onnxruntime has no " in error.message
    else:
        assert session.provider.partition(" (")[0] == PROVIDERS[Place(device).kind].name
    assert capfd.readouterr() == ("", "")


def failing(monkeypatch: pytest.MonkeyPatch, made: Any, said: str = SAID) -> None:
    """Mocks the start of a provider: what preload_dlls prints, and what becomes of the session."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: [p.name for p in PROVIDERS.values()])
    monkeypatch.setattr(ort, "preload_dlls", lambda: print(said), raising=False)
    monkeypatch.setattr(ort, "InferenceSession", made)
    monkeypatch.setattr(providers, "_absent", lambda place: iter(()))


def test_the_missing_libraries_are_named(path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """Mocked: onnxruntime raises, after its preloading has printed the lines that it prints without CUDA."""

    def raises(*args: object, **options: object) -> None:
        raise RuntimeError("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0")

    failing(monkeypatch, raises)
    with pytest.raises(MissingError, match=r"use CUDA: libcublasLt.so.13, libcurand.so.10 cannot be loaded") as info:
        runtime.session(path, "cuda")
    assert info.value.exit_code == 3 and "netspec-compiler[cuda]" in info.value.help
    failing(monkeypatch, raises, said="")
    with pytest.raises(MissingError, match="CUDA failure 35: CUDA driver version is insufficient"):
        runtime.session(path, "cuda")
    assert capfd.readouterr() == ("", "")


def test_a_session_that_onnxruntime_moved_to_the_cpu_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: the session that was asked for on a GPU comes back on the CPU, as onnxruntime does by itself."""
    whole = ort.InferenceSession
    failing(monkeypatch, lambda s, o, **options: whole(s, o, providers=["CPUExecutionProvider"]), said="")
    for device in ("cuda", "tensorrt", "openvino"):
        with pytest.raises(MissingError, match="it fell back to CPUExecutionProvider"):
            runtime.session(path, device)


def test_a_provider_that_does_not_start_says_why(path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """Mocked: CUDA refuses a GPU that is not there, and onnxruntime goes on on the CPU where it may."""
    create = ort.InferenceSession._create_inference_session

    def refused(self: Any, providers: Any, *options: Any) -> None:
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA failure 101: invalid device ordinal ; GPU=7")
        create(self, providers, *options)

    failing(monkeypatch, ort.InferenceSession, said="")
    monkeypatch.setattr(ort.InferenceSession, "_create_inference_session", refused)
    with pytest.raises(MissingError, match="cannot use CUDA: CUDA failure 101: invalid device ordinal"):
        runtime.session(path, "cuda:7")
    assert capfd.readouterr() == ("", "")


def test_a_run_that_fails_is_not_run_elsewhere(path: Path, capfd: Any) -> None:
    """Mocked: the provider of a session fails in a run, after which onnxruntime takes the CPU where it may."""
    opened = Opened(path)
    real = opened.session._sess

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def run(self, *args: object) -> None:
            raise EPFail("[ONNXRuntimeError] : 11 : EP_FAIL : out of memory")

    opened.session._sess = Failing()
    with pytest.raises(DataError, match="cannot run the model.*EP_FAIL : out of memory"):
        opened.run({"input": noise(1, 4, 12, 12)})
    assert capfd.readouterr() == ("", "")


def test_a_library_that_is_missed_in_a_run_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: what a convolution says on a GPU without cuDNN, which onnxruntime loads when it is needed."""
    opened = Opened(path)
    opened.place = Place("cuda")
    monkeypatch.setattr(providers, "_absent", lambda place: iter(()))
    for library, why in (
        ("libcudnn.so", ": libcudnn.so: cannot open shared object file: No such file or directory"),
        ("cudnn64_9.dll", " with error 2"),
        (r"C:\cuda\bin\cudnn64_9.dll", " with error 126"),
    ):
        call = "dlopen" if library.startswith("lib") else "LoadLibrary"

        def run(*args: object, said: str = f"{call} failed for {library}{why}") -> None:
            raise RuntimeError(
                "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Non-zero status code returned while running Conv node. "
                f"Name:'c' Status Message: cuDNN is unavailable or disabled for CUDA Execution Provider: {said}"
            )

        monkeypatch.setattr(opened.session, "run", run)
        with pytest.raises(MissingError, match=re.escape(f"cannot use CUDA: {library} cannot be loaded")) as info:
            opened.run({"input": noise(1, 4, 12, 12)})
        assert "netspec-compiler[cuda]" in info.value.help


def test_a_session_leaves_stdout_to_other_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that take it in turn and give it back in turn would lose it."""
    seen, whole = list[object](), ort.InferenceSession

    def made(*args: Any, **options: Any) -> ort.InferenceSession:
        seen.append(sys.stdout)
        return whole(*args, **options)

    monkeypatch.setattr(ort, "InferenceSession", made)
    netspec.Session(path)
    assert seen == [sys.stdout]


def test_the_wheel_of_tensorrt_is_of_the_version_that_onnxruntime_needs() -> None:
    """Its library names the TensorRT that it is linked with."""
    library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_tensorrt.so"
    if not library.exists():
        pytest.skip("this onnxruntime was built without TensorRT")
    (major,) = {int(found) for found in re.findall(rb"libnvinfer\.so\.(\d+)\0", library.read_bytes())}
    root = Path(__file__).resolve().parents[1]
    for text in (
        PROVIDERS["tensorrt"].help,
        *((root / file).read_text(encoding="utf-8") for file in ("tools/cuda.py", "docs/running.md")),
    ):
        assert set(re.findall(r"tensorrt<(\d+)", text)) == {str(major + 1)}, text[:200]


def test_a_gpu_without_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: PyTorch finds a GPU, which is full when the weights are moved to it."""
    torch = pytest.importorskip("torch")

    def full(*args: object, **options: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", full)
    network = netspec.load("lenet5")
    with pytest.raises(DataError, match="cannot run the network: CUDA out of memory"):
        able("torch", KeepsReady).ready(network.inference, network.arrays(), Place("cuda"))


@pytest.mark.slow
def test_a_model_that_is_wrong_is_no_missing_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: onnxruntime says of the model what it says on any device."""
    said = "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from m.onnx failed:Protobuf parsing failed."

    def raises(*args: object, **options: object) -> None:
        raise RuntimeError(said)

    failing(monkeypatch, raises)
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(DataError, match="refuses the model"):
        runtime.session(tmp_path / "m.onnx", "cuda")


def test_values_stay_on_the_device_between_runs(path: Path) -> None:
    """Real runs, in the memory of the CPU in place of a GPU's: the calls of onnxruntime are the same."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    one, other = noise(2, 4, 12, 12), noise(2, 4, 12, 12, seed=1)
    bound = Binding(session, {"input": one}, "cpu", graph=0)
    first = bound.get()["output"]
    where = bound.outputs()["output"].data_ptr()
    bound.put({"input": other})
    bound.run()
    assert np.allclose(first, plain(path, one), atol=1e-5)
    assert np.allclose(bound.get()["output"], plain(path, other), atol=1e-5)
    assert bound.outputs()["output"].data_ptr() == where  # a CUDA graph writes where it was recorded


def test_a_run_by_binding_gives_what_a_plain_run_gives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: the CPU is said to have a memory of its own, so that runs go the way of a GPU's."""
    monkeypatch.setitem(PROVIDERS, "cpu", Provider("CPUExecutionProvider", memory="cpu"))
    opened = Opened(path)
    for batch in [*range(1, SHAPES + 3), 1, 2]:
        value = noise(batch, 4, 12, 12, seed=batch)
        result = opened.run({"input": value}, repeat=1)
        assert np.allclose(result.outputs["output"], plain(path, value), atol=1e-5) and len(result.latency_ms) == 1
    assert len(opened._bound) == SHAPES


@pytest.mark.slow
def test_each_shape_has_its_cuda_graph(path: Path) -> None:
    """Mocked: a session that notes the run options, and runs on the CPU, which records no graph."""
    real, noted = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]), list[str]()

    class Noting:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def run_with_iobinding(self, bound: Any, options: ort.RunOptions) -> None:
            noted.append(options.get_run_config_entry("gpu_graph_id"))
            real.run_with_iobinding(bound, options)

    bound = Binding(Noting(), {"input": noise(1, 4, 12, 12)}, "cpu", graph=3)  # type: ignore[arg-type]
    bound.run()
    assert noted == ["-1", "3", "3"]  # once without, so that outputs have their place; recorded; replayed


def test_the_extra_brings_the_libraries_of_cuda() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"]["cuda"][0].startswith("onnxruntime-gpu[cuda,cudnn]>=")
    try:
        offered = metadata("onnxruntime-gpu").get_all("Provides-Extra")
    except ModuleNotFoundError:
        pytest.skip("another onnxruntime is installed")
    assert {"cuda", "cudnn"} <= set(offered or [])


@pytest.mark.slow
def test_an_output_whose_shape_depends_on_values_is_bound_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: as above, the CPU is said to have a memory of its own."""
    monkeypatch.setitem(PROVIDERS, "cpu", Provider("CPUExecutionProvider", memory="cpu"))
    path = tmp_path / "n.onnx"
    model(str(path), "NonZero", {"x": (TensorProto.FLOAT, ("n",))}, TensorProto.INT64, (1, None))
    opened = Opened(path)
    for values in ([1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1]):
        found = opened.run({"x": np.array(values, np.float32)}, 0).outputs["y"]
        assert np.array_equal(np.asarray(found), np.nonzero(np.array(values)))
