"""Values in the type that a model takes: what cannot keep its value is an error, what is rounded is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from netspec.diagnostics.errors import DataError, UsageError
from netspec.running.ports import PLAIN, Port, Value, dtype_of, name_of

Say = Callable[[str], None]


def fit(value: Value, port: Port, where: str, say: Say) -> Value:
    """A value in the type of an input; `where` names it in messages; raises DataError."""
    if port.kind == "optional":
        return None if value is None else fit(value, port.inner, where, say)
    if value is None:
        raise DataError(
            "NS701", f"{where} is nothing, the model expects {port.type}", "only an optional input may be left out"
        )
    if port.kind == "seq":
        if not isinstance(value, list):
            raise DataError("NS701", f"{where} is one tensor, the model expects {port.type}", "give a list of tensors")
        return [fit(item, port.inner, f"{where}, element {i}", say) for i, item in enumerate(value)]
    if port.kind != "tensor":
        raise DataError("NS701", f"{where}: netspec cannot feed {port.type}", "give it in onnxruntime itself")
    if not isinstance(value, np.ndarray):
        raise DataError("NS701", f"{where} is {_called(value)}, the model expects {port.type}", "give one array")
    return _tensor(value, port.element, where, say)


def _tensor(value: np.ndarray, element: str, where: str, say: Say) -> np.ndarray:
    target = dtype_of(element)
    if value.dtype.name.startswith("void"):
        if value.dtype.names is None and element not in PLAIN and value.dtype.itemsize == target.itemsize:
            return value.view(target)  # a .npy file has no name for bfloat16 and its like, only their bytes
        raise _other(value, target, where)
    if (value.dtype.kind in "OUST") != (element == "string") or value.dtype.kind in "mM":
        raise _other(value, target, where)
    if value.dtype.kind == "c" and target.kind != "c":
        raise _other(value, target, where)
    if element == "string":
        return _texts(value, where) if value.dtype.kind == "S" else value.astype(object)
    if value.dtype == target:
        return np.ascontiguousarray(value, target).reshape(value.shape)
    return _number(value, target, where, say)


def _texts(value: np.ndarray, where: str) -> np.ndarray:
    """Texts that numpy holds as bytes."""
    try:
        return np.char.decode(value, "utf-8").astype(object)
    except UnicodeDecodeError:
        raise DataError("NS701", f"{where} is bytes that are not UTF-8", "give an array of texts") from None


def _number(value: np.ndarray, target: np.dtype[np.generic], where: str, say: Say) -> np.ndarray:
    """Another type of number: exact, or of the same kind and rounded within its range."""
    with np.errstate(all="ignore"):
        made = value.astype(target)
        same = _same(value, made)
    if same.all():
        return made
    if not (_is_float(value.dtype) and _is_float(target)):
        raise DataError(
            "NS701",
            f"{where} is {name_of(value.dtype)}, the model expects {name_of(target)}, which cannot hold "
            f"{value[~same].flat[0]}",
            "convert it before",
        )
    wide, narrow = value.astype(np.float64), made.astype(np.float64)
    if (lost := ~same & ~(np.isfinite(wide) & np.isfinite(narrow))).any():
        raise DataError(
            "NS701",
            f"{where} holds {wide[lost].flat[0]:g}, which {name_of(target)}, the type that the model expects, has not",
            "scale or convert it before",
        )
    error = np.abs(wide - narrow)[~same].max()
    say(f"{where} is {name_of(value.dtype)}, the model expects {name_of(target)}: rounded, by at most {error:.2g}")
    return made


def _same(value: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Where a converted value is still what it was."""
    same: np.ndarray = made.astype(value.dtype) == value
    if value.dtype.kind in "iu" and made.dtype.kind in "iu":
        same &= (value < 0) == (made < 0)  # -1 as uint64 would come back as -1
    elif value.dtype.kind in "iu" and _is_float(made.dtype):
        # the largest integers become 2**63, which some processors bring back as 2**63 - 1
        same &= made.astype(float) < float(2 ** (8 * value.dtype.itemsize - (value.dtype.kind == "i")))
    elif _is_float(value.dtype) and _is_float(made.dtype):
        same |= (value != value) & (made != made)
    return same


def _is_float(dtype: np.dtype[np.generic]) -> bool:
    return dtype.kind == "f" or "float" in dtype.name


def _other(value: np.ndarray, target: np.dtype[np.generic], where: str) -> DataError:
    objects = value.dtype.kind == "O" and not all(isinstance(one, str) for one in value.flat)
    message = (
        f"{where} is {'objects of Python' if objects else name_of(value.dtype)}, the model expects {name_of(target)}"
    )
    return DataError("NS701", message, f"give an array of {name_of(target)}")


def _called(value: object) -> str:
    return "a text" if isinstance(value, str) else f"a {type(value).__name__ if value is not None else 'missing value'}"


def at_hand(name: str, value: object) -> Value:
    """A value as arrays: a tensor of another library (`__array__`) too, wherever it lies; raises UsageError."""
    if isinstance(value, Mapping):
        raise UsageError(f"the input '{name}' is a mapping, expected an array", "inputs by name are run(**inputs)")
    if isinstance(value, str):
        raise UsageError(f"the input '{name}' is a text, expected an array", "session.images(FILES) reads images")
    if isinstance(value, np.ndarray) or not hasattr(value, "__array__"):
        return cast(Value, value)  # what it is not, `fit` says
    try:
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, RuntimeError, ValueError) as e:
        message = f"the input '{name}' is a {type(value).__name__} that is no array of numpy: {str(e)[:200]}"
        raise UsageError(message, "give an array of numpy") from None
