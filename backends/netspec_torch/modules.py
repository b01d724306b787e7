"""Python modules made of generated source, registered so that pickle, inspect and TorchScript find what is in them.

A module's name holds the hash of its source: equal sources are one module, and two networks never share a name. Objects
of its classes are pickled with the source, so that they load wherever netspec is installed.
"""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import CodeType, ModuleType
from typing import SupportsIndex
from weakref import WeakSet

import torch

PREFIX = "netspec_made"
LIMIT = 64
"""Modules that are kept though none of their objects is alive."""

_lock = threading.RLock()
_made: dict[str, _Loader] = {}
"""The modules by name, the one that was asked for last at the end."""


class _Loader(InspectLoader):
    """Gives a source to Python's import system, and to all who ask a module's loader for its text."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.alive: WeakSet[torch.nn.Module] = WeakSet()

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.file, "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return False


def module_of(text: str) -> ModuleType:
    """The module that a generated source defines; the same one for the same source."""
    name = f"{PREFIX}_{sha256(text.encode()).hexdigest()[:32]}"
    with _lock:
        if name in _made and name in sys.modules:
            _made[name] = _made.pop(name)
            return sys.modules[name]
        loader = _Loader(text, f"<netspec>/{name}.py")
        spec = ModuleSpec(name, loader, origin=loader.file)
        spec.has_location = True  # its file is what inspect asks linecache for
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        linecache.lazycache(loader.file, vars(module))
        for cls in classes_of(module).values():
            cls.__reduce_ex__ = _reducer(text)  # type: ignore[assignment, method-assign]
        _made[name] = loader
        _forget()
        return module


def classes_of(module: ModuleType) -> dict[str, type[torch.nn.Module]]:
    """The classes of nn.Modules that a module defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
    }


def keep(*made: torch.nn.Module) -> None:
    """Marks objects as alive: their module stays registered as long as they live."""
    with _lock:
        for part in made:
            if loader := _made.get(type(part).__module__):
                loader.alive.add(part)


def _forget() -> None:
    """Drops the modules that were asked for longest ago and of which nothing is alive, above the limit."""
    unused = [name for name, loader in _made.items() if not loader.alive][:-1]  # the last one is about to be used
    for name in unused[: max(0, len(unused) - LIMIT)]:
        linecache.cache.pop(_made.pop(name).file, None)
        sys.modules.pop(name, None)


def _reducer(text: str) -> Callable[[torch.nn.Module, SupportsIndex], tuple[object, ...]]:
    """How pickle and copy take an object apart: as any other, with the source in place of its class."""

    def reduce(self: torch.nn.Module, protocol: SupportsIndex) -> tuple[object, ...]:
        parts = object.__reduce_ex__(self, max(2, int(protocol)))
        return (restore, (text, type(self).__name__), *parts[2:])

    return reduce


def restore(text: str, name: str) -> torch.nn.Module:
    """An empty object of a class of a source, for pickle to fill; pickles name this function, so it stays here.

    The source is executed, as whatever a pickle names is: only load what you would run. `torch.load` refuses it with
    `weights_only=True`, and has to: never put this function on its list of what is safe.
    """
    cls = classes_of(module_of(text))[name]
    made = cls.__new__(cls)
    keep(made)
    return made
