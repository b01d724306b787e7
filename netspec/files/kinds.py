"""What a file is that is not a spec, by its first bytes and its name, and which command takes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netspec.diagnostics.errors import UsageError

SPEC_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Kind:
    """A format that is not a spec's."""

    what: str
    suffixes: tuple[str, ...]
    begins: re.Pattern[bytes] | None
    """No text begins so; None for a format that is text, which its suffix alone tells."""
    help: str
    """Which command takes one; `{}` is the file's name."""
    option: str = ""
    """The option of `netspec compile` that writes one."""


def _bytes(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


_WEIGHTS = "`netspec compile SPEC --weights {}` and `netspec run SPEC --weights {}` take one"
_DRAWN = "`netspec draw SPEC -o {}` writes one, and no command reads one"
_NONE = "no command of netspec takes one"
_JSON = "`netspec compile SPEC --to json` writes one; `-O2 --profile {}` takes one that `netspec tune` has written"
_YAML = "a spec is YAML: `netspec: 1`, ..."

KINDS = (
    # ir_version, then one of the other fields of a ModelProto
    Kind(
        "an ONNX model",
        (".onnx",),
        _bytes(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42\x72]"),
        "`netspec run {}` takes one",
        "--to onnx",
    ),
    Kind("arrays of numpy", (".npz",), _bytes(rb"PK\x03\x04.{22}[^/]*?\.npy"), _WEIGHTS),
    Kind(
        "a checkpoint of PyTorch",
        (".pth", ".pt", ".ckpt", ".pkl"),
        _bytes(rb"PK\x03\x04.{22}.{0,200}?data\.pkl|\x80[\x02-\x05]"),
        _WEIGHTS,
    ),
    Kind("a checkpoint of safetensors", (".safetensors",), _bytes(rb".{5}\x00{3}\{"), _WEIGHTS),
    Kind("an array of numpy", (".npy",), _bytes(rb"\x93NUMPY"), "`netspec run SPEC --npy {}` takes one"),
    Kind(
        "a picture",
        (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"),
        _bytes(rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|BM.{4}\x00{4}"),
        "`netspec run SPEC --image {}` takes one",
    ),
    Kind("a PDF document", (".pdf",), _bytes(rb"%PDF-"), _DRAWN),
    Kind("a file of Keras", (".h5", ".hdf5", ".keras"), _bytes(rb"\x89HDF"), _NONE),
    Kind("an archive", (".zip", ".gz", ".tgz", ".tar"), _bytes(rb"PK\x03\x04|\x1f\x8b|.{257}ustar"), _NONE),
    Kind("Python source", (".py",), None, "`import` it in Python: no command of netspec takes one", "--to torch"),
    Kind("JSON", (".json",), None, _JSON, "--to json"),
    Kind("a drawing", (".svg", ".html", ".htm", ".dot", ".gv", ".mmd"), None, _DRAWN),
    Kind("a table", (".csv",), None, "`netspec summary SPEC -f csv -o {}` writes one, and no command reads one"),
)
"""In the order in which they are tried."""

_SPEC = re.compile(rb"""(?m)^[\s{]*["']?netspec["']?\s*:""")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def of_name(name: str) -> Kind | None:
    """The kind that a file has by the suffix of its name."""
    suffix = Path(name).suffix.lower()
    return next((kind for kind in KINDS if suffix in kind.suffixes), None)


def of_bytes(data: bytes) -> Kind | None:
    """The kind that a file has by its first bytes."""
    return next((kind for kind in KINDS if kind.begins is not None and kind.begins.match(data)), None)


def is_file_name(text: str) -> bool:
    """Whether a text is the name of a file by its suffix, whatever it is."""
    return text.endswith(SPEC_SUFFIXES) or of_name(text) is not None


def foreign(name: str, data: bytes) -> UsageError | None:
    """The error that says what a file is which is read as a spec and is none; None where it may be one."""
    kind = of_bytes(data[:512])
    if kind is not None:
        renamed = "" if of_name(name) is kind else f"; name it *{kind.suffixes[0]} first" if kind.suffixes else ""
        return UsageError(f"{name} is {kind.what}, not a spec", kind.help.replace("{}", name) + renamed)
    if name.lower().endswith(SPEC_SUFFIXES) or _SPEC.search(data):
        return None
    kind = of_name(name)
    if kind is not None and kind.begins is None:
        return UsageError(f"{name} is {kind.what} by its name, not a spec", kind.help.replace("{}", name))
    if kind is not None:
        return UsageError(f"{name} is not a spec, nor what its name says: {kind.what}", _YAML)
    if b"\x00" in data and not data.startswith(_UTF_16):
        return UsageError(f"{name} is not a spec: it is not even text", _YAML)
    return None


OF_COMPILE: Mapping[str, str] = {suffix: kind.option for kind in KINDS if kind.option for suffix in kind.suffixes}
"""The option of `netspec compile` that writes a file with a suffix."""


def check_suffix(output: str | None, what: str, *own: str, options: Mapping[str, str] | None = None) -> None:
    """Raises UsageError where a file to be written has the suffix of another format; a free suffix is allowed.

    `options` are those of the same command that write another format, by its suffix.
    """
    suffix = Path(output or "").suffix.lower()
    kind = of_name(output or "")
    if output in (None, "-") or suffix in own or (kind is None and suffix not in SPEC_SUFFIXES):
        return
    other = kind.what if kind is not None else "a spec"
    names = f"name it {Path(str(output)).with_suffix(own[0])}" if own else "name another with -o"
    option = (options or {}).get(suffix)
    raise UsageError(
        f"{output} is to be {what}, but {suffix} is the suffix of {other}",
        f"{names}, or write {option}" if option and own else names,
    )
