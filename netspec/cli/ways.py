"""Targets as they are named on a command line: `onnx:flat+float16`, `torch:compile`, `onnx+fold_batch_norm+cuda`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from netspec.backend import JSON, able, get, targets
from netspec.diagnostics.errors import NetspecError, UsageError, did_you_mean
from netspec.passes import NAMED, PASSES
from netspec.passes.base import Level, Stage
from netspec.passes.runtimes import runtime_of
from netspec.running.ways import Prepares, Way

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Target:
    """A way to run a network in a backend, after passes."""

    name: str
    """As it was written."""
    backend: str
    way: Way
    passes: tuple[str, ...] = ()
    level: Level = 0
    """How much it is rewritten for a faster run."""

    @property
    def runtime(self) -> str:
        """What runs it, by the table of what pays where."""
        return runtime_of(self.backend, self.way.form)

    @property
    def is_file(self) -> bool:
        """Whether it is a model file, which `name` names."""
        return not self.backend


KINDS = {"dtype": "type", "device": "device", "level": "level"}
"""What a word of a target can be once, and what it is called."""
LEVELS: dict[str, Level] = {"O0": 0, "O1": 1, "O2": 2}


def target_of(text: str, level: Level | None = None, threads: int = 0) -> Target:
    """Reads BACKEND[:FORM][+WORD]..., where a word is a type, a device, a level or a pass; or names an .onnx file.

    `level` is that of a target that says none, by default the one that `compile` takes for the backend. Raises
    UsageError for another, MissingError for a backend that runs nothing.
    """
    if text.lower().endswith(".onnx"):
        return Target(text, "", Way(threads=threads))
    head, *words = text.split("+")
    name, colon, form = head.partition(":")
    backend = _backend_of(name, text)
    if colon and form not in backend.forms:
        there = f"known: {', '.join(backend.forms)}"
        if not form:
            raise UsageError(f"'{text}' names no form after the colon", f"{there}; or {name} alone")
        raise UsageError(f"'{name}' has no form '{form}'", did_you_mean(form, backend.forms, there))
    kinds = {"dtype": backend.dtypes, "device": DEVICES, "level": [*LEVELS]}
    given: dict[str, str] = {}
    passes = []
    for word in words:
        kind = next((kind for kind, known in kinds.items() if word in known), "")
        if not kind and word.partition("@")[0] in NAMED:
            passes.append(word)
        elif not kind or kind in given:
            known = [*backend.dtypes, *DEVICES, *LEVELS, *NAMED]
            others = [other for other, able_ in running_backends() if word in able_.dtypes] if not kind else []
            if others:
                one = "+".join([others[0], *words])
                raise UsageError(
                    f"'{text}': {word} is of {' and '.join(others)} alone, not of {name}", f"such as {one}"
                )
            if kind and word != given[kind]:
                raise UsageError(f"'{text}': {given[kind]} and {word} are each a {KINDS[kind]}", "name one of the two")
            if kind:
                raise UsageError(f"'{text}': '{word}' is given twice", "name it once")
            raise UsageError(
                f"'{text}': there is no '{word}'" if word else f"'{text}' names nothing after a +",
                did_you_mean(word, known, f"after + stands any of {', '.join(known)}"),
            )
        else:
            given[kind] = word
    way = Way(form, given.get("dtype", "float32"), given.get("device", "cpu"), threads)
    usual = get(name).level if level is None else level
    return Target(text, name, way, tuple(passes), LEVELS.get(given.get("level", ""), usual))


def _backend_of(name: str, text: str) -> Prepares:
    """The backend that a target names; raises UsageError, MissingError for one that runs nothing."""
    if name not in targets() or name == JSON.name:
        running = [name for name, _ in running_backends()]
        near = str(did_you_mean(name, running)) or f"known: {', '.join(running)}"
        what = f"'{text}' runs no network" if name == JSON.name else f"there is no target '{text}'"
        raise UsageError(what, near if "?" in near else f"{near}; or an .onnx file")
    return able(name, Prepares)


def running_backends() -> Iterator[tuple[str, Prepares]]:
    """The backends that run networks, by name; json runs nothing."""
    for name in targets():
        with suppress(NetspecError):
            yield name, able(name, Prepares)


def every_target() -> Iterator[Target]:
    """Each form, type, device and level of each backend that runs networks; and each pass alone, in onnx."""
    for name, backend in running_backends():
        _, *forms = backend.forms
        yield target_of(name)
        yield from (target_of(f"{name}:{form}") for form in forms)
        yield from (target_of(f"{name}+{dtype}") for dtype in backend.dtypes[1:])
        yield target_of(f"{name}+cuda")
        yield from (target_of(f"{name}+{text}") for text, level in LEVELS.items() if level != get(name).level)
    of_inference = (p for p in PASSES if p.stage is Stage.INFERENCE)  # others may give maps in place of vectors
    yield from (target_of(f"onnx+O0+{p.name}") for p in of_inference if p.named and p.keeps)
