"""Frozen steps: their modules stay in eval mode, whoever calls `train()`."""

from __future__ import annotations

from collections.abc import Collection, Container

import torch

from netspec_torch.modules import classes_of, module_of


def build(text: str, main: str, frozen: Collection[str]) -> torch.nn.Module:
    """The network of a source, on the device in force; the modules at the paths of `frozen` stay in eval mode.

    A frozen module gets a class of its own, which the source then has too: pickle, copies and TorchScript know it.
    """
    module = classes_of(module_of(text))[main]()
    if not frozen:
        return module
    parts = {path: part for path, part in module.named_modules() if path and _whole(path, module, frozen)}
    taken = {*vars(module_of(text))}
    mixin = _unique("Frozen", taken)
    taken.add(mixin)
    names = {cls: _unique(f"{mixin}{cls.__name__}", taken) for cls in map(type, parts.values())}
    space = module_of("\n\n\n".join([text.rstrip("\n"), *_classes(mixin, names, module.__module__)]) + "\n")
    module = classes_of(space)[main]()
    for path, part in parts.items():
        module.get_submodule(path).__class__ = getattr(space, names[type(part)])
    return module


def _whole(path: str, module: torch.nn.Module, frozen: Collection[str]) -> bool:
    """Whether all layers at and below a path are frozen."""
    below = [f"{path}.{name}" if name else path for name, part in module.get_submodule(path).named_modules()
             if not any(True for _ in part.children())]
    return all(name in frozen for name in below)


def _unique(name: str, taken: Container[str]) -> str:
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}{count}"
    return found


def _classes(mixin: str, names: dict[type[torch.nn.Module], str], own: str) -> list[str]:
    """The source of the frozen classes."""
    head = f'''class {mixin}:
    """What stays in eval mode: its statistics do not change, and nothing in it is dropped."""

    def train(self, mode=True):
        return super().train(False)'''
    bases = {cls: cls.__name__ if cls.__module__ == own else f"nn.{cls.__name__}" for cls in names}
    return [head, *(f"class {name}({mixin}, {bases[cls]}):\n    pass" for cls, name in sorted(
        names.items(), key=lambda item: item[1]))]
