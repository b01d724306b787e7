"""Convolutional architectures as YAML specs, compiled to PyTorch and ONNX.

`load` takes a spec by its path, by the name of a shipped one, or as `FILE.yaml:block`, and values of its params;
it gives a `Network`: tables, pictures, weights as arrays, `to_torch` and `to_onnx`; `Session` runs one. All mistakes
in a spec are raised as one `SpecError`. `list_specs` finds what is shipped, `networks` has it by name, and `show` says
what a spec offers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "DataError",
    "Graph",
    "MissingError",
    "NetspecError",
    "Network",
    "Session",
    "SpecError",
    "UsageError",
    "list_specs",
    "load",
    "networks",
    "show",
]

if TYPE_CHECKING:
    from netspec.diagnostics.errors import DataError, MissingError, NetspecError, SpecError, UsageError
    from netspec.ir.graph import Graph
    from netspec.network import Network, list_specs, load, show
    from netspec.session import Session
    from netspec.shipped import networks

_HOMES = {
    "Graph": "ir.graph",
    "Session": "session",
    "networks": "shipped",
    **dict.fromkeys(("Network", "list_specs", "load", "show"), "network"),
}


def __getattr__(name: str) -> object:
    # The public names load on first use, so that `import netspec` costs nothing.
    if name in __all__:
        return getattr(import_module(f"netspec.{_HOMES.get(name, 'diagnostics.errors')}"), name)
    raise AttributeError(f"module 'netspec' has no attribute '{name}'")


def load_ipython_extension(shell: Any) -> None:
    """Completes names of networks in `netspec.load("...` and its like, after `%load_ext netspec`."""
    shell.Completer.custom_matchers.append(import_module("netspec.shipped").complete_names)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
