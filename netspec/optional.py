"""Libraries that may be absent: the error that names one, and what to install."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.diagnostics.errors import MissingError

EXTRAS = {
    "torch": "torch",
    "onnxruntime": "run",
    "PIL": "run",
    "pygraphviz": "draw",
    "matplotlib": "draw",
    "huggingface_hub": "hub",
}
"""Libraries that the distribution installs only when asked for, by the extra that brings them."""

LIBRARIES = (*EXTRAS, "onnx", "ml_dtypes", "pandas", "safetensors", "tabulate")
"""Those, and dependencies that are imported on use: an incomplete installation lacks them."""

NAMES = {"PIL": "pillow"}
"""What a library is called where it is installed, if that is not the name by which it is imported."""

CORE = ("click", "networkx", "numpy", "rich", "yaml")
"""Dependencies that every command imports."""

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
        if found in (*LIBRARIES, *CORE) and (error := hidden(found, who)):
            raise error from None
        if found in OWN or not found and isinstance(e, OSError):
            raise
        if not found:
            raise MissingError(f"{who} cannot be imported: {e}") from None
        absent = isinstance(e, ModuleNotFoundError)
        why = "is not installed" if absent else f"cannot be imported: {str(e)[:300]}"
        name = NAMES.get(found, found)
        package = f"'netspec-compiler[{extra or EXTRAS[found]}]'" if found in EXTRAS else name
        raise MissingError(f"{who} needs {name}, which {why}", f"pip install {package}") from None
    except Exception:  # what a file that has the name of a library lacks, or does
        if error := hidden(library, who):
            raise error from None
        raise


def hidden(library: str = "", who: str = "netspec") -> MissingError | None:
    """The error of a library, or of any, whose name a file or a folder on the way to it has; None where none has."""
    for name in [library] if library else [*LIBRARIES, *CORE]:
        if (place := _hiding(name)) is not None:
            text = f"{who} needs {NAMES.get(name, name)}, which {place} hides: Python imports it instead"
            return MissingError(text, f"rename {place}, or work in another folder")
    return None


def _hiding(library: str) -> str | None:
    """The file or folder that Python imports under the name of a library, as it is nearer than the library itself.

    All of these libraries are packages: a file is none of them, and a folder is none in the current folder.
    """
    for entry in sys.path:
        folder = Path(entry or ".")
        here = _same(folder, Path())
        shown = f".{os.sep}" if here else f"{folder}{os.sep}"
        package = folder / library
        if (package / "__init__.py").is_file():
            return f"{shown}{library}" if here else None
        if (folder / f"{library}.py").is_file():
            return f"{shown}{library}.py"
    return None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
