"""Runs one ONNX file in one runtime: RUNTIME MODEL INPUTS.npz OUTPUTS.npz; it knows that runtime and numpy alone.

What a runtime raises ends the process; the last line of its standard error is the reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


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
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(converted)])
    if not converted.exists():
        raise RuntimeError("the converter wrote no file")
    interpreter = MNN.Interpreter(str(converted))
    names = list(interpreter.getSessionOutputAll(interpreter.createSession()))
    expected = (model.parent / "outputs.txt").read_text(encoding="utf-8").split("\n")
    if missing := set(expected) - set(names):
        raise RuntimeError(f"the converted model has no output {sorted(missing)[0]}")
    module = MNN.nn.load_module_from_file(str(converted), list(inputs), expected)
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


RUNNERS: dict[str, Callable[[Path, Arrays], list[np.ndarray]]] = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "mnn": mnn,
    "tract": tract,
    "opencv": opencv,
}


def main() -> None:
    """Reads the command line; writes the outputs as arrays named by their place."""
    name, model, given, out = sys.argv[1:]
    with np.load(given) as file:
        inputs = {key: file[key] for key in file.files}
    found = RUNNERS[name](Path(model).resolve(), inputs)
    np.savez(out, **{str(i): np.asarray(value) for i, value in enumerate(found)})


if __name__ == "__main__":
    main()
