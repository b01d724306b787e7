"""Values out of the files of ONNX's test sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from netspec.diagnostics.errors import DataError, UsageError

if TYPE_CHECKING:
    from netspec.running.ports import Value


def read_pb(path: Path, type: str) -> Value:
    """A value of ONNX's test sets: a TensorProto, SequenceProto or OptionalProto, by the type of the input.

    Raises UsageError where it cannot be read, DataError where it is none.
    """
    kind = type.partition("(")[0]
    proto: Any = {"seq": onnx.SequenceProto, "optional": onnx.OptionalProto}.get(kind, onnx.TensorProto)()
    try:
        proto.ParseFromString(path.read_bytes())
        return _value(proto)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None
    except MemoryError:
        raise
    except Exception as e:  # protobuf and onnx fail in many ways, and share no base but Exception
        raise DataError("NS701", f"{path} is not a {proto.DESCRIPTOR.name} that can be read: {str(e)[:200]}") from None


def _value(proto: Any) -> Value:
    if isinstance(proto, onnx.TensorProto):
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError("its data stands in another file")
        return np.asarray(numpy_helper.to_array(proto))
    if isinstance(proto, onnx.SequenceProto):
        if proto.elem_type != onnx.SequenceProto.TENSOR:
            raise ValueError("it is a sequence of something other than tensors")
        return [_value(tensor) for tensor in proto.tensor_values]
    kinds = {onnx.OptionalProto.TENSOR: "tensor_value", onnx.OptionalProto.SEQUENCE: "sequence_value"}
    if proto.elem_type == onnx.OptionalProto.UNDEFINED:
        return None
    if proto.elem_type not in kinds:
        raise ValueError("it holds neither a tensor nor a sequence")
    field = kinds[proto.elem_type]
    return _value(getattr(proto, field)) if proto.HasField(field) else None
