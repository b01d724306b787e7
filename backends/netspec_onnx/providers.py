"""The execution providers of onnxruntime by device: what each is asked for, and the libraries that it lacks."""

from __future__ import annotations

import ctypes
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import onnxruntime as ort

from netspec.diagnostics.errors import MissingError
from netspec.running.place import Place

GPU_PACKAGE = "pip install onnxruntime-gpu, in place of onnxruntime"


@dataclass(frozen=True, slots=True)
class Provider:
    """What runs a model on a device."""

    name: str
    """Of the execution provider."""
    title: str = ""
    """What people call it."""
    package: str = ""
    """How an onnxruntime is had that was built with it."""
    help: str = ""
    """What brings the libraries that it needs."""
    gpu: bool = False
    """Whether it runs on NVIDIA's, and needs the driver."""
    memory: str = ""
    """Where its values lie between runs; empty where it takes them out of the memory of numpy."""


CUDA_LIBRARIES = "pip install 'netspec-compiler[cuda]' brings CUDA's libraries; the driver must be there"
DRIVER = "libcuda.so.1"
"""NVIDIA's, on Linux; `nvcuda.dll` on Windows."""
PROVIDERS = {
    "cpu": Provider("CPUExecutionProvider", "the CPU"),
    "cuda": Provider("CUDAExecutionProvider", "CUDA", GPU_PACKAGE, CUDA_LIBRARIES, gpu=True, memory="cuda"),
    "tensorrt": Provider(
        "TensorrtExecutionProvider",
        "TensorRT",
        GPU_PACKAGE,
        f"{CUDA_LIBRARIES}; pip install 'tensorrt<11' brings TensorRT's, where libnvinfer.so.10 is needed",
        gpu=True,
        memory="cuda",
    ),
    "openvino": Provider(
        "OpenVINOExecutionProvider",
        "OpenVINO",
        "pip install onnxruntime-openvino, in place of onnxruntime and onnxruntime-gpu",
        "onnxruntime-openvino brings its libraries; a GPU or an NPU needs Intel's driver",
    ),
}
"""By the name of the device."""

TENSORRT = ("libnvinfer.so*", "libnvinfer_plugin.so*", "libnvonnxparser.so*")
"""The libraries of the wheel of TensorRT, in the order in which they need each other."""


def provider_of(place: Place) -> Provider:
    """The provider of a place; raises MissingError where onnxruntime was built without it."""
    found = PROVIDERS[place.kind]
    if found.name not in ort.get_available_providers():
        raise MissingError(f"this onnxruntime has no {found.name}", found.package)
    return found


def chain(place: Place, half: bool = False) -> list[tuple[str, dict[str, str]]]:
    """The providers of a session with their options, the one that was asked for first.

    TensorRT leaves operators that it lacks to CUDA; `half` lets it compute in float16, as the weights of the model are.
    """
    which = {"device_id": place.which or "0"}
    cuda = which | {"use_tf32": "0" if place.exact else "1"}
    match place.kind:
        case "cuda":
            return [(PROVIDERS["cuda"].name, cuda | {"enable_cuda_graph": str(int(place.cuda_graph))})]
        case "tensorrt":
            own = {"trt_fp16_enable": str(int(half)), "trt_cuda_graph_enable": str(int(place.cuda_graph))}
            return [(PROVIDERS["tensorrt"].name, which | own), (PROVIDERS["cuda"].name, cuda)]
        case "openvino":
            threads = {"num_of_threads": str(place.threads)} if place.threads else {}
            return [(PROVIDERS["openvino"].name, {"device_type": place.which or "CPU"} | threads)]
    return [(PROVIDERS["cpu"].name, {})]


_printing = Lock()
"""Of stdout, which is one for all threads."""


def preload(place: Place) -> str:
    """Loads CUDA's libraries, and TensorRT's, out of the wheels that bring them; gives what is said of absent ones."""
    if not PROVIDERS[place.kind].gpu:
        return ""
    said = io.StringIO()
    if hasattr(ort, "preload_dlls"):
        with _printing, redirect_stdout(said):
            ort.preload_dlls()
    if place.kind == "tensorrt" and (spec := find_spec("tensorrt_libs")) is not None:
        for folder in map(Path, spec.submodule_search_locations or ()):
            for path in (path for pattern in TENSORRT for path in sorted(folder.glob(pattern))):
                _load(str(path))
    return said.getvalue()


def gpu_name(place: Place) -> str:
    """What NVIDIA's driver calls the GPU of a place (cuDeviceGetName of CUDA's driver API); empty where it does not."""
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else DRIVER)
        if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), int(place.which or 0)):
            return ""
        failed = driver.cuDeviceGetName(name, len(name), device)
    except (OSError, AttributeError):  # no driver, or none that has these functions
        return ""
    return "" if failed else name.value.decode(errors="replace").strip()


def without(place: Place, said: str, otherwise: str) -> MissingError:
    """The error of a provider that does not start: it names the libraries that are not there, else what else is said.

    `said` is what onnxruntime printed, `otherwise` its error.
    """
    found = PROVIDERS[place.kind]
    missed = dict.fromkeys([*_preloads(said), *LATE.findall(otherwise), *_absent(place)])
    if missed:
        why = f"{', '.join(missed)} cannot be loaded"
    else:
        why = " ".join(otherwise.split())[:300]
    return MissingError(f"onnxruntime cannot use {found.title}: {why}", found.help)


LATE = re.compile(r"(?:dlopen|LoadLibrary) failed for ((?:[A-Za-z]:\\)?[^\s:]+)")
"""What onnxruntime says of a library that it looks for when the first operator needs it, as cuDNN for convolutions."""


def _preloads(said: str) -> Iterator[str]:
    """The libraries that onnxruntime.preload_dlls says are not there."""
    for line in said.splitlines():
        if line.startswith("Failed to load "):
            yield Path(line.split()[3].rstrip(":")).name


def _absent(place: Place) -> Iterator[str]:
    """What the dynamic linker does not find for the library of a provider: its first absent one, and the driver."""
    if sys.platform != "linux":
        return
    library = Path(ort.__file__).parent / "capi" / f"libonnxruntime_providers_{place.kind}.so"
    gpu = PROVIDERS[place.kind].gpu
    for one in [str(library)] * library.exists() + [DRIVER] * gpu:
        if missed := _load(one):
            yield f"{missed} (NVIDIA's driver)" if missed == DRIVER else missed


def _load(library: str) -> str:
    """Loads a shared library; gives the name of the one that is not there, it or one that it needs."""
    try:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError as e:
        name, _, why = str(e).partition(": ")
        return Path(name).name if "cannot open shared object file" in why else ""
    return ""
