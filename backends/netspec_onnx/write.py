"""Writes a model: checked, in one file, or with its weights streamed into a file next to it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import onnx

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.atomic import together, writing
from netspec.files.parts import Part
from netspec.ir.graph import Graph
from netspec.weights.lazy import in_turn
from netspec_onnx.build_model import converted, fitting, structure, weight_bytes
from netspec_onnx.options import OnnxOptions
from netspec_onnx.precision import element

LIMIT = 2 * 10**9
"""Bytes of weights that fit next to the rest into one protobuf message (2 GiB)."""


def write_model(graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: OnnxOptions) -> list[Path]:
    """Writes a checked model; the main file appears last; raises DataError, UsageError."""
    model = structure(graph, options)
    check(model, graph, options)
    fits = weight_bytes(graph, options) <= LIMIT
    if options.external_data or (options.external_data is None and not fits):
        return _write_apart(model, graph, arrays, target, options)
    if not fits:
        raise UsageError("more than 2 GB of weights do not fit into one file", "--external-data writes them beside it")
    with writing(target) as f:
        _write_whole(model, graph, arrays, options, f)
    return [target]


def _write_whole(
    model: onnx.ModelProto, graph: Graph, arrays: Mapping[str, np.ndarray], options: OnnxOptions, f: IO[bytes]
) -> None:
    """Writes a model with its weights, of which one is in memory at a time.

    A field of a protobuf message is a key, its length and its bytes, in any order: what is written is one ModelProto.
    """
    dtype = element(options)
    shapes, heads, total = fitting(graph, arrays, options), [], 0
    for key, shape in shapes.items():
        size = prod(shape) * dtype.numpy.itemsize
        tensor = onnx.TensorProto(name=key, dims=shape, data_type=dtype.kind).SerializeToString()
        tensor += _key(TENSOR_RAW_DATA, size)
        heads.append(_key(GRAPH_INITIALIZER, len(tensor) + size) + tensor)
        total += len(heads[-1]) + size
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    f.write(rest.SerializeToString())
    main = model.graph.SerializeToString()
    f.write(_key(MODEL_GRAPH, len(main) + total) + main)
    with in_turn(arrays, shapes) as take:
        for key, head in zip(shapes, heads, strict=True):
            f.write(head)
            _write_weight(f, key, take(), options)


def _write_weight(f: IO[bytes] | Part, key: str, array: np.ndarray, options: OnnxOptions) -> None:
    """The bytes of a weight in the type of the model, converted in pieces: a tensor may be large."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, PIECE):
        f.write(converted(key, flat[start : start + PIECE], options).view(np.uint8).data)


PIECE = 2**22
"""Numbers that are converted at once."""
MODEL_GRAPH = onnx.ModelProto.DESCRIPTOR.fields_by_name["graph"].number
GRAPH_INITIALIZER = onnx.GraphProto.DESCRIPTOR.fields_by_name["initializer"].number
TENSOR_RAW_DATA = onnx.TensorProto.DESCRIPTOR.fields_by_name["raw_data"].number


def _key(field: int, length: int) -> bytes:
    """What stands before a message in a message: field number and wire type 2, then the length in groups of 7 bits."""
    found = bytearray()
    for number in (field << 3 | 2, length):
        while number > 127:
            found.append(number & 127 | 128)
            number >>= 7
        found.append(number)
    return bytes(found)


def _write_apart(
    model: onnx.ModelProto, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: OnnxOptions
) -> list[Path]:
    """Streams the weights into a file next to the model, whose name has their hash: a model never reads another's."""
    dtype, shapes = element(options), fitting(graph, arrays, options)
    try:
        target.name.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{target}: a model cannot hold this name of its data, which is not UTF-8", "name another file with -o"
        ) from None
    with together(target) as new, in_turn(arrays, shapes) as take:
        if not _is_utf8(new.target.name):
            raise UsageError(
                f"{str(target)!r} is not UTF-8, as the name of its data in the model must be",
                "name another file with -o; --no-external-data needs no such name",
            )
        data, offset = new.add("", hashed=True), 0
        for key, shape in shapes.items():
            _write_weight(data, key, take(), options)
            size = prod(shape) * dtype.numpy.itemsize
            model.graph.initializer.append(_external(key, shape, dtype.kind, offset, size))
            offset += size
        name = new.name_by_hash(data)
        for tensor in model.graph.initializer:
            tensor.external_data.add(key="location", value=name)
        new.add(new.target.name).write(model.SerializeToString())
    return [target, new.path(name)]


def _is_utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def check(model: onnx.ModelProto, graph: Graph, options: OnnxOptions) -> None:
    """Runs onnx.checker with full_check on a copy whose weights are inputs: what it checks does not depend on values.

    Weights are declared by type and shape alone, so that the check costs no pass over them.
    """
    kind = element(options).kind
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    bare.graph.input.extend(
        onnx.helper.make_tensor_value_info(key, kind, list(shape)) for key, (shape, _, _) in graph.tensors().items()
    )
    try:
        onnx.checker.check_model(bare.SerializeToString(), full_check=True)  # in memory: no file is left by a kill
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as e:
        raise DataError(
            "NS603",
            f"onnx.checker refuses the model: {str(e)[:500]}",
            "this is a bug of netspec, or of the backend row of an op from outside",
        ) from None


def _external(key: str, shape: tuple[int, ...], kind: int, offset: int, size: int) -> onnx.TensorProto:
    """The initialiser that points into the data file, which has no name yet."""
    made = onnx.TensorProto(name=key, dims=shape, data_type=kind, data_location=onnx.TensorProto.EXTERNAL)
    for field, value in (("offset", offset), ("length", size)):
        made.external_data.add(key=field, value=str(value))
    return made
