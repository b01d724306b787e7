"""Writes a model: checked, in one file, or with its weights streamed into a file next to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import onnx

from netspec.backend import Written
from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.atomic import together, write_bytes, writing
from netspec.files.parts import Part
from netspec.ir.graph import Graph
from netspec.weights.lazy import in_pieces
from netspec_onnx.build_model import SIZES_KEY, fitting, structure, weight_bytes
from netspec_onnx.dynamic import FREE
from netspec_onnx.options import OnnxOptions
from netspec_onnx.precision import element, rounded
from netspec_onnx.presets import refusing_functions
from netspec_onnx.readers import doubts

TAKING_FUNCTIONS = ("onnxruntime", "browser")
"""What is known to run blocks as functions."""
LIMIT = 2 * 10**9
"""Bytes of weights that fit next to the rest into one protobuf message (2 GiB)."""


def write_model(graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: OnnxOptions) -> Written:
    """Writes a checked model; the main file appears last; raises DataError, UsageError, SpecError."""
    fits = weight_bytes(graph, options) <= LIMIT
    apart = options.external_data or (options.external_data is None and not fits)
    if not apart and not fits:
        raise UsageError("more than 2 GB of weights do not fit into one file", "--external-data writes them beside it")
    shapes = fitting(graph, arrays, options)
    with in_pieces(arrays, shapes) as take:  # they are drawn while the graph is built and checked
        model = structure(graph, options)
        check(model, graph, options)
        note = f"opset {model.opset_import[0].version}, IR version {model.ir_version}"
        remarks = [p.value for p in model.metadata_props if p.key == SIZES_KEY]
        facts = frozenset(r for r in remarks if r == FREE)
        remarks += doubts(model.opset_import[0].version, model.ir_version, options)
        if model.functions and options.for_ not in TAKING_FUNCTIONS:
            named = ", ".join(refusing_functions())
            remarks.append(f"blocks are functions, which {named} refuse; without --functions keep they take the file")
        content = Content(graph, model, shapes, take, options)
        if apart:
            return Written(_write_apart(content, target), note, remarks, facts=facts)
        with writing(target) as f:
            _write_whole(content, f)
    return Written([target], note, remarks, facts=facts)


@dataclass(frozen=True, slots=True)
class Content:
    """A checked model without its weights, and the weights."""

    graph: Graph
    model: onnx.ModelProto
    shapes: Mapping[str, tuple[int, ...]]
    take: Callable[[], Iterator[np.ndarray]]
    """Gives the pieces of the weights in the order of `shapes`, weight by weight."""
    options: OnnxOptions

    def size(self, key: str) -> int:
        """The bytes of a weight in the type of the model."""
        return prod(self.shapes[key]) * element(self.options).numpy.itemsize

    def write_next(self, key: str, f: IO[bytes] | Part) -> None:
        """The bytes of the next weight, of which a few pieces are in memory."""
        for piece in self.take():
            f.write(rounded(self.graph, key, piece, self.options).view(np.uint8).data)


def _write_whole(content: Content, f: IO[bytes]) -> None:
    """Writes a model with its weights.

    A field of a protobuf message is a key, its length and its bytes, in any order: what is written is one ModelProto.
    """
    kind = element(content.options).kind
    heads, total = {}, 0
    for key, shape in content.shapes.items():
        size = content.size(key)
        tensor = onnx.TensorProto(name=key, dims=shape, data_type=kind).SerializeToString()
        tensor += _key(TENSOR_RAW_DATA, size)
        heads[key] = _key(GRAPH_INITIALIZER, len(tensor) + size) + tensor
        total += len(heads[key]) + size
    rest = onnx.ModelProto()
    rest.CopyFrom(content.model)
    rest.ClearField("graph")
    f.write(rest.SerializeToString())
    main = content.model.graph.SerializeToString()
    f.write(_key(MODEL_GRAPH, len(main) + total) + main)
    for key, head in heads.items():
        f.write(head)
        content.write_next(key, f)


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


def _write_apart(content: Content, target: Path) -> list[Path]:
    """Streams the weights into a file next to the model, whose name has their hash: a model never reads another's."""
    kind, model = element(content.options).kind, content.model
    try:
        target.name.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{target}: a model cannot hold this name of its data, which is not UTF-8", "name another file with -o"
        ) from None
    with together(target) as new:
        _check_name(new.target)
        data, offset = new.add("", hashed=True), 0
        for key, shape in content.shapes.items():
            content.write_next(key, data)
            model.graph.initializer.append(_external(key, shape, kind, offset, content.size(key)))
            offset += content.size(key)
        name = new.name_by_hash(data)
        for tensor in model.graph.initializer:
            tensor.external_data.add(key="location", value=name)
        new.add(new.target.name).write(model.SerializeToString())
    return [target, new.path(name)]


def write_finished(model: onnx.ModelProto, target: Path, apart: bool) -> list[Path]:
    """Writes a model with its weights, or these in a file next to it, whose name has their hash; raises UsageError."""
    if not apart:
        return [write_bytes(target, model.SerializeToString())]
    with together(target) as new:
        _check_name(new.target)
        data, offset = new.add("", hashed=True), 0
        for tensor in model.graph.initializer:
            offset += _move(tensor, data, offset)
        name = new.name_by_hash(data)
        for tensor in model.graph.initializer:
            if tensor.external_data:
                tensor.external_data.add(key="location", value=name)
        new.add(new.target.name).write(model.SerializeToString())
    return [target, new.path(name)]


def _move(tensor: onnx.TensorProto, data: Part, offset: int) -> int:
    """Moves the bytes of a weight into the data file; gives how many; scales and the like stay."""
    size = len(tensor.raw_data)
    if size < SMALL:
        return 0
    data.write(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for field, value in (("offset", offset), ("length", size)):
        tensor.external_data.add(key=field, value=str(value))
    return size


SMALL = 1024
"""Bytes of a tensor that stays in the model, as in onnx.save."""


def _check_name(target: Path) -> None:
    if not _is_utf8(target.name):
        raise UsageError(
            f"{str(target)!r} is not UTF-8, as the name of its data in the model must be",
            "name another file with -o; --no-external-data needs no such name",
        )


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
