"""Libraries that may be absent: the error that names one, and what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netspec.errors import MissingError

EXTRAS = {"torch": "torch", "onnxruntime": "run", "PIL": "run", "pygraphviz": "draw", "matplotlib": "draw"}
"""Libraries that the distribution installs only when asked for, by the extra that brings them."""

LIBRARIES = (*EXTRAS, "onnx", "ml_dtypes", "safetensors")
"""Those, and dependencies that are imported on use: an incomplete installation lacks them."""

NAMES = {"PIL": "pillow"}
"""What a library is called where it is installed, if that is not the name by which it is imported."""

OWN = ("netspec", "netspec_torch", "netspec_onnx")


@contextmanager
def importing(who: str, library: str = "", extra: str = "") -> Iterator[None]:
    """Around the imports that `who` needs: one that fails is a MissingError that says what to install.

    An error that does not name a library is about `library`; `extra` brings it where several extras do.
    """
    try:
        yield
    except (ImportError, OSError) as e:  # OSError: a shared object that the library loads by itself is not there
        found = (getattr(e, "name", None) or library).partition(".")[0]
        if found in OWN or not found and isinstance(e, OSError):
            raise
        if not found:
            raise MissingError(f"{who} cannot be imported: {e}") from None
        absent = isinstance(e, ModuleNotFoundError)
        why = "is not installed" if absent else f"cannot be imported: {str(e)[:300]}"
        name = NAMES.get(found, found)
        wanted = f"'netspec-compiler[{extra or EXTRAS[found]}]'" if found in EXTRAS else name
        raise MissingError(f"{who} needs {name}, which {why}", f"pip install {wanted}") from None
