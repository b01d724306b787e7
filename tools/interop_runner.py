"""Runs one ONNX file in one runtime: RUNTIME MODEL INPUTS.npz OUTPUTS.npz; it knows that runtime and numpy alone.

What a runtime raises ends the process; the last error on its standard error is the reason. The process has limits
where the system knows them, and its outputs are there at once, by renaming, since some runtimes hang at their end.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np

Arrays = dict[str, np.ndarray]

KEPT: list[object] = []
"""What has to live as long as the process."""

MEMORY = 10 * 2**30
"""Bytes that a process may take."""
SECONDS = 120
"""Seconds of a processor that a process may take; those of a clock say little where others work too."""


MNN_WINOGRAD_TILES = 3
"""The hint of MNN, WINOGRAD_MEMORY_LEVEL, for how large the tiles of its convolutions are; 0 asks for small ones.

Large ones, its default, lose digits: six convolutions of 3x3 on 64 channels are 6e-4 off, with small ones 1e-6.
"""


def limit() -> None:
    """Limits what this process and those that it begins may take; nothing on a system that has no such limits."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))


def call(*command: str | Path, folder: Path) -> None:
    """Runs a tool of a runtime in a folder; raises RuntimeError with the last that it printed."""
    parts = [str(part) for part in command]
    done = subprocess.run(parts, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        said = [line for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]
        errors = [line for line in said if "error" in line.lower()] or said[-1:]
        raise RuntimeError(f"{Path(parts[0]).name} ended with {done.returncode}: {' '.join(errors[:1])}")


def onnxruntime(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model in onnxruntime on the CPU."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def openvino(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model in OpenVINO on the CPU, in float32, which it may leave by itself."""
    import openvino as ov

    compiled = ov.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(inputs)
    return [np.asarray(found[output]) for output in compiled.outputs]


def mnn(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model that MNN's converter has read; the command around the converter reports home."""
    # First: it loads the library that the converter is linked with.
    import MNN

    import _tools  # isort: skip

    converted = model.with_suffix(".mnn")
    os.chdir(model.parent)  # where the converter leaves a file of its own
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(converted)])
    if not converted.exists():
        raise RuntimeError("the converter wrote no file")
    interpreter = MNN.Interpreter(str(converted))
    names = list(interpreter.getSessionOutputAll(interpreter.createSession()))
    expected = (model.parent / "outputs.txt").read_text(encoding="utf-8").split("\n")
    if missing := set(expected) - set(names):
        raise RuntimeError(f"the converted model has no output {sorted(missing)[0]}")
    manager = MNN.nn.create_runtime_manager(({"backend": 0, "precision": "high"},))
    manager.set_hint(MNN_WINOGRAD_TILES, 0)
    module = MNN.nn.load_module_from_file(str(converted), list(inputs), expected, runtime_manager=manager)
    fed = [MNN.expr.const(x, list(x.shape), MNN.expr.NCHW) for x in inputs.values()]
    found = module.forward(fed)
    return [np.array(MNN.expr.convert(v, MNN.expr.NCHW).read()) for v in found]


def tract(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model in tract, told the shapes of the inputs."""
    import tract as library

    read = library.onnx().load(str(model))
    for i, x in enumerate(inputs.values()):
        read.set_input_fact(i, ",".join(map(str, x.shape)) + ",f32")
    return [value.to_numpy() for value in read.into_model().into_runnable().run(list(inputs.values()))]


def opencv(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model in OpenCV's dnn."""
    import cv2

    net = cv2.dnn.readNetFromONNX(str(model))
    for name, x in inputs.items():
        net.setInput(x, name)
    return [np.asarray(value) for value in net.forward(net.getUnconnectedOutLayersNames())]


def ncnn(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model that pnnx has converted, in ncnn, in float32."""
    import ncnn as library

    # The package's Python imports torch, which its converter does without.
    (home,) = importlib.util.find_spec("pnnx").submodule_search_locations
    converter = Path(home) / ("pnnx.exe" if os.name == "nt" else "pnnx")
    shapes = ",".join(f"[{','.join(map(str, x.shape))}]" for x in inputs.values())
    call(converter, model, "fp16=0", f"inputshape={shapes}", folder=model.parent)
    with library.Net() as net:
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(net.opt, name, False)
        for suffix, load in ((".ncnn.param", net.load_param), (".ncnn.bin", net.load_model)):
            code, said = printed(load, str(model.with_suffix(suffix)))
            if code:
                known = unknown(model.with_suffix(".ncnn.param"))
                raise RuntimeError(f"ncnn does not load what pnnx wrote: {known or said or 'no reason given'}")
        return ncnn_outputs(net, library, list(inputs.values()))


def ncnn_outputs(net: object, library: object, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a loaded network; the batch is no axis of ncnn."""
    found = []
    with net.create_extractor() as extractor:
        for i, x in enumerate(inputs):
            extractor.input(f"in{i}", library.Mat(x, batch_index=0).clone())
        for i in range(len(net.output_names())):
            code, value = extractor.extract(f"out{i}")
            if code:
                raise RuntimeError(f"extract gives {code}")
            found.append(np.array(value.numpy(batch_index=0)))
    return found


def unknown(param: Path) -> str:
    """The types of layers that pnnx could not say in ncnn's words, which keep a dot in their names."""
    types = [line.split()[0] for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip()]
    return ", ".join(sorted({name for name in types if "." in name or "::" in name}))


def printed(function: Callable[[str], int], argument: str) -> tuple[int, str]:
    """What a function gives, and what a library printed on standard error meanwhile, as one line."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            code = function(argument)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return code, " ".join(file.read().decode(errors="replace").split())


def onnx2torch(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of the PyTorch module that onnx2torch makes of a model."""
    import torch

    import_torchvision(torch)
    from onnx2torch import convert

    with torch.inference_mode():
        found = convert(str(model)).eval()(*map(torch.from_numpy, inputs.values()))
    return [value.numpy() for value in ([found] if isinstance(found, torch.Tensor) else found)]


def import_torchvision(torch: ModuleType) -> None:
    """Imports torchvision; where its build is not that of torch, its operators for detectors stay without kernels."""
    fragment = torch.library.Library("torchvision", "FRAGMENT")
    for _ in range(10):
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if not (missing := re.search(r"operator torchvision::(\w+) does not exist", str(error))):
                raise
            fragment.define(f"{missing[1]}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        else:
            break
    KEPT.append(fragment)  # a library that is collected takes its operators with it


def web(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model in onnxruntime-web, WebAssembly in Node."""
    folder = model.parent / "web"
    folder.mkdir()
    for i, x in enumerate(inputs.values()):
        x.tofile(folder / f"in{i}.bin")
    shapes = {name: x.shape for name, x in inputs.items()}
    (folder / "inputs.json").write_text(json.dumps(shapes), encoding="utf-8")
    script = Path(__file__).with_name("interop_web.mjs")
    call("node", script, Path(sys.prefix) / "node_modules", model, folder, folder=folder)
    dims = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
    return [np.fromfile(folder / f"out{i}.bin", np.float32).reshape(shape) for i, shape in enumerate(dims)]


def iree(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model that IREE's importer and compiler have read, on its CPU device."""
    from iree import runtime

    bin, read, module = Path(sys.executable).parent, model.with_suffix(".mlir"), model.with_suffix(".vmfb")
    call(bin / "iree-import-onnx", model, "-o", read, folder=model.parent)
    target = ("--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu")
    call(bin / "iree-compile", read, "-o", module, *target, "--iree-llvmcpu-target-cpu=host", folder=model.parent)
    loaded = runtime.load_vm_flatbuffer_file(str(module), driver="local-sync")
    (name,) = (each for each in loaded.vm_module.function_names if "$" not in each and not each.startswith("__"))
    found = loaded[name](*inputs.values())
    return [np.asarray(value) for value in (found if isinstance(found, tuple) else (found,))]


def tvm(model: Path, inputs: Arrays) -> list[np.ndarray]:
    """Every output of a model that TVM's importer has read, compiled by LLVM."""
    import onnx
    from tvm import relax, runtime
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load(str(model)), shape_dict={name: list(x.shape) for name, x in inputs.items()})
    module = relax.transform.DecomposeOpsForInference()(module)
    device = runtime.device("cpu")
    machine = relax.VirtualMachine(relax.build(module, target="llvm"), device)
    found = machine["main"](*(runtime.tensor(x, device) for x in inputs.values()))
    return [value.numpy() for value in ([found] if hasattr(found, "numpy") else found)]


RUNNERS: dict[str, Callable[[Path, Arrays], list[np.ndarray]]] = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "mnn": mnn,
    "tract": tract,
    "opencv": opencv,
    "ncnn": ncnn,
    "onnx2torch": onnx2torch,
    "web": web,
    "iree": iree,
    "tvm": tvm,
}


def main() -> None:
    """Reads the command line; writes the outputs as arrays named by their place."""
    limit()
    name, model, given, out = sys.argv[1:]
    with np.load(given) as file:
        inputs = {key: file[key] for key in file.files}
    found = RUNNERS[name](Path(model).resolve(), inputs)
    part = Path(out).with_name("part.npz")
    np.savez(part, **{str(i): np.asarray(value) for i, value in enumerate(found)})
    part.replace(out)


if __name__ == "__main__":
    main()
